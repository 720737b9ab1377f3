"""
A second count of a log, naive on purpose: whole lines, one at a time, plain splitting.

Written from what the program writes (messages.tsv, a copy of its log list), not from the exporter,
of which it imports nothing.  Slow, without limits, and easily fooled by what no capture holds.
"""

import re
from collections import Counter
from collections.abc import Iterator

from dialects import entries

Numbers = Counter[tuple[str, ...]]

SYSLOG = re.compile(
    rb"[^\[\]]{14,60} milter-manager(?:-process-launcher|\.service)?\[\d+\]: ?(.*)", re.DOTALL
)
RFC5424 = re.compile(rb"<\d+>1 \S+ \S+ milter-manager \d+ - - +(.*)", re.DOTALL)
OWN = re.compile(
    rb"(?:\[[a-z]+\])?(?:\[milter-manager\])?\[2\d{3}-[^\]]+Z\]"
    rb"(?: \[milter-manager\])?(?: ?\[\d+\])?"
    rb"(?: \.\./src/\S+ \S+\(\))?: (.*)",
    re.DOTALL,
)
REPEATED = re.compile(rb"message repeated (\d+) times: \[ (.*)\]", re.DOTALL)
NEW_OWN_LINE = re.compile(rb"\n(?=(?:\[[a-z]+\])?(?:\[milter-manager\])?\[2\d\d\d-\d\d-\d\dT)")
# The log list leaves these tags out.
MORE_TAGS = {
    "45": "[--x]",
    **dict.fromkeys(("98", "99", "100", "101", "102"), "[#{state}]"),
    **dict.fromkeys(("104", "105", "106"), "[#{state}][#{fallback_status}]"),
}


class LogList:
    """
    The log list, made to find a message's place in it.
    """

    def __init__(self) -> None:
        """
        Read messages.tsv.
        """
        self.exact: dict[str, tuple[str, str, str, str]] = {}
        self.shaped: list[tuple[re.Pattern[str], tuple[str, str, str, str]]] = []
        self.texts: dict[str, tuple[str, str, str, str]] = {}
        for entry in entries():
            tags = entry.documented_tags.removeprefix("(not documented) ")
            level = entry.real_level
            if level.startswith("not in"):
                level = entry.documented_level
            module = entry.module.replace("-", "other")
            found = (entry.number, module, level, tags.replace("#{", "{"))
            if entry.number in ("123", "124") or "GLib" in tags or tags == "(untagged)":
                continue
            if not tags.startswith("["):
                self.texts[tags.rstrip(":")] = found
                continue
            whole = tags.replace("[#{elapsed}]", "") + MORE_TAGS.get(entry.number, "")
            if "#{" in whole:
                shape = "[a-z-]+".join(map(re.escape, re.split(r"#\{\w+\}", whole)))
                self.shaped.append((re.compile(shape), found))
            else:
                self.exact[whole] = found

    def find(self, tags: str, text: str) -> tuple[str, str, str, str] | None:
        """
        Find number, module, level and tags: a fixed run comes before a run with holes.
        """
        if re.fullmatch(r"\[(GLib.*|milter-.*)\]", tags):
            return ("X6", "other", "unknown", "[{GLib domain}]")
        if not tags:
            starts = [start for start in self.texts if text.startswith(start + ":")]
            return self.texts[max(starts, key=len)] if starts else None
        if tags in self.exact:
            return self.exact[tags]
        for shape, found in self.shaped:
            if shape.fullmatch(tags):
                return found
        return None


def messages_of(log: bytes) -> Iterator[bytes | None]:
    """
    Give what the program said, message by message; None for another program's line.
    """
    own = log.startswith(b"[")
    for line in NEW_OWN_LINE.split(log[:-1]) if own else log[:-1].split(b"\n"):
        match = (OWN if own else SYSLOG).fullmatch(line) or RFC5424.fullmatch(line)
        yield match[1] if match else None


def split_tags(message: str) -> tuple[str, str]:
    """
    Split the run of tags from the text: tags are not numbers, and hold no blank.
    """
    tags, rest = "", message
    while rest.startswith("[") and "]" in rest:
        tag, _, after = rest[1:].partition("]")
        if " " in tag or tag[:1].isdigit() or tag[:2] in ("-0", "-1"):
            break
        tags, rest = f"{tags}[{tag}]", after
    return tags, rest


def count(log: bytes) -> Numbers:
    """
    Count a whole log.
    """
    log_list = LogList()
    numbers: Numbers = Counter()
    known = {
        found[1].decode()
        for message in messages_of(log)
        if message and (found := re.search(rb"\[milter\]\[end\]\S+\): (.*)", message))
    }
    for message in messages_of(log):
        if message is None:
            numbers["lines", "foreign"] += 1
            continue
        numbers["lines", "malformed"] += message.count(b"\n")
        repeated = REPEATED.fullmatch(message)
        times = int(repeated[1]) if repeated else 1
        text = (repeated[2] if repeated else message).decode("utf-8", "replace")
        for key in keys_of(log_list, text, known):
            numbers[key] += times
        finished = re.search(r"\[sessions\]\[finished\] \d+\(\+(\d+)\)", text)
        if finished and text.removeprefix("[statistics] ").startswith("[sessions]"):
            numbers["sessions_finished",] += int(finished[1]) * times
    return +numbers


def keys_of(log_list: LogList, text: str, known: set[str]) -> Iterator[tuple[str, ...]]:
    """
    Name what one message counts for.
    """
    text = re.sub(r"^\[\d+\] ", "", text.removeprefix("[statistics] "))
    tags, rest = split_tags(text)
    found = log_list.find(tags, rest)
    if found is None:
        yield ("lines", "unknown" if tags else "untagged")
        return
    number, module, level, documented = found
    yield ("lines", "recognised")
    yield ("log_messages", module, level, documented)
    words = tags.strip("[]").split("][")
    milter = milter_of(number, rest, known)
    if milter is not None:
        yield ("milter_messages", milter, level, documented)
    if number == "85" and rest.startswith(" invalid state to reply: "):
        yield ("harmless_messages", module, level, documented)
    yield from more_keys_of(number, words, milter or "")


def more_keys_of(  # noqa: C901 - a plain list of cases
    number: str, words: list[str], milter: str
) -> Iterator[tuple[str, ...]]:
    """
    Name what messages with a metric of their own count for.
    """
    if number == "143":
        yield ("sessions_ended", words[2], words[3])
    elif number == "142":
        yield ("milters_ended", milter, words[2], words[3])
    elif number == "144":
        yield ("sessions_disconnected",)
    elif number == "47":
        yield ("quarantines",)
    elif number == "141":
        yield ("milter_headers", milter)
    elif number == "145":
        yield ("session_headers",)
    elif number == "107":
        yield ("milter_fallbacks", milter, words[2], words[3])
    elif number == "112":
        yield ("milter_timeouts", milter, "connection", "", "")
    elif number in ("104", "105", "106"):
        yield ("milter_timeouts", milter, words[2], words[3], words[4])
    elif number == "52":
        yield ("milter_invalid_responses", milter, words[2], words[5])
    elif number in ("98", "99", "100", "101", "102", "103"):
        yield ("milter_invalid_responses", milter, words[3], words[4])


def milter_of(  # noqa: PLR0911 - a plain list of cases
    number: str, rest: str, known: set[str]
) -> str | None:
    """
    Find the milter's name the way the message has it; no name here holds the signs around it.
    """
    if number in ("48", "49", "50", "51", "52", "53", "54", "55", "56"):
        return re.sub(r"(?<=.)\](?: .*)?$", "", rest[2:], count=1)
    if number in ("98", "99", "100", "101", "102", "104", "105", "106", "112"):
        return rest.partition("] ")[2].replace("\t", "#011")
    if number in ("94", "103", "107", "108", "109", "113", "119", "120", "121"):
        longest = max((n for n in known if rest.endswith(": " + n)), key=len, default=None)
        return longest or rest.rpartition(": ")[2].replace("\t", "#011")
    if number == "122":
        return rest[2:].partition(">: ")[0]
    if number == "141":
        return rest.rpartition(">: ")[2] if ">: " in rest else "other"
    if number == "142":
        return rest.partition("): ")[2].replace("\t", "#011")
    return None
