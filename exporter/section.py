"""
A document's values, read key by key: what is not known is refused.

A reason names the key and never shows a value, which may be a secret.
"""

import re
from collections.abc import Collection, Mapping
from typing import TypeAlias

Value: TypeAlias = str | int | float | bool | list["Value"] | dict[str, "Value"] | None

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_HASH = re.compile(r"\$2[a-z]?\$.*", re.DOTALL)
_KINDS = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "nothing",
    list: "a list",
    dict: "a mapping",
}


class DocumentError(Exception):
    """
    The document is wrong; the text says where and how.
    """


class Section:
    """
    One mapping of the document; what its reader does not ask for by name is refused.
    """

    def __init__(self, key: str, value: Value, names: Collection[str]) -> None:
        self._key = key
        if not isinstance(value, dict):
            prefix = f"{key}: " if key else ""
            raise DocumentError(f"{prefix}must be a mapping, not {kind(value)}")
        for name in value:
            if name not in names:
                raise DocumentError(f"{join(key, name)}: unknown key")
        self._values = value

    def has(self, name: str) -> bool:
        """
        Tell whether the key is there, even with nothing behind it.
        """
        return name in self._values

    def value(self, name: str) -> Value:
        """
        Return whatever stands there; None also for nothing.
        """
        return self._values.get(name)

    def text(self, name: str, default: str = "") -> str:
        """
        Read a text that is not empty.
        """
        value = self._values.get(name)
        return default if value is None else text_of(join(self._key, name), value)

    def texts(self, name: str) -> tuple[str, ...]:
        """
        Read a list of texts, none of them empty.
        """
        key, value = join(self._key, name), self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise DocumentError(f"{key}: must be a list, not {kind(value)}")
        return tuple(text_of(f"{key}[{i}]", item) for i, item in enumerate(value))

    def switch(self, name: str, *, default: bool) -> bool:
        """
        Read true or false.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            key = join(self._key, name)
            raise DocumentError(f"{key}: must be true or false, not {kind(value)}")
        return value


def text_of(key: str, value: Value) -> str:
    """
    Take a text that is not empty.
    """
    if not isinstance(value, str):
        raise DocumentError(f"{key}: must be text, not {kind(value)}")
    if not value:
        raise DocumentError(f"{key}: must not be empty")
    return value


def kind(value: Value) -> str:
    """
    Say what a value is, without showing it.
    """
    return _KINDS[type(value)]


def join(key: str, name: str) -> str:
    """
    Name a key by its way from the top, on one line; a hash that stands for a name is not shown.
    """
    if _HASH.fullmatch(name):
        spelt = "(a hash)"
    elif _PLAIN_KEY.fullmatch(name):
        spelt = name
    else:
        spelt = ascii(name[:64])
    return f"{key}.{spelt}" if key else spelt


def mapping_of(key: str, value: Value) -> Mapping[str, Value]:
    """
    Take a mapping with any names.
    """
    if not isinstance(value, dict):
        raise DocumentError(f"{key}: must be a mapping, not {kind(value)}")
    return value
