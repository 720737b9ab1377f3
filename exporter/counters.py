"""
What a reading raises: one entry of the catalogue, its words and its milter -> counters.

Only names keys; the numbers are in the tally, the metrics' full names in the collector.
"""

from exporter.catalogue import OTHER, Catalogue, Message
from exporter.mailchecks import Check
from exporter.recognise import UNKNOWN_LEVEL, Reading
from exporter.tally import Key

OUTCOMES = ("recognised", "unknown", "untagged", "foreign", "malformed", "overlong")
LEVELS = (
    "critical", "error", "warning", "message", "info", "debug", "trace", "statistics", "profile",
    UNKNOWN_LEVEL,
)  # fmt: skip
LIMITED_LABELS = (
    "milter", "header", "state", "last_state", "status", "fallback_status", "response",
    "elapsed", "finished", "memory", "check", "result",
)  # fmt: skip

# The words of the log list, without what the program was seen to write beside them: the sessions
# that are there from the start.
DOCUMENTED_STATES = (
    "invalid", "start", "define-macro", "negotiate", "connect", "helo", "envelope-from",
    "envelope-recipient", "data", "unknown", "header", "end-of-header", "body", "end-of-message",
    "quit", "abort",
)  # fmt: skip
DOCUMENTED_STATUSES = ("reject", "discard", "accept", "temporary-failure", "pass", "stop")


def counters_of(reading: Reading) -> tuple[Key, ...]:
    """
    Name the counters that one line with this reading raises by one.
    """
    keys: list[Key] = [("lines", reading.outcome), ("log_lines", reading.level)]
    keys += (("label_overflows", label) for label in reading.dropped)
    message = reading.message
    if message is None:
        return tuple(keys)
    keys.append(("log_messages", message.module, reading.level, message.tags))
    if reading.harmless:
        keys.append(("harmless_messages", message.module, reading.level, message.tags))
    return (*keys, *_special(message, reading), *milter_counters_of(reading))


def milter_counters_of(reading: Reading) -> tuple[Key, ...]:
    """
    Name those of them that bear the milter's name.
    """
    message, milter, words = reading.message, reading.milter, reading.words
    if message is None or milter is None:
        return ()
    keys: list[Key] = []
    if milter == OTHER:
        keys.append(("label_overflows", "milter"))
    keys.append(("milter_messages", milter, reading.level, message.tags))
    state, fallback = words.get("state", ""), words.get("fallback_status", "")
    match message.counts:
        case "timeout":
            keys.append(("milter_timeouts", milter, words["phase"], state, fallback))
        case "fallback":
            keys.append(("milter_fallbacks", milter, state, fallback))
        case "invalid_response":
            keys.append(("milter_invalid_responses", milter, words["response"], state))
        case "milter_end":
            keys.append(("milters_ended", milter, words["last_state"], words["status"]))
        case "milter_header":
            keys.append(("milter_headers_added", milter, reading.header or OTHER))
            keys += check_counters_of(milter, reading.checks)
        case _:
            pass
    return tuple(keys)


def check_counters_of(milter: str, checks: tuple[Check, ...]) -> list[Key]:
    """
    Name those that a header raises by what it says of the mail.
    """
    keys: list[Key] = []
    for check, result in checks:
        keys.append(("mail_checks", milter, check, result))
        if result == OTHER:
            keys.append(("label_overflows", "check" if check == OTHER else "result"))
    return keys


def histogram_of(reading: Reading) -> Key | None:
    """
    Name the histogram that the elapsed time of such a line belongs to.
    """
    match reading.message.counts if reading.message else "":
        case "session_end":
            return ("session_duration", reading.words["status"])
        case "session_disconnected":
            return ("session_disconnected_after",)
        case "milter_end":
            return ("milter_duration", OTHER if reading.milter is None else reading.milter)
        case _:
            return None


def zero_counters(catalogue: Catalogue) -> list[Key]:
    """
    Name the counters that are there before the first line.
    """
    keys: list[Key] = []
    for message in catalogue.messages:
        if message.tags:
            keys.append(("log_messages", message.module, message.level, message.tags))
        if message.harmless:
            keys.append(("harmless_messages", message.module, message.level, message.tags))
    keys += (("lines", outcome) for outcome in OUTCOMES)
    keys += (("log_lines", level) for level in LEVELS)
    keys += (("label_overflows", label) for label in LIMITED_LABELS)
    keys += (
        ("sessions_ended", state, status)
        for state in DOCUMENTED_STATES
        for status in DOCUMENTED_STATUSES
    )
    keys += (("sessions_disconnected",), ("sessions_finished",), ("quarantines",))
    return keys


def zero_histograms() -> list[Key]:
    """
    Name the histograms that are there before the first line.
    """
    durations: list[Key] = [("session_duration", status) for status in DOCUMENTED_STATUSES]
    return [*durations, ("session_disconnected_after",)]


def _special(message: Message, reading: Reading) -> list[Key]:
    """
    Name the counters of single messages that do not bear a milter's name.
    """
    match message.counts:
        case "session_end":
            words = reading.words
            return [("sessions_ended", words["last_state"], words["status"])]
        case "session_disconnected":
            return [("sessions_disconnected",)]
        case "session_header":
            return [("session_headers_added", reading.header or OTHER)]
        case "quarantine":
            return [("quarantines",)]
        case _:
            return []
