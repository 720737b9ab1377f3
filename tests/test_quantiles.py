"""
Quantiles in bounded memory.
"""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.quantiles import Quantiles

ERROR = 0.01
SECONDS = st.floats(min_value=0.0, max_value=1e9)


@given(st.lists(SECONDS, min_size=1), st.floats(min_value=0.0, max_value=1.0))
def test_error(values: list[float], share: float) -> None:
    """
    Any quantile is within a hundredth of what sorting all values gives, or below a microsecond.
    """
    quantiles = Quantiles()
    for value in values:
        quantiles.add(value)
    exact = sorted(values)[max(ceil(share * len(values)), 1) - 1]

    assert abs(quantiles.at(share) - exact) <= exact * (ERROR + 1e-9) + 1e-6
    assert max(values) == quantiles.most
    assert len(values) == quantiles.count


@given(st.lists(SECONDS))
def test_bounded(values: list[float]) -> None:
    """
    There are never more buckets than the range of durations has room for.
    """
    quantiles = Quantiles()
    for value in values:
        quantiles.add(value)

    assert all(0 <= i <= 1730 for i in quantiles._buckets)  # noqa: SLF001 - what memory it takes


def test_many_at_once() -> None:
    """
    A line that stands for several counts as often.
    """
    quantiles = Quantiles()
    quantiles.add(1.0, 99)
    quantiles.add(10.0)

    assert 100 == quantiles.count
    assert pytest.approx(1.0, rel=ERROR) == quantiles.at(0.99)
    assert 10.0 == pytest.approx(quantiles.at(1.0), rel=ERROR)


def test_nothing() -> None:
    """
    Of nothing every quantile is 0.
    """
    assert 0.0 == Quantiles().at(0.5)
