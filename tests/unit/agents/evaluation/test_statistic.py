"""Intervals and tests of proportions: against published values, and against what defines them."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import isclose, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.agents.evaluation.statistic import LEVEL, holm, mcnemar, wilson

Z = 1.959963984540054


@st.composite
def proportions(draw: st.DrawFn) -> tuple[int, int]:
    of = draw(st.integers(1, 400))
    return draw(st.integers(0, of)), of


@given(proportions())
def test_the_ends_of_wilsons_interval_are_where_the_score_test_just_does_not_reject(
    proportion: tuple[int, int],
) -> None:
    right, of = proportion
    share = right / of
    low, high = wilson(right, of)
    assert 0 <= low <= share <= high <= 1
    for end, extreme in ((low, right == 0), (high, right == of)):
        if not extreme:
            assert isclose(abs(share - end), Z * sqrt(end * (1 - end) / of), rel_tol=1e-6, abs_tol=1e-9)


@given(proportions())
def test_wilsons_interval_of_what_is_wrong_mirrors_that_of_what_is_right(proportion: tuple[int, int]) -> None:
    right, of = proportion
    low, high = wilson(right, of)
    assert wilson(of - right, of) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)  # Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
def test_wilsons_interval_is_the_published_one(right: int, of: int, low: float, high: float) -> None:
    assert wilson(right, of) == pytest.approx((low, high), abs=5e-5)


def test_nothing_is_known_of_no_tasks() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert mcnemar(0, 0) == 1.0


@given(st.integers(0, 7), st.integers(0, 7))
def test_mcnemars_p_is_the_share_of_all_outcomes_that_are_as_far_apart(first: int, second: int) -> None:
    """Counted: every way in which the tasks that only one did right could have fallen, each as likely as another."""
    tasks = first + second
    as_far = sum(abs(2 * sum(way) - tasks) >= abs(first - second) for way in product((0, 1), repeat=tasks))
    assert Fraction(mcnemar(first, second)).limit_denominator(2**15) == Fraction(as_far, 2**tasks)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_mcnemars_p_is_symmetric_and_falls_as_the_two_part(first: int, second: int) -> None:
    value = mcnemar(first, second)
    assert value == mcnemar(second, first)
    assert 0 <= value <= 1
    if first >= second:
        assert mcnemar(first + 1, second) <= value or first == second


@given(st.lists(st.floats(0, 1), max_size=9))
def test_holm_rejects_what_bonferroni_does_and_nothing_beyond_the_level(values: list[float]) -> None:
    named = {str(place): value for place, value in enumerate(values)}
    found = holm(named)
    for name, value in named.items():
        assert found[name] or value > LEVEL / len(named)
        assert not found[name] or value <= LEVEL
    assert not any(found.values()) or min(values) <= LEVEL / len(values)


def test_holm_is_the_worked_example_step_by_step() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == {
        "a": True,
        "b": False,
        "c": False,
        "d": True,
    }
