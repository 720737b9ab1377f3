"""
What a message's tags mean, from the catalogue, for the columns of a table.

One text for each value of the label `tag`; Other columns are their tables' own.
"""

from collections.abc import Iterator

from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from dashboards.panels import Column
from dashboards.places import RUNBOOK
from exporter.advice import anchor
from exporter.catalogue import Message, load_catalogue

LEVELS = ("critical", "error", "warning")
"""Those that the tables show."""


def first_of_each_tag() -> Iterator[Message]:
    """
    Give the messages of these levels, one for each run of tags, in the catalogue's order.

    Messages that share their tags differ in little but their level.
    """
    seen: set[str] = set()
    for message in load_catalogue().messages:
        if message.tags and message.tags not in seen and message.level in LEVELS:
            seen.add(message.tags)
            yield message


def meanings() -> ValueMap:
    """
    Show what happened in place of the tags.
    """
    return ValueMap(
        {
            message.tags: ValueMappingResult(text=message.en, index=index)
            for index, message in enumerate(first_of_each_tag())
        }
    )


def sections() -> ValueMap:
    """
    Show the section of the runbook, as its address ends, in place of the tags.
    """
    return ValueMap(
        {
            message.tags: ValueMappingResult(text=anchor(message), index=index)
            for index, message in enumerate(first_of_each_tag())
        }
    )


def columns() -> tuple[Column, ...]:
    """
    Describe the columns of tags, their meaning and their section of the runbook.

    A value mapping replaces what it maps, so the tags come in three times: see `explained`.
    """
    section = {
        "title": "Runbook: what to do",
        "url": f"{RUNBOOK}#${{__value.text}}",
        "targetBlank": True,
    }
    return (
        Column(field="tag", title="Tags", width=330),
        Column(field="meaning", title="What it means", mappings=meanings(), wrapped=True),
        Column(field="section", title="Runbook", width=230, mappings=sections(), link=section),
    )


def explained(expression: str) -> str:
    """
    Give the label `tag` twice more, for the columns that explain it.
    """
    for column in ("meaning", "section"):
        expression = f'label_replace({expression}, "{column}", "$1", "tag", "(.*)")'
    return expression
