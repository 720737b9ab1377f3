"""
The web configuration in force, and what becomes of it when its files change.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from certificates import authority, write_certificates
from structlog.testing import capture_logs
from structlog.typing import EventDict

from exporter import websettings
from exporter.webconfig import WebConfig, WebConfigError
from exporter.websettings import CHECK_SECONDS, Settings, WebSettings

HASH = "$2y$10$" + "a" * 53
OTHER_HASH = "$2y$10$" + "b" * 53
TLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
CLIENTS = "  client_ca_file: ca.pem\n  client_auth_type: "
USERS = f"basic_auth_users:\n  alice: {HASH}\n"
WEAKER = "only SIGHUP or a restart does that"

pytestmark = pytest.mark.usefixtures("_restored_log")


@dataclass(slots=True)
class Case:
    """
    A configuration in its directory, and a clock that goes by hand.
    """

    directory: Path
    seconds: float = 0.0
    settings: WebSettings = field(default_factory=lambda: WebSettings(None))

    @property
    def path(self) -> Path:
        """
        The configuration.
        """
        return self.directory / "web.yml"

    def start(self, text: str) -> Settings:
        """
        Load a first configuration.
        """
        self.path.write_text(text)
        self.settings = WebSettings(self.path, lambda: self.seconds)
        return self.settings.current()

    def later(self) -> Settings:
        """
        Return the settings in force when the next look is due.
        """
        self.seconds += CHECK_SECONDS
        return self.settings.current()

    def change(self, text: str) -> Settings:
        """
        Change the configuration, and return the settings in force at the next look.
        """
        self.path.write_text(text)
        return self.later()


@pytest.fixture(name="case")
def _case(tmp_path: Path) -> Case:
    """
    Make a directory with certificates.
    """
    structlog.reset_defaults()
    write_certificates(tmp_path)
    return Case(tmp_path)


def test_none() -> None:
    """
    Without a file there is plain HTTP for everybody, and nothing to reload.
    """
    settings = WebSettings(None)
    first = settings.current()
    settings.reload()

    assert Settings(WebConfig(), None, "") == first
    assert first is settings.current()


def test_same(case: Case) -> None:
    """
    The settings are the same object for as long as nothing has changed, whatever the files' times.
    """
    first = case.start(TLS)
    with capture_logs() as logs:
        second = case.change(TLS)
        case.settings.reload()

    assert first is second is case.later()
    assert first.context
    assert first.context is second.context
    assert [] == logs


def test_bad_start(case: Case) -> None:
    """
    With a bad file, or a bad file that it names, the exporter does not start.
    """
    with pytest.raises(WebConfigError) as caught:
        case.start("tls_server_config: {}")

    assert f"{case.path}: tls_server_config.cert_file: missing" == str(caught.value)
    (case.directory / "cert.pem").write_bytes(b"")
    with pytest.raises(WebConfigError) as caught:
        case.start(TLS)
    reason = "tls_server_config.cert_file: no certificate in PEM that OpenSSL can read"

    assert f"{case.path}: {reason}" == str(caught.value)
    case.path.unlink()
    with pytest.raises(WebConfigError) as caught:
        WebSettings(case.path)

    assert f"{case.path}: cannot read {case.path}: No such file or directory" == str(caught.value)


def test_once_a_second(case: Case) -> None:
    """
    The files are looked at once a second, not at each request.
    """
    first = case.start("")
    case.path.write_text(USERS)
    case.seconds += CHECK_SECONDS * 0.99

    assert first is case.settings.current()
    case.seconds += CHECK_SECONDS * 0.01
    changed = case.settings.current()

    assert {"alice": HASH.encode()} == changed.config.users
    case.path.write_text("]")
    case.seconds += CHECK_SECONDS * 0.99

    assert changed is case.settings.current()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", TLS),
        ("", USERS),
        (USERS, USERS.replace(HASH, OTHER_HASH)),
        (USERS, USERS.replace("alice", "bob")),
        (USERS, USERS + TLS),
        (TLS, TLS + f"{CLIENTS}RequireAndVerifyClientCert\n"),
        (TLS, TLS + "  min_version: TLS13\n"),
        (
            TLS + f"{CLIENTS}VerifyClientCertIfGiven\n",
            TLS + f"{CLIENTS}RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n",
        ),
        ("rate_limit: {interval: 1s}", ""),
        ("http_server_config: {headers: {X-Frame-Options: deny}}", "{}"),
    ],
)
def test_applied(case: Case, before: str, after: str) -> None:
    """
    What was changed applies without a restart, and the log says so.
    """
    first = case.start(before)
    with capture_logs() as logs:
        second = case.change(after)
        third = case.later()

    assert first.config != second.config
    assert case.start(after).config == second.config
    assert second is third
    assert [("web configuration applied", "info")] == names(logs)
    assert "" == second.problem


def names(logs: list[EventDict]) -> list[tuple[str, str]]:
    """
    Keep of the log its messages and levels.
    """
    return [(entry["event"], entry["log_level"]) for entry in logs]


def test_new_certificate(case: Case) -> None:
    """
    Another certificate under the same name applies, with size and time as before too.
    """
    first = case.start(TLS)
    renewed = authority().issue("localhost")
    (case.directory / "cert.pem").write_bytes(renewed.cert)
    (case.directory / "key.pem").write_bytes(renewed.key)
    second = case.later()

    assert "" == second.problem
    assert second.context is not first.context
    assert second.config.tls
    assert renewed.cert == second.config.tls.cert.data


def test_new_authority(case: Case) -> None:
    """
    Another authority under the same name applies.
    """
    case.start(TLS + f"{CLIENTS}RequireAndVerifyClientCert\n")
    (case.directory / "ca.pem").write_bytes(authority("others").pem)
    settings = case.later()

    assert settings.config.tls
    assert settings.config.tls.client_ca
    assert authority("others").pem == settings.config.tls.client_ca.data


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("web.yml", b"users: {}", "users: unknown key"),
        ("web.yml", None, "cannot read {}/web.yml: No such file or directory"),
        ("cert.pem", None, "{}/cert.pem: No such file or directory"),
        ("cert.pem", b"junk", "no certificate in PEM that OpenSSL can read"),
        ("key.pem", b"", "no private key in PEM that OpenSSL can read"),
        ("ca.pem", b"", "no certificate in PEM that OpenSSL can read"),
    ],
)
def test_bad(case: Case, name: str, content: bytes | None, reason: str) -> None:
    """
    While a file is bad there is a problem, said once; the old context can still say so over TLS.
    """
    first = case.start(TLS + f"{CLIENTS}RequireAndVerifyClientCert\n" + USERS)
    file = case.directory / name
    good = file.read_bytes()
    with capture_logs() as logs:
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        bad = case.later()
        case.settings.reload()
        again = case.later()
        file.write_bytes(good)
        last = case.later()

    assert bad.problem.startswith(f"{case.path}: ")
    assert bad.problem.endswith(reason.format(case.directory))
    assert bad is again
    assert (first.config, first.context) == (bad.config, bad.context)
    assert first == last
    expected = [
        ("web configuration is bad, requests fail", "error"),
        ("web configuration is good again", "info"),
    ]
    assert expected == names(logs)
    assert bad.problem == logs[0]["reason"]


def test_two_problems(case: Case) -> None:
    """
    Another problem is said too, and a good file with something new ends it.
    """
    case.start("")
    problems = [case.change("]").problem, case.change("a: b").problem, case.change("[]").problem]
    last = case.change(USERS)

    assert 3 == len(set(problems))
    assert "" == last.problem
    assert {"alice"} == set(last.config.users)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (USERS, "", "basic_auth_users: would no longer ask for a password"),
        (USERS + TLS, TLS, "basic_auth_users: would no longer ask for a password"),
        (TLS, "", "tls_server_config: would turn TLS off"),
        (USERS + TLS, USERS, "tls_server_config: would turn TLS off"),
        (
            TLS + f"{CLIENTS}RequireAndVerifyClientCert\n",
            TLS,
            "tls_server_config.client_auth_type: would ask less of clients",
        ),
        (
            TLS + f"{CLIENTS}RequireAndVerifyClientCert\n",
            TLS + f"{CLIENTS}VerifyClientCertIfGiven\n",
            "tls_server_config.client_auth_type: would ask less of clients",
        ),
        (
            TLS + f"{CLIENTS}RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n",
            TLS + f"{CLIENTS}RequireAndVerifyClientCert\n",
            "tls_server_config.client_allowed_sans: would let any client in",
        ),
    ],
)
def test_weaker(case: Case, before: str, after: str, reason: str) -> None:
    """
    A file cut short is valid too: what it would open stays closed until SIGHUP.
    """
    first = case.start(before)
    weaker = case.change(after)

    assert f"{case.path}: {reason}: {WEAKER}" == weaker.problem
    assert first.config is weaker.config
    assert first.context is weaker.context
    assert weaker is case.later()
    assert first == case.change(before)
    assert "" != case.change(after).problem
    case.settings.reload()
    reloaded = case.settings.current()

    assert "" == reloaded.problem
    assert case.start(after).config == reloaded.config


def test_every_cut(case: Case) -> None:
    """
    Wherever a writer has got to with the file, nothing is open that both versions close.
    """
    text = TLS + f"{CLIENTS}RequireAndVerifyClientCert\n  client_allowed_sans: [a]\n" + USERS
    case.start(text)
    for length in range(len(text)):
        settings = case.change(text[:length])
        tls = settings.config.tls

        assert settings.context
        assert tls
        assert "required" == tls.client_auth
        assert {"a"} == tls.allowed_sans
        assert {"alice": HASH.encode()} == settings.config.users
    assert "" == case.change(text).problem


def test_forgotten(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file that is no longer named is no longer looked at.
    """
    case.start(TLS)
    pair = {
        name: (case.directory / f"{name}.pem").read_text().replace("\n", "\n    ").rstrip()
        for name in ("cert", "key")
    }
    inline = "".join(f"  {name}: |\n    {pem}\n" for name, pem in pair.items())
    settings = case.change(f"tls_server_config:\n{inline}")
    looked_at = list[Path]()

    def read(path: Path) -> bytes:
        looked_at.append(path)
        return path.read_bytes()

    monkeypatch.setattr(websettings, "read_file", read)

    assert "" == settings.problem
    assert settings is case.later()
    assert [case.path] == looked_at


def test_reload_of_a_bad_file(case: Case) -> None:
    """
    SIGHUP does not wait for the next look, and does not put a bad file in force either.
    """
    first = case.start(USERS)
    case.path.write_text("]")
    case.settings.reload()
    bad = case.settings.current()

    assert bad.problem
    assert first.config is bad.config


def test_threads(case: Case) -> None:
    """
    A SIGHUP in one thread and requests in others see whole settings.
    """
    case.start(USERS)
    seen = list[Settings]()

    def ask() -> None:
        for _ in range(50):
            seen.append(case.later())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        case.path.write_text(USERS + f"  user{number}: {HASH}\n")
        case.settings.reload()
    for thread in threads:
        thread.join()
    case.settings.reload()

    assert {"alice", "user19"} == set(case.settings.current().config.users)
    assert all("alice" in settings.config.users for settings in seen)


def test_expired(case: Case) -> None:
    """
    An expired certificate is served, and the log warns of it.
    """
    expired = authority().issue("localhost", expired=True)
    (case.directory / "cert.pem").write_bytes(expired.cert)
    (case.directory / "key.pem").write_bytes(expired.key)
    with capture_logs() as logs:
        settings = case.start(TLS)

    assert settings.context
    assert [("clients will not accept the certificate", "warning")] == names(logs)
    assert "certificate has expired" == logs[0]["reason"]
