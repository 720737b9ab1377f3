"""
One child milter, several or all: what each did to mail, and what it did wrong.

Sessions as a whole are on the overview.
"""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.facts import Facts, Query, buckets, listed
from dashboards.frame import add, frame, variable
from dashboards.meanings import columns, explained
from dashboards.palette import (
    BAD,
    FALLBACKS,
    GOOD,
    PHASES,
    STATUSES,
    WARNING,
    steps,
)
from dashboards.panels import Column, graph, heat, number, table
from dashboards.places import MILTERS, to_messages, to_runbook
from dashboards.promql import (
    CHECKS,
    FAILED,
    UNREACHABLE,
    events,
    increase,
    quantile,
    rate,
    share,
    total,
)

MILTER = 'milter=~"$milter"'
MESSAGES = "milter_manager_milter_messages_total"
ACCEPTED = 'fallback_status="accept"'
TIMEOUTS = "milter_manager_milter_timeouts_total"
FALLBACKS_TAKEN = "milter_manager_milter_fallbacks_total"
INVALID = "milter_manager_milter_invalid_responses_total"
DURATION = "milter_manager_milter_duration_seconds"

BIASED = (
    "Only lines [milter][end] tell, and with the default event loop they are missing for most"
    " children: compare a milter with itself, and milters with each other only under libev."
)
WINDOW = (
    "Each point counts the events of the interval before it, at least four scrapes, so that points"
    " overlap when zoomed in: do not add them up, the row above has the totals."
)


def milters() -> Dashboard:
    """
    Make the dashboard.
    """
    dashboard = frame(
        MILTERS,
        "milter-manager: child milters",
        "Is a child milter failing, what did it do to mail, and what exactly went wrong?",
    ).with_variable(
        variable(
            "milter",
            "Milter",
            f'label_values({MESSAGES}{{job=~"$job",instance=~"$instance"}}, milter)',
        ).all_value(".*")
    )
    dashboard = add(dashboard, 1, "Is it working?", working())
    dashboard = add(dashboard, 2, "What happened?", happened())
    dashboard = add(dashboard, 3, "Who is at fault?", at_fault())
    return add(dashboard, 4, "What it did to mail", done())


def counted(id_: int, title: str, description: str, expr: str, *alerts: str) -> Builder[Panel]:
    """
    Show how often something happened in the time range that should not happen at all.
    """
    return number(
        Facts(
            id=id_,
            title=title,
            description=description,
            queries=(Query(expr=expr, legend=title, instant=True),),
            unit="short",
            width=4,
            height=5,
            decimals=0,
            thresholds=steps(GOOD, (0.5, BAD)),
            links=tuple(to_runbook(alert) for alert in alerts),
        ),
        # The series come with the first event.
        none="0",
    )


def working() -> list[Builder[Panel]]:
    """
    Count what should not happen.
    """
    return [
        counted(
            11,
            "Timeouts",
            "Timeouts of the chosen milters in this time range: in connecting, writing, reading or"
            " at the end of a message. The first of a milter counts as well.",
            events("", TIMEOUTS, MILTER),
            "MilterManagerMilterHangs",
            "MilterManagerMilterTimeouts",
        ),
        counted(
            12,
            "Passed unchecked",
            "Failures and timeouts of the chosen milters in this time range after which"
            " milter.fallback_status = accept stood in for the answer: the mail went on without"
            " this filter.",
            f"({events('', FALLBACKS_TAKEN, MILTER, ACCEPTED)} or vector(0))"
            f" + ({events('', TIMEOUTS, MILTER, ACCEPTED)} or vector(0))",
            "MilterManagerMilterFallback",
        ),
        counted(
            13,
            "Other fallbacks",
            "Failures of the chosen milters in this time range after which milter.fallback_status"
            " refused, deferred or discarded in the child's place. Timeouts are counted apart.",
            events("", FALLBACKS_TAKEN, MILTER, 'fallback_status!="accept"'),
            "MilterManagerMilterFallback",
        ),
        counted(
            14,
            "Invalid answers",
            "Answers of the chosen milters in this time range in a state that forbids them: the"
            " milter breaks the protocol, which is a fault of its program.",
            events("", INVALID, MILTER),
            "MilterManagerMilterProtocolViolation",
        ),
        counted(
            15,
            "Failed connections",
            "Times in this time range that a chosen milter could not be connected to: not running,"
            " or its socket missing or not permitted.",
            events("", MESSAGES, MILTER, UNREACHABLE),
            "MilterManagerMilterUnreachable",
        ),
        number(
            Facts(
                id=16,
                title="Waiting, 95 %",
                description="95 % of the chosen milters' sessions waited at most so long for them,"
                f" all their answers together. {BIASED} The colours change at 10 s and a minute.",
                queries=(Query(expr=quantile(0.95, DURATION, MILTER), legend="p95"),),
                unit="s",
                width=4,
                height=5,
                thresholds=steps(GOOD, (10, WARNING), (60, BAD)),
                links=(to_runbook("MilterManagerMilterSlow"),),
            )
        ),
    ]


def happened() -> list[Builder[Panel]]:
    """
    Show when it went wrong, and how long it took.
    """
    return [
        graph(
            Facts(
                id=21,
                title="Timeouts by phase",
                description="connection: the milter does not accept; writing: it does not read;"
                " reading: it does not answer; end-of-message: its answer to the whole message did"
                f" not come. {WINDOW}",
                queries=(
                    Query(
                        expr=events("phase", TIMEOUTS, MILTER, window="$__rate_interval"),
                        legend="{{phase}}",
                    ),
                ),
                unit="short",
                width=8,
                decimals=0,
                thresholds=steps(GOOD, (1, BAD)),
                links=(to_runbook("MilterManagerMilterTimeouts"),),
            ),
            colours=PHASES,
            stacked=True,
        ),
        graph(
            Facts(
                id=22,
                title="Fallbacks by what mail got instead",
                description="Failures after which milter.fallback_status stood in for the child's"
                " answer, without timeouts. accept: the mail passed this filter unchecked."
                f" {WINDOW}",
                queries=(
                    Query(
                        expr=events(
                            "fallback_status", FALLBACKS_TAKEN, MILTER, window="$__rate_interval"
                        ),
                        legend="{{fallback_status}}",
                    ),
                ),
                unit="short",
                width=8,
                decimals=0,
                thresholds=steps(GOOD, (1, WARNING)),
                links=(to_runbook("MilterManagerMilterFallback"),),
            ),
            colours=FALLBACKS,
            stacked=True,
        ),
        graph(
            Facts(
                id=23,
                title="Invalid answers by milter",
                description="Answers in a state that forbids them, seen by the server or the"
                f" children module. {WINDOW}",
                queries=(
                    Query(
                        expr=events("milter", INVALID, MILTER, window="$__rate_interval"),
                        legend="{{milter}}",
                    ),
                ),
                unit="short",
                width=8,
                decimals=0,
                thresholds=steps(GOOD, (1, WARNING)),
                links=(to_runbook("MilterManagerMilterProtocolViolation"),),
            ),
            stacked=True,
        ),
        heat(
            Facts(
                id=24,
                title="Time waited for the milter",
                description="How many sessions waited how long for the chosen milters. This is the"
                " waiting alone, not the time since the connection as milter-manager's log list"
                f" says. {BIASED} The dots are exemplars: milter_id is the number in (...) of the"
                " log line.",
                queries=(
                    buckets(
                        total(
                            "le",
                            increase(DURATION + "_bucket", MILTER, window="$__rate_interval"),
                        )
                    ),
                ),
                unit="short",
                width=8,
                links=(to_runbook("MilterManagerMilterSlow"),),
            )
        ),
        graph(
            Facts(
                id=25,
                title="Time waited, mean by milter",
                description="Seconds waited for each milter, per session in which its end was"
                f" logged. {BIASED}",
                queries=(
                    Query(
                        expr=share(
                            total("milter", rate(f"{DURATION}_sum", MILTER)),
                            total("milter", rate(f"{DURATION}_count", MILTER)),
                        ),
                        legend="{{milter}}",
                    ),
                ),
                unit="s",
                width=8,
                thresholds=steps(GOOD, (10, WARNING), (60, BAD)),
                links=(to_runbook("MilterManagerMilterSlow"),),
            )
        ),
        graph(
            Facts(
                id=26,
                title="Share of the waiting",
                description="Of all the time spent waiting for child milters of the chosen hosts,"
                f" each chosen milter's part. {BIASED}",
                queries=(
                    Query(
                        expr=total("milter", rate(f"{DURATION}_sum", MILTER))
                        + f" / on () group_left () ({total('', rate(f'{DURATION}_sum'))} > 0)",
                        legend="{{milter}}",
                    ),
                ),
                unit="percentunit",
                width=8,
                links=(to_runbook("MilterManagerMilterSlow"),),
            ),
            stacked=True,
        ),
    ]


def detailed(  # noqa: PLR0913 - what differs between two tables
    id_: int, title: str, description: str, metric: str, *, alert: str, columns: Mapping[str, str]
) -> Builder[Panel]:
    """
    List the events of a metric by their labels, the columns: what Prometheus calls them, and we.
    """
    labels = ", ".join(name for name in columns if name != "Value")
    return table(
        Facts(
            id=id_,
            title=title,
            description=description,
            queries=(listed(f"{events(labels, metric, MILTER)} > 0.5"),),
            unit="short",
            width=12,
            decimals=0,
            thresholds=steps("text", (0.5, WARNING)),
            links=(to_runbook(alert),),
        ),
        *(
            Column(field=field, title=name, width=110 if field == "Value" else None)
            for field, name in columns.items()
        ),
    )


def at_fault() -> list[Builder[Panel]]:
    """
    Name the milter, the step of the conversation and the message.
    """
    return [
        detailed(
            31,
            "Timeouts in detail (in this time range)",
            "Which milter was waited for in which step, and what the mail got"
            " instead of its answer. Words that the log line lacks are empty.",
            TIMEOUTS,
            alert="MilterManagerMilterTimeouts",
            columns={
                "milter": "Milter",
                "phase": "Phase",
                "state": "Step",
                "fallback_status": "Mail got instead",
                "Value": "Timeouts",
            },
        ),
        detailed(
            32,
            "Invalid answers in detail (in this time range)",
            "Which answer came in which step. The milter breaks the protocol:"
            " report it to its authors.",
            INVALID,
            alert="MilterManagerMilterProtocolViolation",
            columns={"milter": "Milter", "response": "Answer", "state": "Step", "Value": "Times"},
        ),
        table(
            Facts(
                id=33,
                title="Messages that name the milter (in this time range)",
                description="The 25 most frequent messages of level critical, error and warning"
                " that name a chosen milter. other stands for a line that lost the name, and for"
                " the names beyond the first hundred.",
                queries=(
                    listed(
                        explained(
                            "topk(25, "
                            + events("milter, level, tag", MESSAGES, MILTER, FAILED)
                            + " > 0.5)"
                        )
                    ),
                ),
                unit="short",
                width=24,
                height=12,
                decimals=0,
                links=(to_messages(),),
            ),
            Column(field="Value", title="Lines", width=90),
            Column(field="milter", title="Milter", width=150),
            *columns(),
            Column(field="level", title="Level", width=80),
        ),
    ]


def done() -> list[Builder[Panel]]:
    """
    Show what the milters decided and added.
    """
    return [
        graph(
            Facts(
                id=41,
                title="How the milter's sessions ended",
                description=f"{BIASED} abort usually means that another milter decided first;"
                " after a timeout the status is the fallback's; in evaluation mode the milter's own"
                " status shows although it had no effect.",
                queries=(
                    Query(
                        expr=total("status", rate("milter_manager_milters_ended_total", MILTER)),
                        legend="{{status}}",
                    ),
                ),
                unit="suffix:/s",
                width=12,
                links=(to_runbook("MilterManagerMilterFallback"),),
            ),
            colours=STATUSES,
            stacked=True,
        ),
        graph(
            Facts(
                id=42,
                title="Headers added",
                description="Headers that the chosen milters added, inserted or changed, a second,"
                " in evaluation mode too. other: not on the list of well-known filter headers. A"
                " milter that stops adding its header may have stopped checking.",
                queries=(
                    Query(
                        expr=total(
                            "milter, header",
                            rate("milter_manager_milter_headers_added_total", MILTER),
                        ),
                        legend="{{milter}}: {{header}}",
                    ),
                ),
                unit="suffix:/s",
                width=12,
            )
        ),
        graph(
            Facts(
                id=43,
                title="What the milters found",
                description="Results of checks that the chosen milters wrote into headers: spf,"
                " dkim, dmarc and the like of Authentication-Results, received-spf, spam,"
                " spam-flag, spam-status, uribl, virus, greylist, tarpit. Results a second, not"
                " mails: two DKIM signatures are two. In evaluation mode too.",
                queries=(
                    Query(
                        expr=total("milter, check, result", rate(CHECKS, MILTER)),
                        legend="{{milter}}: {{check}} {{result}}",
                    ),
                ),
                unit="suffix:/s",
                width=24,
                height=10,
            ),
            stacked=True,
        ),
    ]
