"""
A second count of the mail checks in a log, naive on purpose: one character after the other.

    python tests/mail_checks_count.py LOG...

Written from RFC 8601, IANA's registry and what the filters write; imports nothing of the exporter.
Slow, for whole captures, and easily fooled by what no capture holds.
"""

import lzma
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

Checks = Counter[tuple[str, str, str]]
"""Milter, check, result -> how often."""

# The registry "Email Authentication Result Names", a row a method.
REGISTRY = """
auth       fail none pass permerror temperror
arc        fail none pass
dkim       fail neutral none pass permerror policy temperror
dkim-adsp  discard fail none nxdomain pass permerror temperror unknown
dkim-atps  fail none pass permerror temperror neutral
dmarc      fail none pass permerror temperror
iprev      fail pass permerror temperror
sender-id  fail hardfail neutral none pass permerror policy softfail temperror
spf        fail hardfail neutral none pass permerror policy softfail temperror
"""  # OpenDKIM's neutral for dkim-atps is not in the registry
METHODS = {row.split()[0]: row.split()[1:] for row in REGISTRY.strip().splitlines()}
FIRST_WORDS = {
    "x-spam": ("spam", "yes no"),
    "x-spam-flag": ("spam-flag", "yes no"),
    "x-spam-status": ("spam-status", "yes no"),
    "x-virus-status": ("virus", "clean infected"),
    "received-spf": ("received-spf", "fail neutral none pass permerror softfail temperror"),
}
PROGRAM = re.compile(r"milter-manager(?:\[\d+\]:| \d+ - -) *(.*)", re.DOTALL)
ADDED = "[milter][header][add]("


def messages_of(log: str) -> Iterator[tuple[int, str]]:
    """
    Give the messages and how often each stands there; folded ones of the program's file whole.
    """
    own = log.startswith("[")
    records: list[str] = []
    for line in log.split("\n"):
        if own and records and not line.startswith("["):
            records[-1] += "\n" + line
        else:
            records.append(line)
    for record in records:
        found = PROGRAM.search(record)
        if not own and not found:
            continue
        message = found[1] if found and not own else record
        times = 1
        repeated = re.match(r"message repeated (\d+) times: \[ ", message)
        if repeated:
            times, message = int(repeated[1]), message[repeated.end() :].removesuffix("]")
        yield times, message


def headers_of(log: str) -> Iterator[tuple[int, str, str, str]]:
    """
    Give the headers that child milters added: how often, milter, name in small letters, value.
    """
    for times, message in messages_of(log):
        start, found, rest = message.partition(ADDED)
        if not found or "<" in start:  # another header's value
            continue
        header, _, rest = rest.partition("): <")[2].partition(">=<")
        value, named, milter = rest.rpartition(">: ")
        if named:
            yield times, milter, header.lower(), value
        else:
            yield times, "other", header.lower(), rest


def parts_of(value: str) -> list[str]:
    """
    Split at semicolons, comments and quoted strings taken out.
    """
    parts, depth, quoted, escaped = [""], 0, False, False
    for sign in value:
        if escaped:
            escaped = False
        elif sign == "\\" and (depth or quoted):
            escaped = True
        elif quoted:
            quoted = sign != '"'
        elif sign == "(":
            depth += 1
        elif sign == ")":
            depth -= 1
        elif depth:
            continue
        elif sign == '"':
            quoted = True
        elif sign == ";":
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def checks_of(header: str, value: str) -> list[tuple[str, str]]:
    """
    Say what a header tells.
    """
    value = value.replace("#012", "\n").replace("#011", "\t").lower().strip()
    if header == "authentication-results":
        return [one for part in parts_of(value)[1:] for one in result_of(part)]
    if header == "x-greylist" and value:
        return greylist_of(value)
    if header not in FIRST_WORDS or not value:
        return []
    check, words = FIRST_WORDS[header]
    word = value.replace(",", " ").split()[0]
    found = [(check, word if word in words.split() else "other")]
    if header == "x-spam-status":
        tests = value.partition("tests=")[2].replace(",", " ").split()
        uribl = [test for test in tests if test.startswith("uribl_")]
        found += [("uribl", "blocked")] * any(test.endswith("blocked") for test in uribl)
        found += [("uribl", "listed")] * any(not test.endswith("blocked") for test in uribl)
    return found


def result_of(part: str) -> list[tuple[str, str]]:
    """
    Read one part of Authentication-Results.
    """
    method, equals, rest = part.partition("=")
    if not equals:
        return []  # "none"
    method = method.strip().removesuffix("/1")
    result = (rest.split() or [""])[0]
    if method not in METHODS:
        return [("other", "other")]
    return [(method, result if result in METHODS[method] else "other")]


def greylist_of(value: str) -> list[tuple[str, str]]:
    """
    Read X-Greylist.
    """
    if value.startswith("delayed for "):
        return [("greylist", "delayed")]
    if value.startswith("sender is spf-compliant"):
        return [("greylist", "spf-compliant")]
    if value.startswith("message whitelisted by tarpit "):
        return [("greylist", "whitelisted"), ("tarpit", "pass")]
    return [("greylist", "whitelisted" if "whitelisted" in value else "other")]


def count(log: bytes) -> Checks:
    """
    Count a whole log.
    """
    counts: Checks = Counter()
    for times, milter, header, value in headers_of(log.decode("utf-8", "replace")):
        for check, result in checks_of(header, value):
            counts[milter, check, result] += times
    return counts


def main() -> None:
    """
    Count the logs named on the command line.
    """
    for path in map(Path, sys.argv[1:]):
        log = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        for key, times in sorted(count(log).items()):
            sys.stdout.write(f"{path.name}: {times:7} {' '.join(key)}\n")


if __name__ == "__main__":
    main()
