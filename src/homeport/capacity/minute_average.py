"""The average that instances are counted by: of requests in service, over the last minute."""

from __future__ import annotations

import math
from collections import deque

WINDOW_S = 60.0
_ROUNDED = 1e-9


class MinuteAverage:
    """
    An average over the last minute, of what is told as its sum over time until then; over less in the first minute.

    It is looked at more often than once a minute, at even intervals.
    """

    __slots__ = ("_samples",)

    def __init__(self) -> None:
        """Begin at 0 s, with nothing."""
        self._samples: deque[tuple[float, float]] = deque([(0.0, 0.0)])

    def of(self, now: float, total: float) -> float:
        """Return the average at `now`, where the sum over time since the beginning is `total`."""
        samples = self._samples
        samples.append((now, total))
        while now - samples[0][0] > WINDOW_S + _ROUNDED:
            samples.popleft()
        at, before = samples[0]
        return (total - before) / (now - at)


def instances_needed(average: float, each: float) -> int:
    """Return how many instances it takes, for `average` requests at once, so that each has `each` at most."""
    return math.ceil(average / each - _ROUNDED)
