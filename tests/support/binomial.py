"""How often a draw may come out one way: bounds so wide that a fair draw never leaves them."""

from __future__ import annotations

from itertools import accumulate
from math import comb

NEVER = 1e-12
"""The probability of a fair draw outside of the bounds, on each side."""


def bounds(draws: int, probability: float, never: float = NEVER) -> tuple[int, int]:
    """Return the fewest and the most of `draws` that come out one way, except with a probability below `never` on each side."""
    chances = [
        comb(draws, hits) * probability**hits * (1 - probability) ** (draws - hits)
        for hits in range(draws + 1)
    ]
    fewest = next(hits for hits, chance in enumerate(accumulate(chances)) if chance >= never)
    beyond = next(hits for hits, chance in enumerate(accumulate(reversed(chances))) if chance >= never)
    return fewest, draws - beyond


__all__ = ["bounds"]
