"""
A token bucket: so many requests at once, then one each interval.

It never waits and never asks who is there: it says how long until there is a token again.
"""

from exporter.webconfig import RateLimit

NANOSECONDS = 1_000_000_000


class TokenBucket:
    """
    Full at first, in whole nanoseconds: a sum of fractions would deny the last token of a burst.
    """

    def __init__(self, limit: RateLimit) -> None:
        self._interval = round(limit.interval_seconds * NANOSECONDS)
        self._whole = self._interval * limit.burst
        # When it will be full again. One number is the whole bucket, as in ATM's GCRA.
        self._full_at = 0

    def take(self, now: int) -> float:
        """
        Take a token and return 0, or take none and return the seconds until there is one.

        Without an interval there is always one, as with Go's rate.Every(0); without a burst never.
        """
        full_at = max(self._full_at, now) + self._interval
        missing = full_at - now - self._whole
        if missing > 0:
            return missing / NANOSECONDS
        self._full_at = full_at
        return 0.0
