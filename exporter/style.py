"""
The landing page's style sheet, and the policy that lets a browser use one style and nothing else.

Kept apart from the page: every answer with the page needs the policy, and this imports nothing big.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources


@cache
def load_style() -> str:
    """
    Read the style sheet that comes with the package.
    """
    return resources.files("exporter").joinpath("page.css").read_text("utf-8")


@cache
def page_policy() -> str:
    """
    Give the landing page's policy, which is a header: only there a browser heeds the last rule.
    """
    return f"{policy_of(load_style())}; frame-ancestors 'none'"


def policy_of(style: str) -> str:
    """
    Give a page's Content-Security-Policy: its one style block, by its hash (CSP 3, 2.3.1).
    """
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
