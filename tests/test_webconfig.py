"""
The file of --web.config.file.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.section import DocumentError
from exporter.webconfig import (
    Pem,
    RateLimit,
    Tls,
    WebConfig,
    WebConfigError,
    read_file,
    read_web_config,
)

HASH = "$2y$10$" + "./AZaz09" * 6 + "abcde"
NO_HEADERS = "http_server_config: {headers: }"
PAIR = "cert: C\nkey: K\n"
FILES = {"a.pem": b"A", "sub/b.pem": b"B"}


def read(text: str | bytes) -> WebConfig:
    """
    Read a configuration that lies in /etc/x beside the files a.pem and sub/b.pem.
    """
    data = text.encode() if isinstance(text, str) else text
    files = {Path("/etc/x/web.yml"): data}
    files |= {Path("/etc/x") / name: content for name, content in FILES.items()}

    def read_one(path: Path) -> bytes:
        if path not in files:
            raise DocumentError(f"cannot read {path}: No such file or directory")
        return files[path]

    return read_web_config(Path("/etc/x/web.yml"), read_one)


def tls(text: str) -> str:
    """
    Write the lines of `tls_server_config`, `text` below.
    """
    return "tls_server_config:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def test_empty() -> None:
    """
    A file that says nothing means plain HTTP for everybody.
    """
    for text in [
        "",
        "# nothing\n",
        "---\n",
        "{}",
        "rate_limit:\nhttp_server_config:\n",
        NO_HEADERS,
    ]:
        assert WebConfig() == read(text)


def test_everything() -> None:
    """
    Every key of the format is read.
    """
    config = read(
        tls(
            "cert_file: a.pem\nkey_file: /etc/x/sub/b.pem\nclient_ca_file: sub/b.pem\n"
            "client_auth_type: RequireAndVerifyClientCert\n"
            "client_allowed_sans: [scraper.example.net, 10.0.0.1]\n"
            "min_version: TLS13\nmax_version: TLS13\n"
            "cipher_suites:\n- TLS_AES_128_GCM_SHA256\n"
            "prefer_server_cipher_suites: false\ncurve_preferences: [CurveP256]\n"
        )
        + "http_server_config:\n  http2: false\n  headers:\n"
        "    Strict-Transport-Security: max-age=63072000\n    X-Frame-Options: deny\n"
        "    X-XSS-Protection: ''\n    X-Content-Type-Options:\n"
        f"basic_auth_users:\n  alice: {HASH}\n  'b \u00e9': $2b$04${HASH[7:]}\n"
        "rate_limit:\n  interval: 1m0.5s\n  burst: 3\n"
    )
    expected = WebConfig(
        Tls(
            Pem("tls_server_config.cert_file", b"A"),
            Pem("tls_server_config.key_file", b"B"),
            Pem("tls_server_config.client_ca_file", b"B"),
            "required",
            frozenset({"scraper.example.net", "10.0.0.1"}),
            "TLS13",
            "TLS13",
            ("TLS_AES_128_GCM_SHA256",),
            prefer_server_cipher_suites=False,
            curves=("CurveP256",),
        ),
        (("Strict-Transport-Security", "max-age=63072000"), ("X-Frame-Options", "deny")),
        {"alice": HASH.encode(), "b \u00e9": f"$2b$04${HASH[7:]}".encode()},
        RateLimit(60.5, 3),
    )

    assert expected == config


def test_inline() -> None:
    """
    Certificates and keys may stand in the file itself; the rest has the format's defaults.
    """
    config = read(
        tls("cert: |\n  C\nkey: K\nclient_ca: D\nclient_auth_type: VerifyClientCertIfGiven")
    )
    expected = Tls(
        cert=Pem("tls_server_config.cert", b"C\n"),
        private_key=Pem("tls_server_config.key", b"K"),
        client_ca=Pem("tls_server_config.client_ca", b"D"),
        client_auth="optional",
        allowed_sans=frozenset(),
        min_version="TLS12",
        max_version="TLS13",
        cipher_suites=(),
        prefer_server_cipher_suites=True,
        curves=(),
    )

    assert expected == config.tls
    assert "data" not in repr(config)


AUTH_TYPES = "NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"
UNVERIFIED = "asks for a certificate without verifying it, which Python's ssl cannot"
HEADERS = "http_server_config:\n  headers:\n    "
USERS = "basic_auth_users:\n  "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "must be a mapping, not a list"),
        ("a", "must be a mapping, not text"),
        ("tls_config: {}", "tls_config: unknown key"),
        ("tls_server_config: []", "tls_server_config: must be a mapping, not a list"),
        ("tls_server_config:", "tls_server_config.cert_file: missing"),
        ("tls_server_config: {}", "tls_server_config.cert_file: missing"),
        (tls("certfile: a"), "tls_server_config.certfile: unknown key"),
        (tls("cert: C"), "tls_server_config.key_file: missing"),
        (tls("key: K"), "tls_server_config.cert_file: missing"),
        (tls(PAIR + "cert_file: a"), "tls_server_config.cert: give either this or cert_file"),
        (tls(PAIR + "key_file: a"), "tls_server_config.key: give either this or key_file"),
        (tls("cert: [C]\nkey: K"), "tls_server_config.cert: must be text, not a list"),
        (tls("cert_file: ''\nkey: K"), "tls_server_config.cert_file: must not be empty"),
        (
            tls("cert_file: c.pem\nkey: K"),
            "tls_server_config.cert_file: cannot read /etc/x/c.pem: No such file or directory",
        ),
        (
            tls("cert: C\nkey_file: ../k"),
            "tls_server_config.key_file: cannot read /etc/x/../k: No such file or directory",
        ),
        (
            tls(
                PAIR + "client_ca: D\nclient_ca_file: a\nclient_auth_type: VerifyClientCertIfGiven"
            ),
            "tls_server_config.client_ca: give either this or client_ca_file",
        ),
        (
            tls(PAIR + "client_ca: D"),
            "tls_server_config.client_ca: needs a client_auth_type that verifies",
        ),
        (
            tls(PAIR + "client_ca_file: a.pem\nclient_auth_type: NoClientCert"),
            "tls_server_config.client_ca_file: needs a client_auth_type that verifies",
        ),
        (
            tls(PAIR + "client_auth_type: RequireAndVerifyClientCert"),
            "tls_server_config.client_auth_type: needs client_ca or client_ca_file",
        ),
        (
            tls(PAIR + "client_auth_type: VerifyClientCertIfGiven"),
            "tls_server_config.client_auth_type: needs client_ca or client_ca_file",
        ),
        *(
            (
                tls(f"{PAIR}client_ca: D\nclient_auth_type: {name}"),
                f"tls_server_config.client_auth_type: {name} {UNVERIFIED}",
            )
            for name in ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
        ),
        (
            tls(PAIR + "client_auth_type: noclientcert"),
            f"tls_server_config.client_auth_type: must be {AUTH_TYPES}, not 'noclientcert'",
        ),
        (
            tls(PAIR + "client_allowed_sans: [a]"),
            "tls_server_config.client_allowed_sans: needs a client_auth_type that verifies",
        ),
        (
            tls(PAIR + "client_allowed_sans: []"),
            "tls_server_config.client_allowed_sans: names nobody",
        ),
        (tls(PAIR + "client_allowed_sans:"), "tls_server_config.client_allowed_sans: names nobody"),
        (
            tls(PAIR + "min_version: 1.2"),
            "tls_server_config.min_version: must be text, not a number",
        ),
        (
            tls(PAIR + "cipher_suites: TLS_AES_128_GCM_SHA256"),
            "tls_server_config.cipher_suites: must be a list, not text",
        ),
        (
            tls(PAIR + "prefer_server_cipher_suites: 1"),
            "tls_server_config.prefer_server_cipher_suites: must be true or false, not a number",
        ),
        ("http_server_config: x", "http_server_config: must be a mapping, not text"),
        ("http_server_config: {http3: true}", "http_server_config.http3: unknown key"),
        (
            "http_server_config: {http2: never}",
            "http_server_config.http2: must be true or false, not text",
        ),
        (
            "http_server_config: {headers: []}",
            "http_server_config.headers: must be a mapping, not a list",
        ),
        (HEADERS + "Server: x", "http_server_config.headers.Server: unknown key"),
        (
            HEADERS + "x-frame-options: deny",
            "http_server_config.headers.x-frame-options: unknown key",
        ),
        (
            HEADERS + "X-Frame-Options: DENY",
            "http_server_config.headers.X-Frame-Options: must be deny or sameorigin, not 'DENY'",
        ),
        (
            HEADERS + "X-Content-Type-Options: sniff",
            "http_server_config.headers.X-Content-Type-Options: must be nosniff, not 'sniff'",
        ),
        (
            HEADERS + "X-XSS-Protection: 1",
            "http_server_config.headers.X-XSS-Protection: must be text, not a number",
        ),
        (
            HEADERS + "X-XSS-Protection: [1]",
            "http_server_config.headers.X-XSS-Protection: must be text, not a list",
        ),
        *(
            (
                HEADERS + f"X-XSS-Protection: {value}",
                "http_server_config.headers.X-XSS-Protection: must be printable ASCII on one line",
            )
            for value in (r'"1\r\nSet-Cookie: a"', r'"1\n"', "'\u00e9'", "' 1'", r'"\0"', "' '")
        ),
        (
            "basic_auth_users:",
            "basic_auth_users: names nobody: leave it out to ask for no password",
        ),
        (
            "basic_auth_users: {}",
            "basic_auth_users: names nobody: leave it out to ask for no password",
        ),
        ("basic_auth_users: [a]", "basic_auth_users: must be a mapping, not a list"),
        (USERS + "alice: secret", "basic_auth_users.alice: not a bcrypt hash ($2a$, $2b$ or $2y$)"),
        *(
            (
                USERS + f"alice: {wrong}",
                "basic_auth_users.alice: not a bcrypt hash ($2a$, $2b$ or $2y$)",
            )
            for wrong in (
                HASH[:-1],
                HASH + "a",
                HASH.replace("$10$", "$03$"),
                HASH.replace("$10$", "$32$"),
                HASH.replace("2y", "2x"),
                HASH.replace("Z", "="),
                f'"{HASH}\\n"',
                "''",
                "$6$salt$digest",
            )
        ),
        (USERS + "alice:", "basic_auth_users.alice: must be a bcrypt hash, not nothing"),
        (USERS + "alice: 12", "basic_auth_users.alice: must be a bcrypt hash, not a number"),
        (
            USERS + f"'a:b': {HASH}",
            "basic_auth_users.'a:b': no user name has a colon or a control character",
        ),
        (
            USERS + f'"a\\n": {HASH}',
            "basic_auth_users.'a\\n': no user name has a colon or a control character",
        ),
        (
            USERS + f"'': {HASH}",
            "basic_auth_users.'': a user name must not be empty",
        ),
        (
            USERS + f"yes: {HASH}",
            "basic_auth_users: line 2: a key is true or false, not text: quote it",
        ),
        (
            USERS + f"{HASH}: alice",
            "basic_auth_users.(a hash): not a bcrypt hash ($2a$, $2b$ or $2y$)",
        ),
        ("rate_limit: 5", "rate_limit: must be a mapping, not a number"),
        ("rate_limit: {rate: 5}", "rate_limit.rate: unknown key"),
        *(
            (f"rate_limit: {{interval: {wrong}}}", f"rate_limit.interval: {reason}")
            for wrong, reason in [
                *(
                    (wrong, "must be a duration like 500ms, 1s or 1m30s")
                    for wrong in (
                        "5",
                        "1",
                        "0.5",
                        "true",
                        "false",
                        "1x",
                        "-1s",
                        "1 s",
                        "s",
                        "''",
                        "[]",
                        "1d",
                    )
                ),
                (f"{'9' * 400}h", "longer than 292 years"),
                ("2562048h", "longer than 292 years"),
            ]
        ),
        *(
            (
                f"rate_limit: {{interval: 1s, burst: {wrong}}}",
                "rate_limit.burst: must be a whole number from 1",
            )
            for wrong in ("0", "-1", "1.5", "true", "'1'", "[]")
        ),
        ("rate_limit: {burst: 0}", "rate_limit.burst: must be a whole number from 1"),
        ("a: b\nc: [", "line 2: expected the node content, but found '<stream end>'"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    """
    What is wrong is refused on one line, which names the file and the key and shows no hash.
    """
    with pytest.raises(WebConfigError) as caught:
        read(text)

    assert f"/etc/x/web.yml: {expected}" == str(caught.value)


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ("1s", 1.0),
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("1h1m1.5s", 3661.5),
        ("+.5s", 0.5),
        ("2us", 2e-6),
        ("2\u00b5s", 2e-6),
        ("2\u03bcs", 2e-6),
        ("4ns", 4e-9),
    ],
)
def test_interval(interval: str, expected: float) -> None:
    """
    An interval is spelled as Go spells durations, and 20 requests may come at once by default.
    """
    assert RateLimit(expected, 20) == read(f"rate_limit: {{interval: {interval}}}").rate_limit


def test_no_limit() -> None:
    """
    Without an interval, or with 0, nothing is limited.
    """
    for text in ["{}", "{burst: 5}", "{interval: 0}", "{interval: '0'}", "{interval: 0s}"]:
        assert read(f"rate_limit: {text}").rate_limit is None


KEYS = st.sampled_from(
    [
        *("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit"),
        *("cert", "key", "cert_file", "key_file", "client_ca", "client_auth_type"),
        *("client_allowed_sans", "headers", "http2", "interval", "burst", "X-Frame-Options"),
    ]
)
SCALARS = st.one_of(
    st.sampled_from(["", "~", "1", "0", "yes", "1s", "a.pem", "RequireAndVerifyClientCert", HASH]),
    st.text(alphabet="ab1:.'\"{}[]&*!\n\t\\", max_size=8),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=12,
)


@given(st.one_of(TREES.map(str.encode), st.binary()))
def test_anything(data: bytes) -> None:
    """
    Whatever the file says it is read, or refused on one line without a hash.
    """
    try:
        read(data)
    except WebConfigError as error:
        reason = str(error)
    else:
        reason = "read"

    assert 1 == len(reason.splitlines())
    assert HASH[8:] not in reason


def test_files(tmp_path: Path) -> None:
    """
    Only a regular file that can be read, of at most 1 MiB, is one; a pipe is not waited for.
    """
    (tmp_path / "good").write_bytes(b"x" * 1024 * 1024)
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    reasons = dict[str, str]()
    for name in ["large", "pipe", "loop", "", "missing", "good/x", "a\0b"]:
        with pytest.raises(DocumentError) as caught:
            read_file(tmp_path / name)
        reasons[name] = str(caught.value)
    expected = {
        "large": f"{tmp_path}/large is larger than 1 MiB",
        "pipe": f"{tmp_path}/pipe is not a regular file",
        "loop": f"cannot read {tmp_path}/loop: Too many levels of symbolic links",
        "": f"{tmp_path} is a directory",
        "missing": f"cannot read {tmp_path}/missing: No such file or directory",
        "good/x": f"cannot read {tmp_path}/good/x: Not a directory",
        "a\0b": "not a file name",
    }

    assert expected == reasons
    assert 1024 * 1024 == len(read_file(tmp_path / "good"))


def test_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file that may not be read is refused like one that is missing.
    """

    def refuse(*_arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(WebConfigError) as caught:
        read_web_config(tmp_path / "web.yml")
    name = tmp_path / "web.yml"

    assert f"{name}: cannot read {name}: Permission denied" == str(caught.value)
