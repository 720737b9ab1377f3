"""
One message's parts -> what they say: which entry of the catalogue, which words, which milter.

The only state is the set of milter names, since those decide between two readings of a line, and
beside it the tags that nothing is known of.  Counts nothing and reads no files.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.catalogue import OTHER, Catalogue, Match, Message
from exporter.mailchecks import Check, find_checks
from exporter.milters import MilterNames
from exporter.record import Parts, may_be_cut
from exporter.unknown import UnknownTags

UNKNOWN_LEVEL = "unknown"

# What filters are known to add, as IANA's registry of message headers or the filter's own manual
# spells it: RFC 8601, 6376, 7208, 8617; SpamAssassin, amavis, rspamd, ClamAV, milter-greylist,
# OpenDKIM, OpenDMARC, Bogofilter, CRM114, DSPAM, MIMEDefang, Exim's SA, Sophos, F-Secure.
HEADERS = (
    "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal", "Authentication-Results",
    "DKIM-Filter", "DKIM-Signature", "DomainKey-Signature", "OpenDMARC-Filter", "OpenARC-Filter",
    "Received-SPF", "Subject",
    "X-Amavis-Alert", "X-Amavis-Modified", "X-Amavis-PolicyBank", "X-Bogosity", "X-CRM114-Status",
    "X-DKIM", "X-DSPAM-Confidence", "X-DSPAM-Probability", "X-DSPAM-Result", "X-DSPAM-Signature",
    "X-Greylist", "X-Milter", "X-Original-Authentication-Results", "X-Quarantine-ID",
    "X-Rspamd-Action", "X-Rspamd-Bar", "X-Rspamd-Pre-Result", "X-Rspamd-Queue-Id",
    "X-Rspamd-Report", "X-Rspamd-Score", "X-Rspamd-Server", "X-Scanned-By", "X-Sender-ID",
    "X-SenderID", "X-Sid-PRA", "X-Sid-Result", "X-Spam", "X-Spam-Action", "X-Spam-Bar",
    "X-Spam-Checker-Version", "X-Spam-DCC", "X-Spam-Details", "X-Spam-Flag", "X-Spam-Level",
    "X-Spam-Orig-To", "X-Spam-Prev-Subject", "X-Spam-Pyzor", "X-Spam-Relay-Country",
    "X-Spam-Report", "X-Spam-Result", "X-Spam-Score", "X-Spam-Score-Int", "X-Spam-Status",
    "X-Spam-Symbols", "X-Spam-Tests", "X-Spam-Threshold", "X-Spamd-Bar", "X-Spamd-Result",
    "X-Tarpit", "X-Virus", "X-Virus-Checked", "X-Virus-Report", "X-Virus-Scanned",
    "X-Virus-Scanner", "X-Virus-Status", "X-Virus-Version",
)  # fmt: skip
HEADER_LABELS = {name.lower().encode(): name for name in HEADERS}

HEADER = re.compile(rb": <(.*?)>=<(.*)", re.DOTALL)
SIGNATURES = (b": <DKIM-Signature>=", b": <ARC-Seal>=", b": <ARC-Message-Signature>=")
CHILD = re.compile(rb" \[\d++\](?> (.*+)|)", re.DOTALL)
GLUED = re.compile(rb"\[children\]\[error\]\[invalid-state\]\[[a-z-]++\]\[[a-z-]++\]")
BRACKETS_AND_SIZE = re.compile(rb" \[(.*)\] <\d++>", re.DOTALL)
FINISHED = re.compile(rb"^(?: \d{1,18}\(\+(\d{1,18})\) (\d{1,18})$|.*)", re.MULTILINE)
MEMORY = re.compile(rb" \((\d{1,15})KB\)(?: .*)?", re.DOTALL)
LONGEST_SECONDS = 1e9  # more would, added up, make a sum infinite for good
NUMBER = re.compile(rb"[-+]?\d+(?:[.,]\d*)?(?:[eE][-+]?\d+)?")


def find_bracketed(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " [name] text".
    """
    return names.first(text[2:] + b" ", b"] ") if text.startswith(b" [") else None


def find_bracketed_alone(_names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " [name]".
    """
    return text[2:-1] if text.startswith(b" [") and text.endswith(b"]") else None


def find_bracketed_with_size(_names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " [name] <123>".
    """
    match = BRACKETS_AND_SIZE.fullmatch(text)
    return match[1] if match else None


def find_child(_names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " [id] name".
    """
    child = CHILD.fullmatch(text)
    return (child[1] or b"") if child else None


def find_last_of_child(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " [id] error: name".
    """
    child = CHILD.fullmatch(text)
    return names.last(child[1] or b"", b": ", cut=may_be_cut(len(text))) if child else None


def find_last(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " text: name".
    """
    return names.last(text, b": ", cut=may_be_cut(len(text)))


def find_only_allowed(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in "<header>=<value> [id] only allowed in end of message session: name".
    """
    _, found, name = text.rpartition(b"] only allowed in end of message session: ")
    return name if found and (name in names or not may_be_cut(len(text))) else None


def find_angled(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in " <name>: text".
    """
    return names.first(text[2:], b">: ") if text.startswith(b" <") else None


def find_of_header(names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in ": <header>=<value>: name"; the value is a stranger's, what follows is not.
    """
    if text.endswith(b">:"):  # an empty name, its blank lost
        text += b" "
    value, found, name = text.rpartition(b">: ")
    if not found:
        return None
    # A signature is long, nearly always of the same length, and none of a stranger's words.
    trusted = name in names or value.startswith(SIGNATURES) or not may_be_cut(len(text))
    return name if trusted else None


def split_value(text: bytes) -> bytes:
    """
    Give the value in "value>: name"; everything where there is no name.
    """
    if text.endswith(b">:"):  # see find_of_header
        text += b" "
    value, found, _ = text.rpartition(b">: ")
    return value if found else text


def find_value(names: MilterNames, text: bytes) -> bytes:
    """
    Find the value in ": <header>=<value>: name"; of a line that was cut what is left of it.
    """
    header = HEADER.fullmatch(text)
    value = header[2] if header else b""
    return value if find_of_header(names, text) is None else split_value(value)


def find_of_end(_names: MilterNames, text: bytes) -> bytes | None:
    """
    Find the name in ": name"; an empty one may have lost its blank, as in the journal.
    """
    return text[2:] if text.startswith(b":") else None


# The key `milter` of catalogue.toml.
FINDERS: Mapping[str, Callable[[MilterNames, bytes], bytes | None]] = {
    "brackets": find_bracketed,
    "brackets-alone": find_bracketed_alone,
    "brackets-size": find_bracketed_with_size,
    "child": find_child,
    "child-last": find_last_of_child,
    "last": find_last,
    "only-allowed": find_only_allowed,
    "angle": find_angled,
    "header": find_of_header,
    "end": find_of_end,
}


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What a message says, in words that are safe as label values.
    """

    outcome: str
    """recognised, unknown (tags that the catalogue lacks) or untagged."""
    level: str
    """The output level."""
    message: Message | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    milter: str | None = None
    """The milter's label; `other` where the line should name one and its name is lost."""
    header: str | None = None
    harmless: bool = False
    dropped: tuple[str, ...] = ()
    """Where a word was outside its list or a value was lost."""
    checks: tuple[Check, ...] = ()
    """What the header says of the mail."""


def read_finished(texts: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """
    Read texts like " 29(+2) 3": a process's sessions since its last such line, and in progress.

    Digits, or nothing twice for what is something else.  All at once takes half of the time.
    """
    found: list[tuple[bytes, bytes]] = FINISHED.findall(b"\n".join(texts))
    return found


def read_memory(text: bytes) -> int | None:
    """
    Read the bytes of a [maintain][memory] line; None when it is something else.
    """
    match = MEMORY.fullmatch(text)
    return int(match[1]) * 1024 if match else None


def read_elapsed(elapsed: bytes) -> float | None:
    """
    Read C's %g in any locale, in seconds; None for what is no number, or none of a session's.

    The program takes the wall clock, so that a clock set back makes it negative: that is 0 here,
    since a histogram's sum must not fall.
    """
    if not NUMBER.fullmatch(elapsed):
        return None
    seconds = float(elapsed.replace(b",", b".") if b"," in elapsed else elapsed)
    if 0.0 <= seconds < LONGEST_SECONDS:
        return seconds
    return 0.0 if -LONGEST_SECONDS < seconds < 0.0 else None


class Recogniser:
    """
    Says what messages mean; keeps the milter names.
    """

    def __init__(self, catalogue: Catalogue, names: MilterNames) -> None:
        """
        Use a catalogue, and the names seen so far.
        """
        self._catalogue = catalogue
        self.names = names
        self.unknown_tags = UnknownTags()
        """For whoever counts lines; all inputs share it, as they do the names."""

    def recognise(self, parts: Parts, stamped_level: str | None) -> Reading:
        """
        Say what a message means; `stamped_level` is what its line's stamp tells, if anything.
        """
        # The mark first: to syslog, statistics are notices as messages are.
        level = "statistics" if parts.marked else stamped_level or UNKNOWN_LEVEL
        if not parts.tags:
            return self._recognise_untagged(parts, level)
        match = self._find(parts)
        if match is None:
            return Reading("unknown", level)
        message = match.messages[0]
        if message.text and not parts.text.startswith(b" " + message.text.encode()):
            return Reading("unknown", level)
        if len(match.messages) > 1:
            same = [m for m in match.messages if m.level == level]
            message = same[0] if same else message
        else:
            level = message.level
        return self._read(message, match.words, match.unlisted, level, parts)

    def depends_on_level(self, parts: Parts) -> bool:
        """
        Say whether what a line's stamp tells of the level may change what the message means.

        Also where it is the text that decides: neither is known by the tags alone.
        """
        match = self._find(parts) if parts.tags else None
        if match is None or len(match.messages) > 1:
            return not parts.marked
        text = match.messages[0].text
        return bool(text) and not parts.text.startswith(b" " + text.encode())

    def header_line(self, level: str, header: str) -> Reading:
        """
        Give the reading of a [milter][header][add] line whose milter is not known yet.
        """
        message = next(m for m in self._catalogue.messages if m.counts == "milter_header")
        return Reading("recognised", level, message, {}, OTHER, header)

    def _recognise_untagged(self, parts: Parts, level: str) -> Reading:
        if parts.elapsed or parts.id:
            return Reading("untagged", level)
        message = self._catalogue.find_text(parts.text)
        return (
            Reading("recognised", message.level, message) if message else Reading("untagged", level)
        )

    def _find(self, parts: Parts) -> Match | None:
        if parts.text[:1] in b" :":
            match = self._catalogue.find(parts.tags + (b"[{elapsed}]" if parts.elapsed else b""))
            if match:
                return match
        # One message has text glued to its tags, and that may look like more of them.
        glued = GLUED.match(parts.tags)
        match = self._catalogue.find(glued[0]) if glued else None
        return match if match and match.messages[0].milter == "only-allowed" else None

    def _read(
        self,
        message: Message,
        words: Mapping[str, str],
        unlisted: tuple[str, ...],
        level: str,
        parts: Parts,
    ) -> Reading:
        dropped = list(unlisted)
        header = None
        checks: tuple[Check, ...] = ()
        if message.counts in ("milter_header", "session_header"):
            header = HEADER_LABELS.get(self._header_name(parts.text), OTHER)
            if header == OTHER:
                dropped.append("header")
        milter = None
        if header and message.counts == "milter_header":
            checks = find_checks(header, find_value(self.names, parts.text))
        if message.milter:
            milter = self._name_milter(message.milter, parts.text)
        text = parts.text[1:].decode("utf-8", "replace") if message.harmless else ""
        return Reading(
            "recognised",
            level,
            message,
            {**words, **message.fixed},
            milter,
            header,
            bool(message.harmless) and text.startswith(message.harmless),
            tuple(dropped),
            checks,
        )

    def _header_name(self, text: bytes) -> bytes:
        match = HEADER.fullmatch(text)
        return match[1].lower() if match else b""

    def _name_milter(self, how: str, text: bytes) -> str | None:
        """
        Give the label of the milter that a text names, `other` when it should and does not.
        """
        name = FINDERS[how](self.names, text)
        if name is not None:
            return self.names.label(name)
        # [children][error][negotiate] comes with and without a child.
        return None if how == "child-last" and not CHILD.match(text) else OTHER
