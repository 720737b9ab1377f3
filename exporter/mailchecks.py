"""
An added header -> what it says of the mail: pairs (check, result), in words of fixed lists.

Never gives a byte of the value on: what is on no list is `other`.  Counts nothing and knows no log.

Each header says one thing, in a check of its own, so that a filter that writes X-Spam-Flag beside
X-Spam-Status is not counted twice in either; Authentication-Results says several.  What a header
does not say raises nothing: an empty value, or "none" in place of all results (RFC 8601, 2.2).
ARC-Authentication-Results repeats what its sealer wrote into Authentication-Results (RFC 8617,
4.1.1) and is left out; the method arc is counted from the latter.

Why not `authres`, the library for Authentication-Results: its last release is of 2019; it takes 390
us for a header with three results, where this module takes 5 and a whole line of the log 1.4; it
refuses a header whole that was cut in the middle, as syslog does, and 500 nested parentheses, which
strangers may write, end in a RecursionError.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TypeAlias

from exporter.catalogue import OTHER

Check: TypeAlias = tuple[str, str]
"""What was checked and what came out."""

# IANA, "Email Authentication Result Names", the deprecated ones included.
RESULTS: Mapping[str, tuple[str, ...]] = {
    "arc": ("fail", "none", "pass"),  # RFC 8617, 4.1.1
    "auth": ("fail", "none", "pass", "permerror", "temperror"),  # RFC 8601, 2.7.4
    "dkim": ("fail", "neutral", "none", "pass", "permerror", "policy", "temperror"),
    "dkim-adsp": (
        "discard", "fail", "none", "nxdomain", "pass", "permerror", "temperror", "unknown",
    ),
    # RFC 6541, 8.3, and neutral, which OpenDKIM writes into every header.
    "dkim-atps": ("fail", "neutral", "none", "pass", "permerror", "temperror"),
    "dmarc": ("fail", "none", "pass", "permerror", "temperror"),  # RFC 7489, 11.2
    "iprev": ("fail", "pass", "permerror", "temperror"),  # RFC 8601, 2.7.3
    "sender-id": (
        "fail", "hardfail", "neutral", "none", "pass", "permerror", "policy", "softfail",
        "temperror",
    ),
    "spf": (
        "fail", "hardfail", "neutral", "none", "pass", "permerror", "policy", "softfail",
        "temperror",
    ),
}  # fmt: skip

# The first word of a header that says one thing, and what it comes to.
SPAM = {"yes": "yes", "no": "no"}
WORDS: Mapping[str, Mapping[str, str]] = {
    # RFC 7208, 9.1
    "received-spf": {
        word: word
        for word in ("fail", "neutral", "none", "pass", "permerror", "softfail", "temperror")
    },
    "spam": SPAM,
    "spam-flag": SPAM,
    "spam-status": SPAM,
    "virus": {"clean": "clean", "infected": "infected"},
}

MOST_BYTES = 8192
"""Of a value: as much as rsyslog leaves of a line, so that the program's own file says no more."""
MEMO_VALUES = 1024
"""Filters with little to say repeat themselves."""

FOLD = re.compile(rb"#01[125]")  # rsyslog's tab, newline and return
WORD_END = re.compile(rb"[\s(,;:]")
# RFC 8601, 2.2: ";" method ["/" version] "=" result.  Wider than its words, so that any other is
# seen, and counted as other.
RESULT = re.compile(rb";\s*+([^\s;=/]++(?>\s*+/\s*+\d++|))\s*+=\s*+([^\s;]*+)")
# A header of another version than 1, which speaks another language.
FOREIGN = re.compile(rb"\s*+[^\s;]++\s++(?!1\s*+(?:;|$))\d++\s*+(?:;|$)")
ASIDE = re.compile(rb"[(;]")
FLAT_COMMENT = re.compile(rb"\([^()]*+\)")
TOKEN = re.compile(rb'[^()"\\]++|\\.|[()"\\]', re.DOTALL)
URIBL = re.compile(rb"\buribl_(\w++)")
REFUSED = re.compile(rb"blocked|error")

KNOWN_RESULTS: Mapping[tuple[bytes, bytes], Check] = {
    (method.encode(), result.encode()): (method, result)
    for method, results in RESULTS.items()
    for result in results
}
OTHER_RESULTS: Mapping[bytes, Check] = {method.encode(): (method, OTHER) for method in RESULTS}
OTHER_CHECK: Check = (OTHER, OTHER)


def find_checks(header: str, value: bytes) -> tuple[Check, ...]:
    """
    Say what a header tells of a mail; `header` is its name as `recognise.HEADERS` spells it.
    """
    return read_value(header, value[:MOST_BYTES]) if header in READERS else ()


@lru_cache(MEMO_VALUES)
def read_value(header: str, value: bytes) -> tuple[Check, ...]:
    """
    Read the value of one of the headers that say something.
    """
    text = value.lower()
    if b"#01" in text:
        text = FOLD.sub(b" ", text)
    return () if text.isspace() or not text else tuple(READERS[header](text))


def read_results(text: bytes) -> list[Check]:
    """
    Read Authentication-Results; one without the name of its server in front as well.
    """
    if b"(" in text or b'"' in text:
        text = drop_asides(text)
    found: list[tuple[bytes, bytes]] = RESULT.findall(b";" + text)
    if FOREIGN.match(text):
        return [OTHER_CHECK] * len(found)
    return [KNOWN_RESULTS.get(one) or read_odd_result(*one) for one in found]


def read_odd_result(method: bytes, result: bytes) -> Check:
    """
    Read a result with a version beside its method, or one that is on no list.
    """
    name, _, version = method.partition(b"/")
    if version.strip() not in {b"", b"1"}:
        return OTHER_CHECK
    known = KNOWN_RESULTS.get((name.strip(), result))
    return known or OTHER_RESULTS.get(name.strip(), OTHER_CHECK)


def drop_asides(text: bytes) -> bytes:
    """
    Leave out comments, nested ones too, and quoted strings, to the end where they do not end.
    """
    if b'"' not in text and b"\\" not in text:
        plain = FLAT_COMMENT.sub(b" ", text)
        if b"(" not in plain:
            return plain
    kept: list[bytes] = []
    depth, quoted = 0, False
    for token in TOKEN.findall(text):
        if quoted:
            quoted = token != b'"'
        elif token == b"(":
            depth += 1
        elif token == b")":
            depth = max(depth - 1, 0)
        elif depth == 0:
            quoted = token == b'"'
            kept.append(b" " if quoted else token)
    return b" ".join(kept)


def read_greylist(text: bytes) -> list[Check]:
    """
    Read X-Greylist as milter-greylist, postgrey and SQLgrey write it.
    """
    said = ASIDE.split(text, maxsplit=1)[0].lstrip()  # host names and a date follow
    if b"spf-compliant" in said:
        result = "spf-compliant"
    elif said.startswith(b"delayed"):
        result = "delayed"
    elif b"whitelist" in said or b"not delayed" in said:
        result = "whitelisted"
    else:
        result = OTHER
    # "Message whitelisted by tarpit 85s": the client bore the wait
    return [("greylist", result)] + [("tarpit", "pass")] * (b"tarpit" in said)


def read_spam_status(text: bytes) -> list[Check]:
    """
    Read X-Spam-Status as SpamAssassin writes it: yes or no, and the URIs on block lists.
    """
    # URIBL_BLOCKED and the like: the list gives this server no answers.
    found = {
        "blocked" if REFUSED.search(test) else "listed"
        for test in URIBL.findall(text.partition(b"tests=")[2])
    }
    return read_word("spam-status", text) + [("uribl", result) for result in sorted(found)]


def read_word(check: str, text: bytes) -> list[Check]:
    """
    Read a header whose first word is all that matters.
    """
    word = WORD_END.split(text.lstrip(), maxsplit=1)[0].decode("ascii", "replace")
    return [(check, WORDS[check].get(word, OTHER))]


READERS: Mapping[str, Callable[[bytes], list[Check]]] = {
    "Authentication-Results": read_results,
    "Received-SPF": partial(read_word, "received-spf"),
    "X-Greylist": read_greylist,
    "X-Spam": partial(read_word, "spam"),
    "X-Spam-Flag": partial(read_word, "spam-flag"),
    "X-Spam-Status": read_spam_status,
    "X-Virus-Status": partial(read_word, "virus"),
}
