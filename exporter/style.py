"""
The landing page's style sheet, and the policy that lets a browser use it and nothing else.

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
    Give the page's Content-Security-Policy: this one style block, by its hash (CSP 3, 2.3.1).
    """
    digest = b64encode(sha256(load_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
