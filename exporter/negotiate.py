"""
Content negotiation: what a client says it accepts in, the one format and coding to answer in out.

It never raises, whatever a header holds, and never reads a request or renders an answer.
"""

import re

_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
# The versions prometheus_client writes.  Its choose_encoder repeats any version it is sent in the
# answer's Content-Type and raises on one that is not a number, so it sees no others.
_FORMATS = {
    "application/openmetrics-text": ("", "1.0.0"),
    "text/plain": ("", "0.0.4", "1.0.0"),
}
_ANY_TEXT = ("*/*", "text/*")
LANGUAGES = ("en", "ja")
"""What the landing page speaks; the first for who wants none of them."""


def preferences(header: str) -> list[tuple[float, str, dict[str, str]]]:
    """
    Read an Accept header of any kind: weight, name and parameters, most wanted first.

    A weight that is none counts as 0, which is "not acceptable" (RFC 9110, 12.4.2).
    """
    wanted: list[tuple[float, str, dict[str, str]]] = []
    for part in header.lower().split(","):
        name, *rest = (piece.strip() for piece in part.split(";"))
        pairs = (piece.partition("=") for piece in rest)
        parameters = {key.strip(): value.strip(' "') for key, _, value in pairs}
        weight = parameters.pop("q", "1")
        wanted.append((float(weight) if _QVALUE.fullmatch(weight) else 0.0, name, parameters))
    return sorted(wanted, key=lambda preference: -preference[0])


def accepts_gzip(header: str) -> bool:
    """
    Tell whether the client wants gzip, and no less than the plain answer.
    """
    weights = {name: weight for weight, name, _ in preferences(header)}
    weight = weights.get("gzip", weights.get("*", 0.0))
    return weight > 0 and weight >= weights.get("identity", 0.0)


def choose_accept(header: str) -> str:
    """
    Pick the one format to answer in, as an Accept header that prometheus_client understands.

    Nothing acceptable is answered in the plain text format, as all Prometheus clients do.
    """
    for weight, name, parameters in preferences(header):
        if weight == 0 or name in _ANY_TEXT:
            return ""
        version = parameters.get("version", "")
        if version in _FORMATS.get(name, ()):
            escaping = parameters.get("escaping", "")
            return f"{name};version={version};escaping={escaping}"
    return ""


def choose_language(header: str) -> str:
    """
    Pick the language to answer in: the most wanted of `LANGUAGES`, equals in the header's order.

    "ja-JP" is served "ja" (RFC 4647, 3.4); "*" is any that the header does not name.
    """
    wanted = [(weight, name.partition("-")[0]) for weight, name, _ in preferences(header)]
    named = {name for _, name in wanted}
    for weight, name in wanted:
        choices = [one for one in LANGUAGES if one == name or (name == "*" and one not in named)]
        if weight > 0 and choices:
            return choices[0]
    return LANGUAGES[0]
