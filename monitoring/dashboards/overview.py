"""
The first dashboard to open: is it working, what happened, who is at fault.

Says nothing of a single child milter beyond its name; that is what `milters` is for.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel, Threshold

from dashboards.facts import Facts, Query, buckets, listed
from dashboards.frame import add, frame
from dashboards.meanings import columns, explained
from dashboards.palette import BAD, GOOD, NEUTRAL, RESULTS, STATUSES, WARNING, steps
from dashboards.panels import Column, graph, heat, number, table
from dashboards.places import (
    HEALTH,
    MILTERS,
    OVERVIEW,
    to_dashboard,
    to_messages,
    to_milter,
    to_runbook,
)
from dashboards.promql import (
    CHECKS,
    FAILED,
    SERIOUS,
    UNFILTERED,
    UNREACHABLE,
    events,
    increase,
    quantile,
    rate,
    series,
    sessions,
    share,
    total,
    without_harmless,
)
from dashboards.vitals import HEIGHT, exporters_down, log_silent
from exporter import mailchecks
from exporter.catalogue import OTHER

ENDED = "milter_manager_sessions_ended_total"
DURATION = "milter_manager_session_duration_seconds"
DISCONNECTED_AFTER = "milter_manager_session_disconnected_after_seconds"
GREYLISTING = {
    "greylist": ("spf-compliant", "whitelisted", "delayed"),
    "tarpit": ("pass",),
}
CONNECTION_NOT_MAIL = "One session is one SMTP connection, not one mail."


def overview() -> Dashboard:
    """
    Make the dashboard.
    """
    dashboard = frame(
        OVERVIEW,
        "milter-manager",
        "Is milter-manager working, what happened to sessions, and who is at fault?",
    )
    dashboard = add(dashboard, 1, "Is it working?", working())
    dashboard = add(dashboard, 2, "What happened?", happened())
    dashboard = add(dashboard, 3, "Who is at fault?", at_fault())
    return add(dashboard, 4, "What did the filters find?", found())


def working() -> list[Builder[Panel]]:
    """
    Tell in one line whether anybody has to do something.
    """
    return [
        exporters_down(
            11,
            "While one is down the numbers of its host are missing, not wrong: it goes on in the"
            " log where it was.",
            width=3,
            links=(to_dashboard("Exporter", HEALTH),),
        ),
        log_silent(
            12,
            "A crash logs nothing, so silence while mail usually flows is how a dead milter-manager"
            " looks. At night it may be normal.",
            width=3,
        ),
        number(
            Facts(
                id=13,
                title="Unfiltered mail",
                description="Times that no child milter was left in a session or none was working"
                " on a message: the mail usually passes unfiltered, as after a broken reload of"
                " the configuration. Counted over the whole time range; one is too many.",
                queries=(
                    Query(
                        expr=total(
                            "",
                            increase("milter_manager_log_messages_total", UNFILTERED),
                        ),
                        legend="unfiltered",
                        instant=True,
                    ),
                ),
                unit="short",
                width=3,
                height=5,
                decimals=0,
                thresholds=steps(GOOD, (0.5, BAD)),
                links=(
                    to_runbook("MilterManagerNoMilterProcessing"),
                    to_runbook("MilterManagerAllMiltersDead"),
                ),
            )
        ),
        number(
            Facts(
                id=14,
                title="Sessions",
                description="Sessions that were over, ended or left by the client, a second."
                f" {CONNECTION_NOT_MAIL}",
                queries=(Query(expr=sessions(), legend="sessions"),),
                unit="suffix:/s",
                width=3,
                height=5,
                decimals=2,
                links=(to_runbook("MilterManagerLogSilent"),),
            )
        ),
        ended_as(
            15,
            "Temporary failures",
            "Share of the ended sessions that were told to come back later. A"
            " failing milter with milter.fallback_status = temporary-failure raises it, and so"
            " does greylisting, wanted: know your usual value. The colours change at 20 % and"
            " 50 %, a starting point.",
            "temporary-failure",
            thresholds=steps(GOOD, (0.2, WARNING), (0.5, BAD)),
            alert="MilterManagerTemporaryFailuresHigh",
        ),
        ended_as(
            16,
            "Rejects",
            "Share of the ended sessions that were rejected. With much spam a high"
            " value is the usual one; a jump is what matters. The colours change at 50 % and"
            " 90 %, a starting point.",
            "reject",
            thresholds=steps(GOOD, (0.5, WARNING), (0.9, BAD)),
            alert="MilterManagerRejectsHigh",
        ),
        number(
            Facts(
                id=17,
                title="Session time, 95 %",
                description="95 % of the ended sessions took at most so long, from the connection"
                " to the end. That includes what the client took, so a slow sender is in it as"
                " well as a slow milter. The colours change at 30 s, where nobody waits without"
                " noticing, and at 2 min, where MTAs begin to give up.",
                queries=(Query(expr=quantile(0.95, DURATION), legend="p95"),),
                unit="s",
                width=3,
                height=5,
                thresholds=steps(GOOD, (30, WARNING), (120, BAD)),
                links=(to_runbook("MilterManagerSessionsSlow"), to_dashboard("Milters", MILTERS)),
            )
        ),
        number(
            Facts(
                id=18,
                title="Errors",
                description="Messages of level critical and error a second, without those that a"
                " healthy server writes as well. One failure writes several lines, so this is no"
                " number of failures.",
                queries=(
                    Query(
                        expr=without_harmless("", "rate", "$__rate_interval", SERIOUS),
                        legend="errors",
                    ),
                ),
                unit="suffix:/s",
                width=3,
                height=5,
                decimals=2,
                thresholds=steps(GOOD, (0.01, WARNING), (1, BAD)),
                links=(to_messages(),),
            )
        ),
    ]


def ended_as(  # noqa: PLR0913 - what differs between two numbers
    id_: int,
    title: str,
    description: str,
    status: str,
    *,
    thresholds: tuple[Threshold, ...],
    alert: str,
) -> Builder[Panel]:
    """
    Show the share of the ended sessions that ended so.
    """
    return number(
        Facts(
            id=id_,
            title=title,
            description=description,
            queries=(
                Query(
                    expr=share(
                        total("", rate(ENDED, f'status="{status}"')), total("", rate(ENDED))
                    ),
                    legend=title.lower(),
                ),
            ),
            unit="percentunit",
            width=3,
            height=HEIGHT,
            decimals=1,
            thresholds=thresholds,
            links=(to_runbook(alert),),
        )
    )


def happened() -> list[Builder[Panel]]:
    """
    Show how sessions went.
    """
    return [
        graph(
            Facts(
                id=21,
                title="Sessions by how they ended",
                description=f"Ended sessions a second. {CONNECTION_NOT_MAIL} pass: no milter"
                " objected; accept: one said so before the others were asked; abort: the MTA broke"
                " off. Clients that broke off are not among the ended ones, see Disconnects.",
                queries=(Query(expr=total("status", rate(ENDED)) + " > 0", legend="{{status}}"),),
                unit="suffix:/s",
                width=12,
                height=9,
                links=(to_runbook("MilterManagerTemporaryFailuresHigh"),),
            ),
            colours=STATUSES,
            stacked=True,
        ),
        heat(
            Facts(
                id=22,
                title="Session time",
                description="How many sessions took how long; the darker, the more. It includes"
                " what the client took. The dots are exemplars, single sessions: session_id is the"
                " number in (...) of the log line, unique only within one process. Exemplars need"
                " Prometheus with --enable-feature=exemplar-storage.",
                queries=(
                    buckets(total("le", increase(DURATION + "_bucket", window="$__rate_interval"))),
                ),
                unit="short",
                width=12,
                height=9,
                links=(to_runbook("MilterManagerSessionsSlow"),),
            )
        ),
        graph(
            Facts(
                id=23,
                title="Session time, quantiles",
                description="Half, 95 % and 99 % of the ended sessions took at most so long. They"
                " are estimated from the histogram's buckets: as exact as those are fine, and"
                " never above the highest bound (300 s, or what --histogram.buckets says). The"
                " lines are at 30 s and 2 min.",
                queries=(
                    Query(expr=quantile(0.5, DURATION), legend="50 %"),
                    Query(expr=quantile(0.95, DURATION), legend="95 %"),
                    Query(expr=quantile(0.99, DURATION), legend="99 %", exemplars=True),
                ),
                unit="s",
                width=8,
                thresholds=steps(GOOD, (30, WARNING), (120, BAD)),
                links=(to_runbook("MilterManagerSessionsSlow"),),
            ),
            colours={"50 %": GOOD, "95 %": WARNING, "99 %": BAD},
            limits=True,
        ),
        graph(
            Facts(
                id=24,
                title="Concurrency",
                description="Sessions in progress, and processes heard of in the last 15 minutes."
                " Both are what the processes said last: sessions in progress only move when a"
                " session ends, and a dead worker just falls silent.",
                queries=(
                    Query(
                        expr=total("", series("milter_manager_sessions_in_progress")),
                        legend="sessions in progress",
                    ),
                    Query(expr=total("", series("milter_manager_processes")), legend="processes"),
                ),
                unit="short",
                width=8,
                links=(
                    to_runbook("MilterManagerProcessesFewer"),
                    to_runbook("MilterManagerConnectionLimit"),
                ),
            ),
            colours={"sessions in progress": NEUTRAL, "processes": "purple"},
        ),
        graph(
            Facts(
                id=25,
                title="Disconnects and quarantines",
                description="Sessions whose client broke off in mid-session, and quarantine"
                " responses, a second. Impatient senders break off, and so does an MTA whose"
                " milter timeout is shorter than a milter takes.",
                queries=(
                    Query(
                        expr=total("", rate("milter_manager_sessions_disconnected_total")),
                        legend="disconnected",
                    ),
                    Query(
                        expr=total("", rate("milter_manager_quarantines_total")),
                        legend="quarantined",
                    ),
                ),
                unit="suffix:/s",
                width=8,
                links=(to_runbook("MilterManagerDisconnects"),),
            ),
            colours={"disconnected": WARNING, "quarantined": STATUSES["quarantine"]},
        ),
        graph(
            Facts(
                id=26,
                title="Patience of clients that broke off",
                description="Half and 95 % of the clients that disconnected in mid-session did so"
                " within this time. Seconds: scanners and bots. Just above a timeout of your MTA or"
                " of large senders, often 30 s or 5 min: they waited for a milter in vain.",
                queries=(
                    Query(expr=quantile(0.5, DISCONNECTED_AFTER), legend="50 %"),
                    Query(expr=quantile(0.95, DISCONNECTED_AFTER), legend="95 %"),
                ),
                unit="s",
                width=8,
                links=(to_runbook("MilterManagerDisconnects"),),
            ),
            colours={"50 %": GOOD, "95 %": WARNING},
        ),
        graph(
            Facts(
                id=27,
                title="Headers passed to the MTA",
                description="Headers a second that mail really got; those of milters in evaluation"
                " mode are missing here and not on the milters' dashboard. other: not on the list"
                " of well-known filter headers. A header that is no longer added is a check that is"
                " no longer made.",
                queries=(
                    Query(
                        expr=total("header", rate("milter_manager_session_headers_added_total")),
                        legend="{{header}}",
                    ),
                ),
                unit="suffix:/s",
                width=8,
            ),
            stacked=True,
        ),
        graph(
            Facts(
                id=28,
                title="Memory of milter-manager",
                description="What the process took that reported last: with several workers the"
                " line jumps from one to another, and the sum is not known. Rising for days means a"
                " leak; restart it before the host runs out. There is no value until a process"
                " has reported.",
                queries=(Query(expr=series("milter_manager_memory_bytes"), legend="{{instance}}"),),
                unit="bytes",
                width=8,
                links=(to_dashboard("Exporter", HEALTH),),
            )
        ),
    ]


def at_fault() -> list[Builder[Panel]]:
    """
    Lead from an error to its message, its milter and the runbook.
    """
    return [
        graph(
            Facts(
                id=31,
                title="Errors by module",
                description="Messages of level critical and error a second, without those that a"
                " healthy server writes as well ([leader][error] invalid state to reply). server"
                " and manager speak of child milters, client of the MTA's side, core of"
                " connections. One failure writes several lines, in several modules.",
                queries=(
                    Query(
                        expr=without_harmless("module", "rate", "$__rate_interval", SERIOUS),
                        legend="{{module}}",
                    ),
                ),
                unit="suffix:/s",
                width=10,
                thresholds=steps(GOOD, (1, WARNING)),
                links=(to_messages(),),
            ),
            stacked=True,
        ),
        table(
            Facts(
                id=32,
                title="Child milters with trouble (in this time range)",
                description="Timeouts, answers that milter.fallback_status had to stand in for,"
                " answers that the protocol forbids, failed connections. A name leads to that"
                " milter's own numbers. Only milters with one of them are shown; an abort is no"
                " trouble, another milter had just decided first.",
                queries=tuple(
                    listed(f"{expr} > 0")
                    for expr in (
                        events("milter", "milter_manager_milter_timeouts_total"),
                        events("milter", "milter_manager_milter_fallbacks_total"),
                        events("milter", "milter_manager_milter_invalid_responses_total"),
                        events("milter", "milter_manager_milter_messages_total", UNREACHABLE),
                    )
                ),
                unit="short",
                width=14,
                decimals=0,
                thresholds=steps("text", (0.5, WARNING)),
                links=(
                    to_dashboard("Milters", MILTERS),
                    to_runbook("MilterManagerMilterHangs"),
                    to_runbook("MilterManagerMilterFallback"),
                ),
            ),
            Column(field="milter", title="Milter", link=to_milter()),
            Column(field="Value #A", title="Timeouts", width=110),
            Column(field="Value #B", title="Fallbacks", width=110),
            Column(field="Value #C", title="Invalid answers", width=140),
            Column(field="Value #D", title="Failed connections", width=160),
        ),
        table(
            Facts(
                id=33,
                title="Top messages and what they mean (in this time range)",
                description="The 25 most frequent messages of level critical, error and warning,"
                " without those that a healthy server writes as well. The last column leads to the"
                " runbook: likely causes, what to check.",
                queries=(
                    listed(
                        explained(
                            "topk(25, "
                            + without_harmless("module, level, tag", "increase", "$__range", FAILED)
                            + " > 0.5)"
                        )
                    ),
                ),
                unit="short",
                width=24,
                height=14,
                decimals=0,
                links=(to_messages(),),
            ),
            Column(field="Value", title="Lines", width=90),
            Column(field="level", title="Level", width=80),
            Column(field="module", title="Module", width=90),
            *columns(),
        ),
    ]


def found() -> list[Builder[Panel]]:
    """
    Show what the child milters wrote into headers about the mail.
    """
    return [
        checked(
            41,
            "SPF",
            "May this host send for this domain? received-spf is what a header of that name says,"
            " spf what Authentication-Results does; a filter that writes both shows twice.",
            "spf",
            "received-spf",
        ),
        checked(
            42,
            "DKIM",
            "Signatures, each of a mail's; none is a mail without any. A jump of permerror or"
            " temperror is the resolver or the filter, of fail often a relay that changes mail.",
            "dkim",
        ),
        checked(
            43,
            "DMARC",
            "Does the sender's domain stand for the mail? fail counts whatever the domain's policy"
            " then asks for.",
            "dmarc",
        ),
        checked(
            44,
            "Spam",
            "Answers of spam filters, by the header they are in: X-Spam, X-Spam-Flag and"
            " X-Spam-Status say the same in one mail, so compare within one. Many filters say"
            " nothing of good mail.",
            "spam",
            "spam-flag",
            "spam-status",
        ),
        checked(
            45,
            "Viruses",
            "Answers of virus filters. Mail that was rejected mostly got no header: the rejects"
            " above have it.",
            "virus",
        ),
        checked(
            46,
            "Greylisting",
            "What X-Greylist says of mail that came through: delayed before, whitelisted, or let"
            " through for its SPF; tarpit: the client bore the wait. The first attempts are among"
            " the temporary failures.",
            *GREYLISTING,
        ),
    ]


def results(check: str) -> tuple[str, ...]:
    """
    Give all results that a check can have, in the order of the stack.
    """
    words = mailchecks.WORDS.get(check, {}).values()
    known = {*mailchecks.RESULTS.get(check, words), *GREYLISTING.get(check, ()), OTHER}
    return tuple(result for result in RESULTS if result in known)


def checked(id_: int, title: str, description: str, *checks: str) -> Builder[Panel]:
    """
    Show the results of some checks, each in its colour.
    """
    return graph(
        Facts(
            id=id_,
            title=title,
            description=f"{description} Results a second, of the headers that the filters added,"
            " in evaluation mode too.",
            queries=(
                Query(
                    expr=total("check, result", rate(CHECKS, f'check=~"{"|".join(checks)}"')),
                    legend="{{check}}: {{result}}",
                ),
            ),
            unit="suffix:/s",
            width=8,
            links=(to_dashboard("Milters", MILTERS),),
        ),
        colours={
            f"{check}: {result}": RESULTS[result] for check in checks for result in results(check)
        },
        stacked=True,
    )
