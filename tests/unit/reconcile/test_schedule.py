"""How long a plan takes, and what it waits for: against every way through the graph, counted one by one, and a real apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.reconcile.duration_fact import DurationFact
from homeport.reconcile.schedule import Span, schedule, span_text
from reconciled import Thing, World, act

Needs = Mapping[int, frozenset[int]]


@dataclass(frozen=True)
class Made:
    """A graph, and how long each thing in it takes to be made; None for not known."""

    needs: Needs
    seconds: tuple[int | None, ...]


@st.composite
def made(draw: st.DrawFn) -> Made:
    size = draw(st.integers(1, 7))
    needs = {
        one: frozenset(draw(st.sets(st.integers(0, one - 1), max_size=3)) if one else ())
        for one in range(size)
    }
    seconds = draw(st.tuples(*(st.none() | st.integers(1, 900) for _ in range(size))))
    return Made(needs, seconds)


def ways(needs: Needs, to: int) -> Iterator[tuple[int, ...]]:
    """Every way that ends there."""
    yield (to,)
    for need in needs[to]:
        for way in ways(needs, need):
            yield (*way, to)


def things(of: Made, world: World) -> list[Thing]:
    return [
        Thing(
            id=f"thing/{one}",
            world=world,
            after=tuple(f"thing/{need}" for need in sorted(of.needs[one])),
            write_s=of.seconds[one] or 0,
        )
        for one in of.needs
    ]


def spans(of: Made) -> dict[str, Span]:
    return {
        f"thing/{one}": Span(low_s=taken / 2, high_s=taken, how="", source="", checked=True)
        for one, taken in enumerate(of.seconds)
        if taken is not None
    }


@settings(max_examples=40)
@given(made())
def test_the_whole_is_the_longest_of_all_ways_and_that_is_what_applying_it_takes(of: Made) -> None:
    async def applied() -> tuple[DurationFact, float]:
        plan = await make_plan("home", "there", things(of, World()))
        fact = DurationFact.of(schedule(plan.actions, spans(of)), "2026-11-23")
        done = await apply(plan, Silent())
        assert len(done.seconds) == len(of.needs)
        return fact, sum(done.seconds[step.id] for step in fact.critical)

    fact, taken_on_the_way = act(applied())
    longest = max(
        sum(of.seconds[one] or 0 for one in way) for last in of.needs for way in ways(of.needs, last)
    )
    unknown = {f"thing/{one}" for one, taken in enumerate(of.seconds) if taken is None}
    assert set(fact.not_known) == unknown
    assert fact.high_s == (longest if len(unknown) < len(of.needs) else None)
    assert taken_on_the_way == pytest.approx(longest)


def test_what_is_not_known_is_null_and_never_nothing() -> None:
    async def planned() -> DurationFact:
        plan = await make_plan(
            "home", "there", things(Made({0: frozenset(), 1: frozenset({0})}, (None, 60)), World())
        )
        known = {"thing/1": Span(low_s=30, high_s=60, how="", source="somebody", checked=False)}
        return DurationFact.of(schedule(plan.actions, known), "2026-11-23")

    fact = act(planned())
    first, second = fact.steps
    assert (first.low_s, first.high_s, first.critical) == (None, None, True)
    assert (second.low_s, second.high_s) == (30, 60)
    assert "1 step besides: not known" in fact.text
    nothing = DurationFact(low_s=None, high_s=None, not_known=("thing/0",), steps=(first,), dated="")
    assert nothing.span == "not known"
    assert nothing.text.startswith("not known")


def test_only_what_is_done_takes_time() -> None:
    world = World()
    of = Made({0: frozenset(), 1: frozenset({0})}, (100, 60))

    async def after_the_first() -> DurationFact:
        first, second = things(of, world)
        await apply(await make_plan("home", "there", [first]), Silent())
        return DurationFact.of(
            schedule((await make_plan("home", "there", [first, second])).actions, spans(of)), "2026-11-23"
        )

    fact = act(after_the_first())
    assert [step.id for step in fact.steps] == ["thing/1"]
    assert fact.high_s == 60


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (5, 30, "5 to 30 s"),
        (0, 120, "0 s to 2 min"),
        (120, 298, "2 to 5 min"),
        (900, 900, "15 min"),
        (750, 1800, "12 to 30 min"),
    ],
)
def test_a_range_is_told_as_coarsely_as_it_is_known(low: float, high: float, text: str) -> None:
    assert span_text(low, high) == text
