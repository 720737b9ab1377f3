"""
The landing page: one self-contained HTML document that says at a glance whether it works.

It has no scripts and loads nothing.  It never reads the log or touches the tally: what it shows, it
is given.  The words are those of `wording`, the verdict is that of `verdict`; Jinja2 escapes
whatever is put between them.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

from exporter.advice import advise
from exporter.catalogue import Catalogue
from exporter.negotiate import LANGUAGES
from exporter.overview import Fault, Overview, Parts, summarise, total
from exporter.remedy import Remedy
from exporter.status import Status
from exporter.style import load_style
from exporter.tally import Snapshot
from exporter.template import Filters, Render, load_template
from exporter.verdict import Finding, judge
from exporter.wording import (
    Wording,
    load_texts,
    mark_code,
    show_name,
    show_share,
    show_size,
    visible,
)

UNIT = "milter-manager-exporter"
COMMAND_LENGTH = 5000
"""Above the longest pathname: half a command is worse than none."""

NO_JOURNALCTL = "cannot run journalctl: No such file or directory"
BARRED_DIRECTORY = re.compile(r"journalctl: Failed to open (/.*): Permission denied", re.DOTALL)
"""What journalctl says where it may not so much as look into the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """
    All that one page is made of.
    """

    version: str
    telemetry_path: str
    started: float
    """Seconds since the epoch, as `now`."""
    now: float
    ready: bool
    status: Status
    snapshot: Snapshot
    catalogue: Catalogue


@dataclass(frozen=True, slots=True)
class Notice:
    """
    One finding in words.
    """

    severity: str
    title: Markup
    paragraphs: tuple[tuple[Markup, str], ...]
    """Texts, each with the command that it ends in, if any."""
    done: int
    total: int


def render_page(view: View, language: str) -> bytes:
    """
    Write the page; links are relative, so that it works below a reverse proxy's prefix.
    """
    overview = summarise(view.snapshot, view.catalogue)
    say = Wording(language, view.now)
    findings = judge(view.status, overview, ready=view.ready, now=view.now)
    first, *others = (word_finding(one, say, view.status) for one in findings)
    page = load_page()(
        say=say,
        language=language,
        switches=[(one, load_texts()["language"][one]) for one in LANGUAGES if one != language],
        view=view,
        status=view.status,
        overview=overview,
        ended=(*overview.statuses, *disconnected_of(overview)),
        gauges=view.snapshot.gauges,
        first=first,
        others=others,
        style=Markup(load_style()),  # noqa: S704 - a file of this package
        explain=lambda fault: explain(fault, language),
        advise=lambda fault: advise(fault.message, language),
    )
    return page.encode("utf-8", errors="backslashreplace")


@cache
def load_page() -> Render:
    """
    Compile the page's template, once.
    """
    filters: Filters = {
        "name": show_name,
        "code": lambda text: visible(text, COMMAND_LENGTH),
        "ticks": mark_code,
        "size": show_size,
        "count": "{:,.0f}".format,
    }
    return load_template("page.html", filters, {"share": show_share, "total": total})


def disconnected_of(overview: Overview) -> Parts:
    """
    Give the sessions that were broken off beside those that ended, if there are any.
    """
    return (("disconnected", overview.disconnected),) if overview.disconnected else ()


def explain(fault: Fault, language: str) -> str:
    """
    Say what an error means, in the catalogue's words; empty where it has none.
    """
    if fault.message is None:
        return ""
    return fault.message.ja if language == "ja" else fault.message.en


def word_finding(finding: Finding, say: Wording, status: Status) -> Notice:
    """
    Put a finding into words.
    """
    since = finding.since
    values: dict[str, object] = {
        "file": show_name(finding.input.name if finding.input else ""),
        "files": Markup(", ").join(map(show_name, status.looked_for)),
        "reason": show_name(finding.reason),
        "count": f"{finding.count:,}",
        "done": show_size(finding.count),
        "total": show_size(finding.total),
        "ago": "" if since is None else say.ago(since),
        "moment": "" if since is None else say.moment(since),
        "duration": "" if since is None else say.since(since),
    }
    # Where lines bear no times there is no last one's.
    kind = "timeless" if finding.key == "works" and since is None else "text"
    text = say(f"{finding.key}_{kind}", **values)
    paragraphs = ((text, command_of(finding, status)), *remedies_of(finding, say))
    title = say(finding.key, **values)
    return Notice(finding.severity, title, paragraphs, finding.count, finding.total)


def command_of(finding: Finding, status: Status) -> str:
    """
    Give the command that mends something, or shows what is wrong; empty where there is none.
    """
    match finding.key:
        case "stalled":
            return f"systemctl restart {UNIT}"
        case "none":
            return "journalctl -t milter-manager -n 5"
        case "silent":
            return "systemctl status milter-manager"
        case "unsaved":
            directory = shlex.quote(str(Path(status.state_file).parent))
            return f"df -h {directory}; ls -ld {directory}"
        case _:
            return ""


def remedies_of(finding: Finding, say: Wording) -> Iterator[tuple[Markup, str]]:
    """
    Say what makes a log readable.
    """
    remedy = finding.input.remedy if finding.input else None
    if finding.reason == NO_JOURNALCTL:
        yield say("remedy_journalctl"), "apt-get install systemd"
    elif barred := BARRED_DIRECTORY.fullmatch(finding.reason):
        remedy = Remedy("path", barred[1])
    if remedy is None:
        return
    values = {
        "user": show_name(remedy.user),
        "group": show_name(remedy.group),
        "gid": remedy.gid,
    }
    text = say(f"remedy_{remedy.kind}", **values)
    path, group, user = (shlex.quote(one) for one in (remedy.path, remedy.group, remedy.user))
    match remedy.kind:
        case "group":
            yield text, f"usermod --append --groups {group} {user}"
            yield say("remedy_group_more", **values), ""
        case "mode":
            yield text, f"chmod g+r {path}"
        case "root":
            yield text, f"chgrp {group} {path} && chmod g+r {path}"
        case _:
            yield text, f"namei -l {path}"
