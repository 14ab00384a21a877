"""
Intervals and tests of proportions: a few lines each.

The well-kept libraries that have them (statsmodels, scipy) are a hundred times the size of all that is needed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import sqrt
from statistics import NormalDist

_Z = NormalDist().inv_cdf(0.975)
LEVEL = 0.05
"""Of significance: how often a difference is told where there is none."""


def wilson(right: int, of: int) -> tuple[float, float]:
    """
    Return the 95 % interval of a proportion.

    The score interval of Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927): with p = right/of and z = 1.96,
    (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n). Nothing is known of no tasks: 0 to 1.
    """
    if of == 0:
        return 0.0, 1.0
    share, square = right / of, _Z * _Z / of
    middle = (share + square / 2) / (1 + square)
    half = _Z * sqrt(share * (1 - share) / of + square / (4 * of)) / (1 + square)
    return (0.0 if right == 0 else middle - half), (1.0 if right == of else middle + half)


def mcnemar(only_first: int, only_second: int) -> float:
    """
    Return the p-value of a difference between two that did the same tasks, exactly.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", Psychometrika
    12 (1947), with the binomial distribution in the place of χ²: were both alike, each task that only one of them did
    right would be either's with probability ½. Two-sided: twice the smaller tail, at most 1.
    """
    tasks, fewer = only_first + only_second, min(only_first, only_second)
    tail = ways = 1
    for i in range(fewer):
        ways = ways * (tasks - i) // (i + 1)
        tail += ways
    return min(1.0, float(Fraction(2 * tail, 2**tasks)))


def holm(values: Mapping[str, float]) -> dict[str, bool]:
    """
    Return which of several p-values stand at `LEVEL` when all are looked at together.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979): from
    the smallest on, each is compared with LEVEL / (how many are left), and the first that fails ends it.
    """
    standing = dict.fromkeys(values, False)
    for place, (name, value) in enumerate(sorted(values.items(), key=lambda pair: pair[1])):
        if value > LEVEL / (len(values) - place):
            break
        standing[name] = True
    return standing
