"""
A strict YAML document: bytes in, plain values out.

What YAML allows and readers trip over is refused: keys given twice or that are no text, merge
keys, aliases, tags.  It never knows which keys there may be, that is `section`.
"""

import re

import yaml

from exporter.section import DocumentError, Value, join, kind

MAX_DEPTH = 16

_TAG = "tag:yaml.org,2002:"
# YAML 1.1 also has 0x10, 010 for 8 and 1:30 for 90; who means those?
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}


class _Loader(yaml.SafeLoader):
    """
    Composes the nodes of a document without aliases and without bottomless nesting.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """
        Refuse, before PyYAML's own recursion, what could make it endless.
        """
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]  # so the stubs
        if self.check_event(yaml.AliasEvent):
            raise DocumentError(f"line {line}: aliases are not supported")
        if self.depth == MAX_DEPTH:
            raise DocumentError(f"line {line}: nested deeper than {MAX_DEPTH} levels")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_document(data: bytes) -> Value:
    """
    Read one document; an empty one is an empty mapping.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(f"line {line}: not UTF-8") from None
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError(f"line {mark.line + 1 if mark else 1}: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"line {line}: a character that YAML forbids") from None
    except (ValueError, OverflowError):
        # PyYAML lets them through, for "\UFFFFFFFF" and for a version of 5000 digits.
        raise DocumentError("a number or an escape that YAML forbids") from None
    value = None if node is None else _value("", node)
    return {} if value is None else value


def _value(key: str, node: yaml.Node) -> Value:
    """
    Make a plain value of a node.
    """
    if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
        return _mapping(key, node)
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
        return [_value(f"{key}[{i}]", item) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(key, node)
    raise DocumentError(f"{_place(key, node)}: tags are not supported")


def _mapping(key: str, node: yaml.MappingNode) -> dict[str, Value]:
    """
    Read a mapping in which each key is a text and stands once.
    """
    values = dict[str, Value]()
    for name_node, value_node in node.value:
        if name_node.tag == f"{_TAG}merge":
            raise DocumentError(f"{_place(key, name_node)}: merge keys (<<) are not supported")
        name = _value(key, name_node)
        if not isinstance(name, str):
            reason = f"a key is {kind(name)}, not text: quote it"
            raise DocumentError(f"{_place(key, name_node)}: {reason}")
        path = join(key, name)
        if name in values:
            raise DocumentError(f"{_place(path, name_node)}: given twice")
        values[name] = _value(path, value_node)
    return values


def _scalar(key: str, node: yaml.ScalarNode) -> Value:
    """
    Read a text, a number, true, false or nothing.
    """
    text: str = node.value
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise DocumentError(f"{_place(key, node)}: half a character (a surrogate)")
    match node.tag.removeprefix(_TAG):
        case "str":
            return text
        case "null":
            return None
        case "bool" if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        case "int" if _INTEGER.fullmatch(text):
            return int(text)
        case "float":
            return 0.0  # no key takes one: what counts is that it is no text
    raise DocumentError(f"{_place(key, node)}: read as something else than text: quote it")


def _place(key: str, node: yaml.Node) -> str:
    """
    Say where in the document something stands.
    """
    line = f"line {node.start_mark.line + 1}"
    return f"{key}: {line}" if key else line
