"""
The exporter itself: does it read everything, does it keep what it read, what does it cost.

Tells whether the other dashboards may be believed.
"""

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.facts import Facts, Query, listed
from dashboards.frame import PRESENCE, add, frame
from dashboards.palette import BAD, GOOD, NEUTRAL, ODD, OUTCOMES, WARNING, steps
from dashboards.panels import Column, graph, number, table
from dashboards.places import HEALTH, to_runbook
from dashboards.promql import increase, rate, series, sessions, total
from dashboards.vitals import LAST_LINE, exporters_down, log_silent

LAST_READ = "milter_manager_exporter_last_read_timestamp_seconds"
LAST_SAVE = "milter_manager_exporter_state_last_save_timestamp_seconds"


def health() -> Dashboard:
    """
    Make the dashboard.
    """
    dashboard = frame(
        HEALTH,
        "milter-manager: exporter",
        "Does the exporter read the whole log, keep what it read, and what does it cost?",
    )
    dashboard = add(dashboard, 1, "Is it working?", working())
    dashboard = add(dashboard, 2, "What happened?", happened())
    dashboard = add(dashboard, 3, "Who is at fault?", at_fault())
    return add(dashboard, 4, "What it costs", cost())


def working() -> list[Builder[Panel]]:
    """
    Tell in one line whether the numbers may be believed.
    """
    return [
        exporters_down(
            11,
            "After a restart one answers 503 until it has read what was written meanwhile.",
            width=4,
        ),
        number(
            Facts(
                id=12,
                title="Unread",
                description="Bytes of the logs that are not counted yet, the worst log of the"
                " chosen hosts. A last line without its newline is among them, so a few are"
                " normal.",
                queries=(
                    Query(
                        expr=f"max({series('milter_manager_exporter_unread_bytes')})",
                        legend="unread",
                    ),
                ),
                unit="bytes",
                width=4,
                height=5,
                thresholds=steps(GOOD, (1_048_576, WARNING), (104_857_600, BAD)),
                links=(to_runbook("MilterManagerLogUnread"),),
            )
        ),
        number(
            Facts(
                id=13,
                title="Logs last looked at",
                description="Time since the exporter last looked at its logs, the worst of the"
                " chosen hosts. It looks once a second; clocks that differ show as well.",
                queries=(Query(expr=f"max(time() - {series(LAST_READ)})", legend="looked at"),),
                unit="s",
                width=4,
                height=5,
                decimals=0,
                # A scrape may be a minute old without any harm.
                thresholds=steps(GOOD, (150, WARNING), (600, BAD)),
                links=(to_runbook("MilterManagerExporterStuck"),),
            )
        ),
        log_silent(
            14,
            "Either nothing happens there, milter-manager is dead, or the log does not reach this"
            " file.",
            width=4,
        ),
        number(
            Facts(
                id=15,
                title="Errors of its own",
                description="Failed attempts to read a log, and states that could not be saved or"
                " were found damaged. Lines are late then, not lost; without a saved state a"
                " restart counts some again or not at all. Counted over the whole time range.",
                queries=(
                    Query(
                        expr=total(
                            "",
                            increase("milter_manager_exporter_read_errors_total"),
                        )
                        + " + "
                        + total(
                            "",
                            increase("milter_manager_exporter_state_errors_total"),
                        ),
                        legend="errors",
                        instant=True,
                    ),
                ),
                unit="short",
                width=4,
                height=5,
                decimals=0,
                thresholds=steps(GOOD, (0.5, WARNING), (10, BAD)),
                links=(
                    to_runbook("MilterManagerLogUnreadable"),
                    to_runbook("MilterManagerExporterStateNotSaved"),
                ),
            )
        ),
        number(
            Facts(
                id=16,
                title="Without file events",
                description="Exporters whose watcher gets no events, so that only the timer wakes"
                " them: numbers are exact all the same, up to a second later.",
                queries=(
                    Query(
                        expr=f"count({series('milter_manager_exporter_watcher_up')}) -"
                        f" {total('', series('milter_manager_exporter_watcher_up'))}",
                        legend="without",
                    ),
                ),
                unit="none",
                width=4,
                height=5,
                thresholds=steps(GOOD, (1, ODD)),
                links=(to_runbook("MilterManagerExporterWatcherLost"),),
            )
        ),
    ]


def happened() -> list[Builder[Panel]]:
    """
    Show what was read, and what became of the logs.
    """
    return [
        graph(
            Facts(
                id=21,
                title="Lines by what became of them",
                description="foreign: of another program, as of Postfix in the same file. unknown:"
                " of milter-manager, with tags that the catalogue does not have, as after an"
                " upgrade. untagged: of milter-manager, without tags. malformed: without a stamp;"
                " in milter-manager's own file the further lines of a folded header are. overlong:"
                " over 1 MiB, skipped.",
                queries=(
                    Query(
                        expr=total("outcome", rate("milter_manager_exporter_lines_total")),
                        legend="{{outcome}}",
                    ),
                ),
                unit="suffix:/s",
                width=8,
                links=(to_runbook("MilterManagerUnknownMessages"),),
            ),
            colours=OUTCOMES,
            stacked=True,
        ),
        graph(
            Facts(
                id=22,
                title="Unread by log",
                description="Bytes of each log that are not counted yet. A hill after a restart is"
                " the backlog; a slope that does not end means that lines come faster than they"
                " are read.",
                queries=(
                    Query(
                        expr=series("milter_manager_exporter_unread_bytes"),
                        legend="{{instance}} {{file}}",
                    ),
                ),
                unit="bytes",
                width=8,
                thresholds=steps(GOOD, (1_048_576, WARNING), (104_857_600, BAD)),
                links=(to_runbook("MilterManagerLogUnread"),),
            ),
            limits=True,
        ),
        graph(
            Facts(
                id=23,
                title="Bytes read by log",
                description="Bytes a second that were read from each log, lines of other programs"
                " included.",
                queries=(
                    Query(
                        expr=total(
                            "instance, file", rate("milter_manager_exporter_read_bytes_total")
                        ),
                        legend="{{instance}} {{file}}",
                    ),
                ),
                unit="Bps",
                width=8,
            )
        ),
        graph(
            Facts(
                id=24,
                title="Age of the newest line",
                description="Time since milter-manager's newest line, by the log's own clock, for"
                " each host.",
                queries=(
                    Query(
                        expr=f"max by (instance) (time() - {series(LAST_LINE)})",
                        legend="{{instance}}",
                    ),
                ),
                unit="s",
                width=8,
                thresholds=steps(GOOD, (900, ODD), (3600, WARNING)),
                links=(to_runbook("MilterManagerLogSilent"),),
            ),
            limits=True,
        ),
        graph(
            Facts(
                id=25,
                title="Rotations and truncations",
                description="Times that another file took a log's name, or that a log became"
                " shorter (copytruncate, which itself loses lines: prefer create). A log that is"
                " never rotated grows until the disk is full.",
                queries=(
                    Query(
                        expr=total(
                            "instance",
                            increase(
                                "milter_manager_exporter_file_rotations_total",
                                window="$__rate_interval",
                            ),
                        ),
                        legend="{{instance}} rotated",
                    ),
                    Query(
                        expr=total(
                            "instance",
                            increase(
                                "milter_manager_exporter_file_truncations_total",
                                window="$__rate_interval",
                            ),
                        ),
                        legend="{{instance}} truncated",
                    ),
                ),
                unit="short",
                width=8,
                decimals=0,
            )
        ),
        graph(
            Facts(
                id=26,
                title="State saves and errors",
                description="Saves of counters and positions a second, at most one while something"
                " changes, and failures. No saves at all while lines come: --no-state.",
                queries=(
                    Query(
                        expr=total("instance", rate("milter_manager_exporter_state_saves_total")),
                        legend="{{instance}} saved",
                    ),
                    Query(
                        expr=total("instance", rate("milter_manager_exporter_state_errors_total")),
                        legend="{{instance}} failed",
                    ),
                ),
                unit="suffix:/s",
                width=8,
                links=(to_runbook("MilterManagerExporterStateNotSaved"),),
            )
        ),
        graph(
            Facts(
                id=27,
                title="Sessions, counted twice",
                description="Sessions a second by milter-manager's own count ([sessions][finished]"
                " +n), and by their lines of end or disconnection. When the second is lower for"
                " long, lines are lost before they reach the log: the rate limit of rsyslog or"
                " journald (RateLimitBurst=), a full disk. The first comes later and in steps.",
                queries=(
                    Query(
                        expr=total("", rate("milter_manager_sessions_finished_total")),
                        legend="by milter-manager's count",
                    ),
                    Query(expr=sessions(), legend="by their lines"),
                ),
                unit="suffix:/s",
                width=24,
                height=7,
                links=(to_runbook("MilterManagerLogSilent"),),
            ),
            colours={"by milter-manager's count": NEUTRAL, "by their lines": GOOD},
        ),
    ]


def at_fault() -> list[Builder[Panel]]:
    """
    Name the host, the log and the word.
    """
    return [
        table(
            Facts(
                id=31,
                title="Exporters",
                description="Each exporter with its version. One that is missing here was not"
                " scraped at the end of the time range.",
                queries=(
                    listed(
                        f"max by (instance, version, revision, python_version) ({series(PRESENCE)})"
                    ),
                    listed(f"max by (instance) (time() - {series('process_start_time_seconds')})"),
                    listed(f"max by (instance) (time() - ({series(LAST_SAVE)} > 0))"),
                    listed(f"max by (instance) ({series('milter_manager_exporter_watcher_up')})"),
                ),
                unit="short",
                width=14,
                thresholds=steps("text"),
                links=(to_runbook("MilterManagerExporterAbsent"),),
            ),
            Column(field="instance", title="Instance"),
            Column(field="version", title="Version", width=90),
            Column(field="revision", title="Revision", width=100),
            Column(field="python_version", title="Python", width=90),
            Column(field="Value #B", title="Running for", width=120, unit="s"),
            Column(field="Value #C", title="State saved before", width=150, unit="s"),
            Column(field="Value #D", title="File events", width=100, unit="bool_on_off"),
            hidden=("Value #A",),
        ),
        table(
            Facts(
                id=32,
                title="Words outside their list (in this time range)",
                description="Words that a label's list does not have, counted as other, and"
                " numbers that could not be read. milter: a line lost the name, or there are more"
                " than a hundred names. header: not a well-known filter header, which is common"
                " and harmless. Others may come with a new version of milter-manager.",
                queries=(
                    listed(
                        total(
                            "instance, label",
                            increase("milter_manager_exporter_label_overflows_total"),
                        )
                        + " > 0.5"
                    ),
                ),
                unit="short",
                width=10,
                decimals=0,
                thresholds=steps("text"),
                links=(to_runbook("MilterManagerUnknownMessages"),),
            ),
            Column(field="instance", title="Instance"),
            Column(field="label", title="Label"),
            Column(field="Value", title="Times", width=110),
        ),
    ]


def cost() -> list[Builder[Panel]]:
    """
    Show what the exporter takes from its host and from Prometheus.
    """
    return [
        graph(
            Facts(
                id=41,
                title="Scrape duration",
                description="How long Prometheus took to scrape each exporter. Above its"
                " scrape_timeout, 10 s unless you set another, the scrape fails.",
                queries=(Query(expr=series("scrape_duration_seconds"), legend="{{instance}}"),),
                unit="s",
                width=6,
                thresholds=steps(GOOD, (1, WARNING), (10, BAD)),
                links=(to_runbook("MilterManagerExporterDown"),),
            ),
        ),
        graph(
            Facts(
                id=42,
                title="Memory",
                description="Resident memory of the exporter. It does not grow with the log; a"
                " long backlog of distinct lines may raise it for a while.",
                queries=(
                    Query(expr=series("process_resident_memory_bytes"), legend="{{instance}}"),
                ),
                unit="bytes",
                width=6,
                thresholds=steps(GOOD, (268_435_456, WARNING)),
            ),
        ),
        graph(
            Facts(
                id=43,
                title="CPU",
                description="Share of one core that the exporter takes. 1 for long means that it"
                " reads as fast as it can: see Unread by log.",
                queries=(Query(expr=rate("process_cpu_seconds_total"), legend="{{instance}}"),),
                unit="percentunit",
                width=6,
                thresholds=steps(GOOD, (0.8, WARNING)),
                links=(to_runbook("MilterManagerLogUnread"),),
            ),
        ),
        graph(
            Facts(
                id=44,
                title="Series and file descriptors",
                description="Series that each exporter gives to Prometheus, which grow with the"
                " number of child milters up to a limit, and files and connections that it has"
                " open.",
                queries=(
                    Query(expr=series("scrape_samples_scraped"), legend="{{instance}} series"),
                    Query(expr=series("process_open_fds"), legend="{{instance}} descriptors"),
                ),
                unit="short",
                width=6,
            ),
        ),
    ]
