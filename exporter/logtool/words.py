"""
The words of `explain` and `messages` in each language, from words.toml.

Knows the words, not where they go.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from exporter.catalogue import Message


@cache
def load_words() -> Mapping[str, Mapping[str, str]]:
    """
    Read the words that come with the package: key -> language -> text.
    """
    with resources.files("exporter.logtool").joinpath("words.toml").open("rb") as file:
        return tomllib.load(file)


class Words:
    """
    The words of one language.
    """

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """
        Give a text with values put in.
        """
        return load_words()[key][self.language].format(**values)

    def meaning(self, message: Message) -> str:
        """
        Give what a message means.
        """
        return message.ja if self.language == "ja" else message.en

    def harmless_because(self, message: Message) -> str:
        """
        Give why lines of a healthy server are harmless.
        """
        return message.harmless_ja if self.language == "ja" else message.harmless_en
