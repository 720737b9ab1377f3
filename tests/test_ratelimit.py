"""
The token bucket, with a clock moved by hand.
"""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ratelimit import NANOSECONDS, TokenBucket
from exporter.webconfig import RateLimit


@pytest.mark.parametrize("burst", [1, 3, 20])
@pytest.mark.parametrize("now", [1, 12_345_678_901_234])
def test_burst(burst: int, now: int) -> None:
    """
    A bucket is full at first: a burst passes at once, and the next one has to wait an interval.
    """
    bucket = TokenBucket(RateLimit(0.1, burst))
    seconds = [bucket.take(now) for _ in range(burst + 1)]

    assert [0.0] * burst + [0.1] == seconds


def test_refill() -> None:
    """
    After each interval there is one more token, never more than the burst.
    """
    bucket = TokenBucket(RateLimit(2.0, 2))
    moments = [10, 10, 11, 12, 13, 1000, 1000, 1000]
    seconds = [bucket.take(moment * NANOSECONDS) for moment in moments]

    assert [0, 0, 1, 0, 1, 0, 0, 2] == seconds


def test_none_at_all() -> None:
    """
    Without an interval everything passes, without a burst nothing does.
    """
    endless, empty = TokenBucket(RateLimit(0.0, 1)), TokenBucket(RateLimit(1.0, 0))

    assert [0.0, 0.0, 0.0] == [endless.take(5) for _ in range(3)]
    assert [1.0, 1.0] == [empty.take(now) for now in (5, 10 * NANOSECONDS)]


@given(
    st.integers(1, 50),
    st.integers(1, 5),
    st.lists(st.integers(0, 100), max_size=60),
)
def test_same_as_counting_tokens(interval: int, burst: int, steps: list[int]) -> None:
    """
    It lets pass exactly who a bucket with a number of tokens in it lets pass.
    """
    bucket = TokenBucket(RateLimit(interval / NANOSECONDS, burst))
    now, tokens = 1, Fraction(burst)
    for step in steps:
        now += step
        tokens = min(Fraction(burst), tokens + Fraction(step, interval))
        expected = tokens >= 1
        tokens -= expected

        assert expected is (bucket.take(now) == 0)
