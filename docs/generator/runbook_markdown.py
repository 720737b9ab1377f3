"""
Text -> Markdown as GitHub shows it.

Knows no messages and no alerts.
"""

import re

# What stands in prose and is meant literally: tags, settings, options, names, words in braces.
LITERAL = re.compile(
    r"(?P<code>`[^`]+`)"
    r"|(?P<tags>(?:\[(?:[a-z][\w-]*|\{[a-z_]+\})\])+)"
    r"|(?P<setting>(?<![\w-])(?:manager|milter|controller)\.[a-z_]*[a-z])"
    r"|(?P<option>(?<![A-Za-z0-9-])--[a-z]+(?:[-.][a-z]+)*)"
    r"|(?P<name>(?<![\w/.-])[A-Za-z][A-Za-z0-9]*_\w+)"
    r"|(?P<word>\{[a-z_]+\})",
    re.ASCII,
)
SPECIAL = re.compile(r"([\\`*_<\[\]|~])")
ALTERNATIVE = re.compile(
    r"\{\{\s*with\s+(?P<what>\$labels\.\w+)\s*\}\}(?P<then>.*?)\{\{\s*else\s*\}\}.*?\{\{\s*end\s*\}\}"
)
TEMPLATE = re.compile(r"\{\{[^}]*?\$(?P<what>labels\.\w+|value)[^}]*\}\}")


def code(text: str) -> str:
    """
    Write text literally.
    """
    return f"`{text}`"


def cell(text: str) -> str:
    """
    Make Markdown fit for a cell of a table.
    """
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def prose(text: str) -> str:
    """
    Write a sentence, what is literal in it as code and the rest without hidden marks.
    """
    written, end = [], 0
    for found in LITERAL.finditer(text):
        written.append(SPECIAL.sub(r"\\\1", text[end : found.start()]))
        written.append(found["code"] or code(found[0]))
        end = found.end()
    written.append(SPECIAL.sub(r"\\\1", text[end:]))
    return "".join(written)


def without_templates(text: str) -> str:
    """
    Write the labels and values of an annotation as words in braces, on one line.
    """
    line = ALTERNATIVE.sub(
        lambda found: found["then"].replace("{{ . }}", f"{{{{ {found['what']} }}}}"),
        " ".join(text.split()),
    )
    return TEMPLATE.sub(lambda found: f"{{{found['what'].removeprefix('labels.')}}}", line)


def bullets(sentences: tuple[str, ...]) -> list[str]:
    """
    Write sentences as a list.
    """
    return [f"- {prose(sentence)}" for sentence in sentences]


def steps(sentences: tuple[str, ...]) -> list[str]:
    """
    Write sentences as a numbered list.
    """
    return [f"{i}. {prose(sentence)}" for i, sentence in enumerate(sentences, 1)]


def link(text: str, anchor: str) -> str:
    """
    Write a link within the page.
    """
    return f"[{text}](#{anchor})"
