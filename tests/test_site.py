"""
The endpoints, asked without a server.
"""

import errno
import gzip
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from serving import ENDPOINTS, PROMETHEUS
from structlog.testing import capture_logs

from exporter.site import Response, Site
from exporter.style import page_policy

TEXT = "text/plain; version=0.0.4; charset=utf-8"


def ready() -> bool:
    """
    Say yes.
    """
    return True


def page(language: str) -> bytes:
    """
    Be the page.
    """
    return f'<!DOCTYPE html><html lang="{language}">'.encode()


def new_site(
    registry: CollectorRegistry | None = None,
    *,
    is_ready: Callable[[], bool] = ready,
    render: Callable[[str], bytes] = page,
) -> Site:
    """
    Make a site with one counter.
    """
    if registry is None:
        registry = CollectorRegistry()
        counter = Counter("lines", "Lines.", ["outcome"], registry=registry)
        counter.labels("recognised").inc(3)
    return Site(telemetry_path="/metrics", registry=registry, ready=is_ready, page=render)


@pytest.fixture
def site() -> Site:
    """
    A site as it is by default.
    """
    return new_site()


def get(site: Site, target: str, **headers: str) -> Response:
    """
    Ask once; a header's underscores are its hyphens.
    """
    return site.answer("GET", target, {key.replace("_", "-"): headers[key] for key in headers})


def test_metrics(site: Site) -> None:
    """
    The telemetry path serves the registry, in the plain text format unless asked otherwise.
    """
    answer = get(site, "/metrics")
    family, *_ = parse_text(answer.body.decode())

    assert HTTPStatus.OK == answer.status
    assert TEXT == answer.content_type
    assert 3.0 == family.samples[0].value
    assert (("Vary", "Accept, Accept-Encoding"),) == answer.headers


def test_openmetrics(site: Site) -> None:
    """
    Prometheus is served OpenMetrics, which it asks for first.
    """
    answer = get(site, "/metrics", Accept=PROMETHEUS)
    family, *_ = parse_openmetrics(answer.body.decode())  # type: ignore[no-untyped-call]

    assert answer.content_type.startswith("application/openmetrics-text; version=1.0.0;")
    assert 3.0 == family.samples[0].value
    assert answer.body.endswith(b"# EOF\n")


@pytest.mark.parametrize("version", ["x", "1.0.x", "9.9.9", "", '"', "1.0.0\\"])
def test_hostile_accept(version: str, site: Site) -> None:
    """
    A version that does not exist is neither an error nor repeated in the answer.
    """
    accept = f"application/openmetrics-text;version={version}, text/plain;version={version}"
    answer = get(site, "/metrics", Accept=accept)

    assert HTTPStatus.OK == answer.status
    assert "9.9.9" not in answer.content_type


@pytest.mark.parametrize("accept", ["", PROMETHEUS], ids=["text", "OpenMetrics"])
def test_gzip(accept: str, site: Site) -> None:
    """
    A compressed answer is the plain one, compressed, in every format.
    """
    plain = get(site, "/metrics", Accept=accept)
    small = get(site, "/metrics", Accept=accept, Accept_Encoding="gzip")

    assert "Content-Encoding" not in dict(plain.headers)
    assert (*plain.headers, ("Content-Encoding", "gzip")) == small.headers
    assert plain.body == gzip.decompress(small.body)
    assert plain.content_type == small.content_type


def test_names() -> None:
    """
    `?name[]=` restricts the answer to some samples, as prometheus_client's own server does.
    """
    registry = CollectorRegistry()
    Counter("a", "A.", registry=registry)
    Counter("b", "B.", registry=registry)
    answer = get(new_site(registry), "/metrics?name[]=b_total&x=%ff")

    assert ["b"] == [family.name for family in parse_text(answer.body.decode())]


def test_page(site: Site) -> None:
    """
    `/` is the page, allowed to load and run nothing.
    """
    answer = get(site, "/")

    assert HTTPStatus.OK == answer.status
    assert b'<!DOCTYPE html><html lang="en">' == answer.body
    assert "text/html; charset=utf-8" == answer.content_type
    assert (
        ("Content-Security-Policy", page_policy()),
        ("Content-Language", "en"),
        ("Vary", "Accept-Language"),
        ("Referrer-Policy", "no-referrer"),
    ) == answer.headers


@pytest.mark.parametrize(
    ("target", "wanted", "expected"),
    [
        ("/", "ja", "ja"),
        ("/", "de", "en"),
        ("/?lang=ja", "en", "ja"),
        ("/?lang=en", "ja", "en"),
        ("/?lang=", "ja", "ja"),
        ("/?lang=de&x=%ff", "ja", "ja"),
    ],
)
def test_language(target: str, wanted: str, expected: str, site: Site) -> None:
    """
    The page comes in the language asked for by name, else in the one that the browser wants.
    """
    answer = get(site, target, Accept_Language=wanted)

    assert f'lang="{expected}"'.encode() in answer.body
    assert expected == dict(answer.headers)["Content-Language"]


def test_ready() -> None:
    """
    Until ready, metrics and readiness are 503 with a text, and health and page are 200.
    """
    answers = iter([False] * 2 + [True] * 2)
    site = new_site(is_ready=lambda: next(answers))
    before = [get(site, path) for path in ENDPOINTS]
    after = [get(site, path) for path in ENDPOINTS]

    assert [200, 503, 200, 503] == [answer.status for answer in before]
    assert b"not ready: reading the backlog\n" == before[1].body == before[3].body
    assert [200, 200, 200, 200] == [answer.status for answer in after]
    assert [b"healthy\n", b"ready\n"] == [answer.body for answer in after[2:]]


@pytest.mark.parametrize(
    "path",
    ["", "/metric", "/metrics/", "//", "/-/", "/-/ready/", "/%6Detrics", "*", "/favicon.ico"],
)
def test_not_found(path: str, site: Site) -> None:
    """
    Every other path is 404, and is not repeated in the answer.
    """
    assert Response(HTTPStatus.NOT_FOUND, b"not found\n") == get(site, path)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get"])
@pytest.mark.parametrize("path", ENDPOINTS)
def test_method(method: str, path: str, site: Site) -> None:
    """
    Every other method is 405, with those allowed.
    """
    answer = site.answer(method, path, {})

    assert HTTPStatus.METHOD_NOT_ALLOWED == answer.status
    assert (("Allow", "GET, HEAD"),) == answer.headers


@pytest.mark.parametrize("path", [*ENDPOINTS, "/nosuch"])
def test_head(path: str, site: Site) -> None:
    """
    HEAD is answered as GET; to leave the body out is the server's affair.
    """
    assert get(site, path) == site.answer("HEAD", path, {})


class Faulty:
    """
    A collector that raises as often as it is told to.
    """

    def __init__(self) -> None:
        self.faults = 1

    def describe(self) -> list[CounterMetricFamily]:
        """
        Name nothing.
        """
        return []

    def collect(self) -> Iterator[CounterMetricFamily]:
        """
        Raise, or yield one counter.
        """
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError
        yield CounterMetricFamily("a", "A.", value=1)


def test_fault() -> None:
    """
    A fault while rendering is a 500 and one line in the log, and the next scrape goes well.
    """
    registry = CollectorRegistry()
    registry.register(Faulty())
    site = new_site(registry)
    with capture_logs() as lines:
        first = get(site, "/metrics?x=y")
        second = get(site, "/metrics")

    assert [500, 200] == [first.status, second.status]
    assert b"error, see the exporter's log\n" == first.body
    assert [("cannot answer a request", "/metrics", "ZeroDivisionError")] == [
        (line["event"], line["path"], line["error"]) for line in lines
    ]


def test_fault_of_the_page() -> None:
    """
    A fault of the page is a 500 too, and concerns nothing else.
    """

    def fail(language: str) -> bytes:
        raise OSError(errno.EIO, f"Input/output error in {language}")

    site = new_site(render=fail)
    with capture_logs() as lines:
        assert HTTPStatus.INTERNAL_SERVER_ERROR == get(site, "/").status
        assert HTTPStatus.OK == get(site, "/metrics").status

    assert [("/", "OSError")] == [(line["path"], line["error"]) for line in lines]


def test_silence(site: Site) -> None:
    """
    No request without a fault of the exporter writes to the log.
    """
    with capture_logs() as lines:
        for path in [*ENDPOINTS, "/nosuch"]:
            get(site, path)
            site.answer("POST", path, {})

    assert [] == lines
