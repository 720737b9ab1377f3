"""
Quantiles of durations, in memory that does not grow with their number.

Counts in buckets whose bounds rise by a constant factor, so that any quantile is known to within
one hundredth of itself: DDSketch (Masson, Rim and Lee, VLDB 2019), without its merging and its
network format.
"""

from math import ceil, log

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
LOG_GAMMA = log(GAMMA)
LEAST_SECONDS = 1e-6
"""The smallest step that the log has; less counts as nothing.  The largest bounds the buckets."""


class Quantiles:
    """
    Durations of one kind.
    """

    def __init__(self) -> None:
        self.count = 0
        self.most = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float, times: int = 1) -> None:
        """
        Add a duration, 0 or more.
        """
        self.count += times
        self.most = max(self.most, seconds)
        i = ceil(log(seconds / LEAST_SECONDS) / LOG_GAMMA) if seconds > LEAST_SECONDS else 0
        self._buckets[i] = self._buckets.get(i, 0) + times

    def at(self, share: float) -> float:
        """
        Give the duration that this share of all does not exceed; 0 where there is none.
        """
        rank = max(ceil(share * self.count), 1)
        for i, times in sorted(self._buckets.items()):
            rank -= times
            if rank <= 0:
                middle = LEAST_SECONDS * GAMMA**i * 2 / (GAMMA + 1)
                return min(middle, self.most) if i else 0.0
        return 0.0
