"""
Pieces of PromQL that several panels are made of.

Raw metrics only: a dashboard must work where nobody loaded the recording rules.  Rates are taken
over $__rate_interval, which Grafana keeps at four scrapes or more, whatever the interval is; the
rules' fixed five minutes would smooth away what a zoomed graph is opened for.
"""

TARGET = 'job=~"$job",instance=~"$instance"'
"""What every selector starts with: the variables of the dashboard."""

SERIOUS = 'level=~"critical|error"'
FAILED = 'level=~"critical|error|warning"'
UNFILTERED = r'tag=~"\\[children\\]\\[error\\]\\[(alive|message-processing)\\]"'
"""Mail passes although no child milter looks at it."""
CHECKS = "milter_manager_mail_checks_total"
UNREACHABLE = 'tag="[children][error][connection]"'


def series(metric: str, *conditions: str) -> str:
    """
    Select a metric of the chosen hosts.
    """
    return f"{metric}{{{','.join((TARGET, *conditions))}}}"


def rate(metric: str, *conditions: str) -> str:
    """
    Take a counter's rate a second.
    """
    return f"rate({series(metric, *conditions)}[$__rate_interval])"


def increase(metric: str, *conditions: str, window: str = "$__range") -> str:
    """
    Take what a counter rose by: over the whole time range, or in a point's own interval.
    """
    return f"increase({series(metric, *conditions)}[{window}])"


def total(by: str, expression: str) -> str:
    """
    Add up over all labels but some.
    """
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def share(part: str, whole: str) -> str:
    """
    Divide, with no value where there is nothing to divide by.
    """
    return f"{part} / ({whole} > 0)"


def sessions() -> str:
    """
    Take the rate of sessions that were over: ended, or left by the client.
    """
    ended = total("", rate("milter_manager_sessions_ended_total"))
    return f"{ended} + {total('', rate('milter_manager_sessions_disconnected_total'))}"


def quantile(q: float, metric: str, *conditions: str, by: str = "") -> str:
    """
    Estimate a quantile; buckets are added up first, since quantiles cannot be.
    """
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, {total(labels, rate(f'{metric}_bucket', *conditions))})"


def without_harmless(by: str, function: str, window: str, *conditions: str) -> str:
    """
    Count messages without those that a healthy server writes as well.

    `or 0 *` stands in for the messages that have no harmless kind; below 0 is rounding.
    """

    def count(metric: str) -> str:
        return total(by, f"{function}({series(metric, *conditions)}[{window}])")

    counted = count("milter_manager_log_messages_total")
    harmless = count("milter_manager_harmless_messages_total")
    return f"clamp_min({counted} - ({harmless} or 0 * {counted}), 0)"


def events(by: str, metric: str, *conditions: str, window: str = "$__range") -> str:
    """
    Count events, the very first of a series included.

    A series with a milter's name begins with its first event, and `increase` needs something
    before it.  So what a new series began with is added (min_over_time: the rest is in the
    increase), if its host was already being scraped when the window began: after a gap every
    series looks new, and its old count would be taken for events.
    """
    one = series(metric, *conditions)
    began = (
        f"min_over_time({one}[{window}]) unless {one} offset {window}"
        f" and on (job, instance) up{{{TARGET}}} offset {window} == 1"
    )
    more = f'label_replace(increase({one}[{window}]), "part", "more", "", "")'
    first = f'label_replace({began}, "part", "first", "", "")'
    return total(by, f"{more} or {first}")
