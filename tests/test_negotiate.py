"""
Content negotiation: tables of headers, and any header at all.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder
from serving import PROMETHEUS

from exporter.negotiate import LANGUAGES, accepts_gzip, choose_accept, choose_language, preferences


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", [(1.0, "", {})]),
        ("a;q=0.1, B;Q=0.25;x=Y", [(0.25, "b", {"x": "y"}), (0.1, "a", {})]),
        ("a, b", [(1.0, "a", {}), (1.0, "b", {})]),
        ("a;q=1.001, b;q=-1, c;q=, d;q=1.000", [
            (1.0, "d", {}), (0.0, "a", {}), (0.0, "b", {}), (0.0, "c", {}),
        ]),
    ],
)  # fmt: skip
def test_preferences(header: str, expected: list[tuple[float, str, dict[str, str]]]) -> None:
    """
    The most wanted comes first, equals keep their order, and a weight that is none is 0.
    """
    assert expected == preferences(header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ("*/*", ""),
        ("text/html, */*;q=0.8", ""),
        (PROMETHEUS, "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text;version=;escaping="),
        (
            'Application/OpenMetrics-Text; Version="1.0.0"',
            "application/openmetrics-text;version=1.0.0;escaping=",
        ),
        (
            "application/openmetrics-text;q=0.1, text/plain;version=0.0.4",
            "text/plain;version=0.0.4;escaping=",
        ),
        ("application/openmetrics-text;q=0", ""),
        ("application/openmetrics-text;q=nan", ""),
        ("application/openmetrics-text;version=2.0.0, text/plain;version=1.0.0;q=0.1",
         "text/plain;version=1.0.0;escaping="),
        ("application/openmetrics-text;version=x", ""),
        ("application/openmetrics-text;version=9.9.9", ""),
        ("application/json", ""),
    ],
)  # fmt: skip
def test_accept(header: str, expected: str) -> None:
    """
    The most wanted format that can be written is chosen; with none, the plain text format.
    """
    assert expected == choose_accept(header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("*", True),
        ("identity;q=0.5, *;q=0.6", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("gzip;q=high", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("br", False),
        ("gzipped", False),
    ],
)
def test_accept_encoding(header: str, *, expected: bool) -> None:
    """
    An answer is compressed only for who wants that, and not for who says q=0.
    """
    assert expected is accepts_gzip(header)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "en"),
        ("*", "en"),
        ("en", "en"),
        ("ja", "ja"),
        ("JA-jp", "ja"),
        ("ja-JP, ja;q=0.9, en-US;q=0.8, en;q=0.7", "ja"),
        ("en-US,en;q=0.9,ja;q=0.8", "en"),
        ("en;q=0.1, ja;q=0.2", "ja"),
        ("de, ja;q=0.5, en;q=0.4", "ja"),
        ("ja, en", "ja"),
        ("en, ja", "en"),
        ("de", "en"),
        ("ja;q=0", "en"),
        ("en;q=0, *;q=0.1", "ja"),
        ("*;q=0.5, ja;q=0.1", "en"),
        ("*;q=0.5, ja;q=0.9", "ja"),
        ("*, en;q=0.1, ja;q=0.2", "ja"),
        ("en;q=0, ja;q=0", "en"),
        ("ja;q=1.5", "en"),
        ("jav", "en"),
        ("x-ja", "en"),
    ],
)
def test_accept_language(header: str, expected: str) -> None:
    """
    The most wanted language that the page speaks is chosen; with none, English.
    """
    assert expected == choose_language(header)


@given(st.text())
def test_any_accept(header: str) -> None:
    """
    No header value upsets the negotiation, nor what prometheus_client makes of its result.
    """
    choose_encoder(choose_accept(header))
    accepts_gzip(header)

    assert choose_language(header) in LANGUAGES
