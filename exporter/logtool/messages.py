"""
`milter-manager-logtool messages`: the catalogue, as a table, Markdown or JSON.

Every message that milter-manager can write and the exporter knows.  Reads no log.
"""

import argparse
import json
from collections.abc import Sequence

from rich import box
from rich.table import Table

from exporter.advice import load_advice
from exporter.catalogue import Message, load_catalogue
from exporter.logtool.terminal import EXIT_SOME_FAILED, CommonOptions, Terminal
from exporter.logtool.words import Words
from exporter.logtool.writing import message_object


class Options(CommonOptions):
    """
    What the command line says.
    """

    words: Sequence[str] = ()
    module: Sequence[str] | None = None
    level: Sequence[str] | None = None
    harmless: bool = False
    format: str = "table"


def run(parser: argparse.ArgumentParser, arguments: Sequence[str], terminal: Terminal) -> int:
    """
    Write the messages asked for; status 1 where there is none.
    """
    catalogue = load_catalogue()
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="only messages that have all these words in number, tags, text or meaning",
    )
    modules = {message.module for message in catalogue.messages}
    levels = {message.level for message in catalogue.messages}
    for name, choices in (("module", sorted(modules)), ("level", sorted(levels))):
        parser.add_argument(
            f"--{name}", action="append", choices=choices,
            help=f"only of this {name}; repeatable",
        )  # fmt: skip
    parser.add_argument(
        "--harmless", action="store_true", help="only those that a healthy server writes too"
    )
    formats = parser.add_mutually_exclusive_group()
    for name in ("json", "markdown"):
        formats.add_argument(
            f"--{name}", dest="format", action="store_const", const=name,
            default=argparse.SUPPRESS, help=f"write {name} instead of a table",
        )  # fmt: skip
    options = parser.parse_args(arguments, Options())
    found = [message for message in catalogue.messages if fits(message, options)]
    words = Words(options.lang)
    match options.format:
        case "json":
            terminal.write(json.dumps([message_object(one, words) for one in found], indent=2))
        case "markdown":
            terminal.write(write_markdown(found, words))
        case _:
            write_table(found, words, terminal)
    if not found:
        terminal.warn(words("none_found"))
        return EXIT_SOME_FAILED
    return 0


def fits(message: Message, options: Options) -> bool:
    """
    Say whether a message is one of those asked for.
    """
    if options.module and message.module not in options.module:
        return False
    if options.level and message.level not in options.level:
        return False
    if options.harmless and not message.harmless:
        return False
    title = load_advice().of_message(message).wording[options.lang].title
    said = (message.number, message.tags, message.logged, message.text, title)
    text = "\n".join((*said, Words(options.lang).meaning(message))).casefold()
    return all(word.casefold() in text for word in options.words)


def rows_of(messages: Sequence[Message], words: Words) -> list[tuple[str, ...]]:
    """
    Give the table's rows, its heads first.
    """
    heads = tuple(words(key) for key in ("number", "module", "level", "tags", "means"))
    rows = [
        (
            message.number,
            f"{message.module}.{message.submodule}" if message.submodule else message.module,
            message.level,
            message.tags or message.text,
            words.meaning(message),
        )
        for message in messages
    ]
    return [heads, *rows]


def write_markdown(messages: Sequence[Message], words: Words) -> str:
    """
    Write a table of GitHub's Markdown; tags as code, so that none of their signs means anything.
    """
    heads, *rows = rows_of(messages, words)
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for number, module, level, tags, text in rows:
        code = f"`{tags}`" if tags else ""
        cells = (number, module, level, code, text)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def write_table(messages: Sequence[Message], words: Words, terminal: Terminal) -> None:
    """
    Write a table: on a terminal within its width, else columns for `cut` and `awk`, tabs between.
    """
    heads, *rows = rows_of(messages, words)
    if not terminal.output.isatty():
        for row in (heads, *rows):
            terminal.write("\t".join(row))
        return
    table = Table(*heads, box=box.SIMPLE, show_lines=True)
    table.columns[3].overflow = "fold"
    for row in rows:
        table.add_row(*row)
    terminal.console().print(table)
