"""
The style sheet and the policy that admits it.
"""

import hashlib
import re
from base64 import b64encode

from exporter.style import load_style, page_policy, policy_of


def test_policy() -> None:
    """
    Only this style block and an icon in the page itself are allowed; nothing runs or is loaded.
    """
    digest = b64encode(hashlib.sha256(load_style().encode()).digest()).decode()
    policy = dict(rule.split(" ", 1) for rule in page_policy().split("; "))

    assert f"'sha256-{digest}'" == policy.pop("style-src")
    assert "data:" == policy.pop("img-src")
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} == set(policy)
    assert {"'none'"} == set(policy.values())


def test_policy_of() -> None:
    """
    A file's policy is the page's, without the one rule that browsers heed in a header only.
    """
    assert page_policy() == f"{policy_of(load_style())}; frame-ancestors 'none'"
    assert policy_of(load_style()) != policy_of(f"{load_style()} ")
    assert "frame-ancestors" not in policy_of(load_style())


def test_style_loads_nothing() -> None:
    """
    The style sheet refers to no other file, and cannot end its element.
    """
    assert not re.search(r"url\(|@import|@font-face|</", load_style())


def test_both_schemes() -> None:
    """
    Each colour of the light scheme that is a shade of the page has its dark one.
    """
    light, _, dark = load_style().partition("@media (prefers-color-scheme: dark)")
    dark = dark.partition("\n}\n")[0]
    names = re.compile(r"^ +.*?(--[a-z-]+):|; (--[a-z-]+):", re.MULTILINE)

    def found(text: str) -> set[str]:
        return {name for pair in names.findall(text) for name in pair if name}

    assert found(light.partition("}")[0]) == found(dark)
