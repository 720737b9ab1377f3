"""
TLS contexts, tried by real handshakes in memory.
"""

import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import Issued, authority, client_certificate, client_context, write_certificates

from exporter.tls import build_context, find_complaint, is_allowed
from exporter.webconfig import Pem, Tls, WebConfigError

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
# The standard's names, which are Go's, and OpenSSL's.
SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
ALL_OR_NONE = "name all three suites of TLS 1.3, or none"
CURVES = "CurveP256, CurveP384, CurveP521, X25519, X25519MLKEM768"
ECDSA_SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


def make_tls(issued: Issued) -> Tls:
    """
    Ask for TLS with this certificate and nothing else.
    """
    return Tls(Pem("tls_server_config.cert", issued.cert), Pem("tls_server_config.key", issued.key))


@pytest.fixture(name="tls")
def _tls() -> Tls:
    """
    Ask for TLS with an ECDSA certificate.
    """
    return make_tls(authority().issue("localhost"))


@pytest.fixture(name="client")
def _client(tmp_path: Path) -> ssl.SSLContext:
    """
    Make a client that trusts the authority and has no certificate.
    """
    write_certificates(tmp_path)
    return client_context(tmp_path)


@pytest.fixture(name="known_client")
def _known_client(tmp_path: Path) -> ssl.SSLContext:
    """
    Make a client that has a certificate of the authority.
    """
    write_certificates(tmp_path)
    return client_context(tmp_path, with_certificate=True)


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """
    Shake hands in memory and exchange a byte; ssl.SSLError if they cannot.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(5):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    theirs.write(b"x")
    assert b"x" == ours.read(1)
    return ours, theirs


def refusal(tls: Tls) -> str:
    """
    Return why no context can be made.
    """
    with pytest.raises(WebConfigError) as caught:
        build_context(tls)
    return str(caught.value)


def test_default(tls: Tls, client: ssl.SSLContext) -> None:
    """
    By default TLS 1.2 and 1.3 are spoken, with the server's order of suites, and nobody is asked.
    """
    context = build_context(tls)
    for version in (TLS12, TLS13):
        client.minimum_version = client.maximum_version = version
        ours, theirs = shake_hands(context, client)

        assert {TLS12: "TLSv1.2", TLS13: "TLSv1.3"}[version] == theirs.version()
        assert ours.getpeercert() is None
    assert context.options & ssl.OP_CIPHER_SERVER_PREFERENCE
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION


@pytest.mark.parametrize(
    ("low", "high", "refused"), [("TLS12", "TLS12", TLS13), ("TLS13", "TLS13", TLS12)]
)
def test_versions(
    tls: Tls, client: ssl.SSLContext, low: str, high: str, refused: ssl.TLSVersion
) -> None:
    """
    A version that is not between the two is not spoken, and the others are.
    """
    context = build_context(replace(tls, min_version=low, max_version=high))
    shake_hands(context, client)
    client.minimum_version = client.maximum_version = refused
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
def test_old_versions(tls: Tls, client: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """
    OpenSSL at its own security level has no TLS 1.0 and 1.1 to give, even when told to.
    """
    context = build_context(tls)
    context.minimum_version = version
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = version
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


@pytest.mark.parametrize("name", SUITES)
def test_suites(name: str, client: ssl.SSLContext) -> None:
    """
    Each suite of TLS 1.2 that Go has can be chosen, and is then the only one of TLS 1.2.
    """
    tls = make_tls(authority().issue("localhost", rsa="_RSA_" in name))
    context = build_context(replace(tls, cipher_suites=(name,)))
    client.maximum_version = TLS12
    client.set_ciphers("ALL")
    _, theirs = shake_hands(context, client)
    cipher = theirs.cipher()
    names = {str(cipher["name"]) for cipher in context.get_ciphers()}

    assert cipher
    assert SUITES[name] == cipher[0]
    assert {SUITES[name], *TLS13_SUITES} == names | set(TLS13_SUITES)


def test_order_of_suites(tls: Tls, client: ssl.SSLContext) -> None:
    """
    The server's order of suites counts, or the client's if so asked.
    """
    suites = ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", ECDSA_SUITE)
    client.maximum_version = TLS12
    client.set_ciphers(":".join(SUITES[name] for name in reversed(suites)))
    chosen = list[str]()
    for prefer in (True, False):
        asked = replace(tls, cipher_suites=suites, prefer_server_cipher_suites=prefer)
        _, theirs = shake_hands(build_context(asked), client)
        cipher = theirs.cipher()
        chosen.append(cipher[0] if cipher else "")

    assert [SUITES[suites[0]], SUITES[suites[1]]] == chosen


def test_only_newer_suites(tls: Tls, client: ssl.SSLContext) -> None:
    """
    With suites of TLS 1.3 only, TLS 1.2 is not spoken.
    """
    context = build_context(replace(tls, cipher_suites=TLS13_SUITES))
    shake_hands(context, client)
    client.maximum_version = TLS12
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


@pytest.mark.parametrize(
    ("curve", "openssl"),
    [("CurveP256", "prime256v1"), ("CurveP384", "secp384r1"), ("CurveP521", "secp521r1")],
)
def test_curve(tls: Tls, client: ssl.SSLContext, curve: str, openssl: str) -> None:
    """
    A curve that is chosen is the only one.
    """
    context = build_context(replace(tls, curves=(curve,)))
    client.set_ecdh_curve(openssl)
    shake_hands(context, client)
    client.set_ecdh_curve("prime256v1" if curve != "CurveP256" else "secp384r1")
    with pytest.raises(ssl.SSLError):
        shake_hands(context, client)


def test_curve_that_is_not_there(tls: Tls) -> None:
    """
    X25519 and its hybrid are chosen where ssl can, and else refused.
    """
    for curve in ("X25519", "X25519MLKEM768"):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(curve)
        except (ValueError, ssl.SSLError):
            expected = f"this Python's ssl cannot choose {curve}"
            assert f"tls_server_config.curve_preferences: {expected}" == refusal(
                replace(tls, curves=(curve,))
            )
        else:
            build_context(replace(tls, curves=(curve,)))


def test_required_certificate(
    tls: Tls, client: ssl.SSLContext, known_client: ssl.SSLContext, tmp_path: Path
) -> None:
    """
    Where clients have to show a certificate, those without, or with a stranger's, stay outside.
    """
    ca = Pem("tls_server_config.client_ca", authority().pem)
    context = build_context(replace(tls, client_ca=ca, client_auth="required"))
    ours, _ = shake_hands(context, known_client)
    certificate = ours.getpeercert()

    assert is_allowed(certificate, {"scraper.example.net"})
    assert not is_allowed(certificate, {"other.example.net"})
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(context, client)
    stranger = authority("strangers").issue("scraper.example.net")
    (tmp_path / "stranger.pem").write_bytes(stranger.cert + stranger.key)
    client.load_cert_chain(tmp_path / "stranger.pem")
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(context, client)


def test_optional_certificate(
    tls: Tls, client: ssl.SSLContext, known_client: ssl.SSLContext, tmp_path: Path
) -> None:
    """
    Where clients may show a certificate, those without come in, those with a stranger's do not.
    """
    ca = Pem("tls_server_config.client_ca", authority().pem)
    context = build_context(replace(tls, client_ca=ca, client_auth="optional"))
    ours, _ = shake_hands(context, known_client)
    without, _ = shake_hands(context, client)

    assert is_allowed(ours.getpeercert(), {"scraper.example.net"})
    assert not is_allowed(without.getpeercert(), {"scraper.example.net"})
    stranger = authority("strangers").issue("scraper.example.net")
    (tmp_path / "stranger.pem").write_bytes(stranger.cert + stranger.key)
    client.load_cert_chain(tmp_path / "stranger.pem")
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(context, client)


@pytest.mark.parametrize(
    ("names", "allowed", "expected"),
    [
        ((("DNS", "a.example"),), {"a.example"}, True),
        ((("DNS", "a.example"),), {"b.example"}, False),
        ((("DNS", "a.example"), ("email", "b@example")), {"b@example"}, True),
        ((("URI", "spiffe://a/b"),), {"spiffe://a/b"}, True),
        ((("DNS", "*.example"),), {"a.example"}, False),
        ((("IP Address", "10.0.0.1"),), {"10.0.0.1"}, True),
        ((("IP Address", "0:0:0:0:0:0:0:1"),), {"::1"}, True),
        ((("IP Address", "2001:DB8:0:0:0:0:0:1\n"),), {"2001:db8::1"}, True),
        ((("IP Address", "<invalid>"),), {"10.0.0.1"}, False),
        ((("Registered ID", "a.example"),), {"a.example"}, False),
        ((("DirName", ((("commonName", "a.example"),),)),), {"a.example"}, False),
        ((), {"a.example"}, False),
        ("a.example", {"a.example"}, False),
        ((), set(), True),
    ],
)
def test_allowed(names: object, allowed: set[str], expected: bool) -> None:  # noqa: FBT001
    """
    A client may come in by any of its certificate's names, and by those only.
    """
    certificate: Mapping[str, object] = {
        "subject": ((("commonName", "a.example"),),),
        "subjectAltName": names,
    }

    assert expected == is_allowed(certificate, allowed)


def test_allowed_without_certificate() -> None:
    """
    Without a certificate a client may come in only where no names are asked for.
    """
    nothing: Mapping[str, object] | None
    for nothing in (None, {}):
        assert is_allowed(nothing, ())
        assert not is_allowed(nothing, {"a.example"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        *(
            (
                {key: version},
                f"{key}: OpenSSL speaks {version} only with its security level lowered",
            )
            for key in ("min_version", "max_version")
            for version in ("TLS10", "TLS11")
        ),
        ({"min_version": "TLS1.2"}, "min_version: must be TLS12 or TLS13, not 'TLS1.2'"),
        ({"max_version": "SSL30"}, "max_version: must be TLS12 or TLS13, not 'SSL30'"),
        (
            {"min_version": "TLS13", "max_version": "TLS12"},
            "min_version: TLS13 is above max_version TLS12",
        ),
        (
            {"cipher_suites": ("TLS_RSA_WITH_AES_128_CBC_SHA",)},
            "cipher_suites: unknown, or insecure: 'TLS_RSA_WITH_AES_128_CBC_SHA'",
        ),
        (
            {"cipher_suites": (ECDSA_SUITE, "ECDHE-ECDSA-AES128-SHA")},
            "cipher_suites: unknown, or insecure: 'ECDHE-ECDSA-AES128-SHA'",
        ),
        (
            {"cipher_suites": TLS13_SUITES[1:]},
            "cipher_suites: Python's ssl cannot leave out TLS_AES_128_GCM_SHA256: " + ALL_OR_NONE,
        ),
        (
            {"cipher_suites": TLS13_SUITES, "max_version": "TLS12"},
            "cipher_suites: names no suite for max_version TLS12",
        ),
        (
            {"curves": ("CurveP224",)},
            f"curve_preferences: must be one of {CURVES}, not 'CurveP224'",
        ),
        (
            {"curves": ("CurveP256", "X25519")},
            "curve_preferences: Python's ssl takes only one, or all if none is named",
        ),
    ],
)
def test_refused(tls: Tls, changes: dict[str, object], expected: str) -> None:
    """
    What ssl cannot honour is refused with its key.
    """
    values = {name: getattr(tls, name) for name in Tls.__slots__} | changes

    assert f"tls_server_config.{expected}" == refusal(Tls(**values))


def test_unsuitable_suites(tls: Tls) -> None:
    """
    A version that no client could connect with, for want of a suite that fits the key, is refused.
    """
    suites = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",)
    expected = "tls_server_config: no client could connect with TLS12: no shared cipher"

    assert expected == refusal(replace(tls, cipher_suites=suites))


def test_missing_suite(tls: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A suite that this OpenSSL was built without is refused.
    """
    monkeypatch.setattr(ssl.SSLContext, "get_ciphers", lambda _context: [])
    expected = f"tls_server_config.cipher_suites: {ECDSA_SUITE} is not in this OpenSSL"

    assert expected == refusal(replace(tls, cipher_suites=(ECDSA_SUITE,)))


CERT = "tls_server_config.cert: no certificate in PEM that OpenSSL can read"
KEY = "tls_server_config.key: no private key in PEM that OpenSSL can read"


def test_bad_pair(tls: Tls) -> None:
    """
    A bad certificate is blamed on the certificate, a bad key on the key.
    """
    cert, key = tls.cert.data, tls.private_key.data
    pairs = {
        (b"", key): CERT,
        (b"junk", key): CERT,
        (key, key): CERT,
        (cert[:300], key): CERT,
        (cert[:300] + b"\n-----END CERTIFICATE-----\n", key): CERT,
        (cert, b""): KEY,
        (cert, b"junk"): KEY,
        (cert, cert): KEY,
        (cert, key[:100]): KEY,
        (cert, client_certificate().key): "tls_server_config.key: belongs to another certificate",
    }
    reasons = {pair: refusal(make_tls(Issued(*pair))) for pair in pairs}

    assert pairs == reasons


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    """
    Run the openssl program.
    """
    command = ["openssl", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def test_encrypted_key(tls: Tls) -> None:
    """
    An encrypted key is refused: nobody is asked for its password.
    """
    for arguments in (["ec", "-aes128"], ["pkcs8", "-topk8"]):
        encrypted = openssl(*arguments, "-passout", "pass:x", stdin=tls.private_key.data)
        asked = replace(tls, private_key=Pem("tls_server_config.key_file", encrypted))
        reason = "the key is encrypted, and nobody is there to type its password"

        assert f"tls_server_config.key_file: {reason}" == refusal(asked)


def test_small_key(tmp_path: Path) -> None:
    """
    A certificate that OpenSSL finds too weak is refused as such.
    """
    name = str(tmp_path / "pair.pem")
    arguments = ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x"]
    openssl(*arguments, "-keyout", name, "-out", f"{name}.crt")
    issued = Issued(Path(f"{name}.crt").read_bytes(), Path(name).read_bytes())
    expected = "tls_server_config.cert: its key is too small for OpenSSL"

    assert expected == refusal(make_tls(issued))


@pytest.mark.parametrize(
    "data", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_bad_authority(tls: Tls, data: bytes) -> None:
    """
    A client_ca without a certificate is refused.
    """
    ca = Pem("tls_server_config.client_ca_file", data)
    expected = "tls_server_config.client_ca_file: no certificate in PEM that OpenSSL can read"

    assert expected == refusal(replace(tls, client_ca=ca, client_auth="required"))


def test_complaint(tls: Tls) -> None:
    """
    An expired certificate is served, but there is something to say about it.
    """
    expired = make_tls(authority().issue("localhost", expired=True))
    required = replace(tls, client_ca=tls.cert, client_auth="required")

    build_context(expired)

    assert "certificate has expired" == find_complaint(expired)
    assert "" == find_complaint(tls)
    assert "" == find_complaint(required)


def test_nothing_is_left(tls: Tls) -> None:
    """
    Certificates and keys leave no file and no descriptor behind.
    """
    before = sorted(Path("/proc/self/fd").iterdir())
    build_context(tls)
    refusal(replace(tls, private_key=Pem("k", b"")))

    assert before == sorted(Path("/proc/self/fd").iterdir())
