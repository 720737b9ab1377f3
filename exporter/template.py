"""
The HTML templates that come with the package, every value escaped.

Never says what is put into them: filters and names come from who writes the page.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined

Filters: TypeAlias = Mapping[str, Callable[..., object]]
Render: TypeAlias = Callable[..., str]
"""A template that waits for its values, by name."""


def load_template(path: str, filters: Filters, names: Mapping[str, object]) -> Render:
    """
    Compile the template at a path within the package, with its filters and the names it knows.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=PackageLoader("exporter", ""),
        auto_reload=False,
    )
    environment.filters |= filters
    environment.globals |= names
    return environment.get_template(path).render
