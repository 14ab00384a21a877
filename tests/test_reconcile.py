"""Plan, apply and destroy, over resources that live in a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import HomeportError
from homeport.progress import Progress, Silent
from homeport.reconcile import KNOWN_AFTER_APPLY, Change, Kind, Outputs, Resource, apply, destroy, make_plan


@dataclass
class World:
    """What is live, what happened to it, and which calls shall fail."""

    live: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Thing:
    """A resource whose value depends on the values of those that it needs."""

    id: str
    world: World
    needs: tuple[str, ...] = ()
    value: str = "1"

    def wanted(self, outputs: Outputs) -> str:
        return self.value + "".join(outputs[need] for need in self.needs)

    async def read(self) -> str | None:
        await asyncio.sleep(0)
        return self.world.live.get(self.id)

    def diff(self, live: str, outputs: Outputs) -> tuple[Change, ...]:
        if any(need not in outputs for need in self.needs):
            return (Change(path="value", before=live, after=KNOWN_AFTER_APPLY),)
        wanted = self.wanted(outputs)
        return () if live == wanted else (Change(path="value", before=live, after=wanted),)

    def summary(self, outputs: Outputs) -> str:
        return self.id

    async def create(self, outputs: Outputs, progress: Progress) -> str:
        await asyncio.sleep(0)
        if self.id in self.world.broken:
            raise HomeportError(f"{self.id} is broken")
        self.world.log.append(self.id)
        self.world.live[self.id] = self.wanted(outputs)
        return self.world.live[self.id]

    async def update(self, live: str, outputs: Outputs, progress: Progress) -> str:
        return await self.create(outputs, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        if self.id in self.world.broken:
            raise HomeportError(f"{self.id} is broken")
        self.world.log.append(f"-{self.id}")
        return (self.id,) if self.world.live.pop(self.id, None) else ()


def converge(resources: list[Thing]) -> Mapping[str, Any]:
    async def work() -> Mapping[str, Any]:
        return (await apply(await make_plan("x", "test", resources), Silent())).outputs

    return asyncio.run(work())


def kinds(resources: list[Thing]) -> dict[str, Kind]:
    plan = asyncio.run(make_plan("x", "test", resources))
    return {action.resource.id: action.kind for action in plan.actions}


@st.composite
def graphs(draw: st.DrawFn) -> list[Thing]:
    """Up to eight things, each needing some of those before it, in any order."""
    world = World()
    count = draw(st.integers(1, 8))
    things = []
    for number in range(count):
        needs = draw(st.sets(st.sampled_from(range(number)))) if number else set()
        things.append(Thing(f"t{number}", world, tuple(f"t{need}" for need in sorted(needs))))
    return draw(st.permutations(things))


def test_a_thing_satisfies_the_protocol() -> None:
    thing: Resource = Thing("a", World())
    assert thing.id == "a"


@given(graphs())
def test_after_apply_the_plan_is_empty(things: list[Thing]) -> None:
    converge(things)
    assert set(kinds(things).values()) == {Kind.NONE}


@given(graphs())
def test_everything_is_made_once_and_after_what_it_needs(things: list[Thing]) -> None:
    converge(things)
    log = things[0].world.log
    assert sorted(log) == sorted(thing.id for thing in things)
    assert all(log.index(need) < log.index(thing.id) for thing in things for need in thing.needs)


@given(graphs())
def test_destroy_leaves_nothing_and_goes_backwards(things: list[Thing]) -> None:
    converge(things)
    world = things[0].world
    world.log.clear()
    gone = asyncio.run(destroy(things, Silent()))
    assert not world.live
    assert sorted(gone) == sorted(thing.id for thing in things)
    assert all(
        world.log.index(f"-{thing.id}") < world.log.index(f"-{need}")
        for thing in things
        for need in thing.needs
    )


@given(graphs(), st.data())
def test_after_a_failure_the_rest_is_finished_and_the_next_apply_converges(
    things: list[Thing], data: st.DataObject
) -> None:
    world = things[0].world
    broken = data.draw(st.sampled_from([thing.id for thing in things]))
    world.broken = {broken}
    with pytest.raises(HomeportError, match=f"{broken} is broken"):
        converge(things)
    dependants = _dependants(broken, things)
    assert set(world.live) == {thing.id for thing in things} - dependants - {broken}
    world.broken.clear()
    converge(things)
    assert set(kinds(things).values()) == {Kind.NONE}
    assert len(world.log) == len(things), "nothing was made twice"


def test_what_depends_on_a_change_is_known_after_apply() -> None:
    world = World()
    converge([Thing("a", world), Thing("b", world, ("a",))])
    plan = asyncio.run(make_plan("x", "test", [Thing("a", world, value="2"), Thing("b", world, ("a",))]))
    assert [action.changes[0].after for action in plan.actions] == ["2", KNOWN_AFTER_APPLY]


def test_what_another_process_has_done_since_the_plan_is_not_done_again() -> None:
    world = World()
    things = [Thing("a", world)]

    async def work() -> tuple[str, ...]:
        plan = await make_plan("x", "test", things)
        world.live["a"] = "1"
        return tuple((await apply(plan, Silent())).seconds)

    assert asyncio.run(work()) == ()
    assert world.log == []


def test_destroy_tries_everything_and_raises_the_first_error() -> None:
    world = World()
    things = [Thing("a", world), Thing("b", world, ("a",))]
    converge(things)
    world.broken = {"b"}
    with pytest.raises(HomeportError, match="b is broken"):
        asyncio.run(destroy(things, Silent()))
    assert "a" not in world.live


def test_a_need_that_is_missing_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="needs nowhere"):
        kinds([Thing("a", World(), ("nowhere",))])


def test_a_plan_is_data() -> None:
    plan = asyncio.run(make_plan("x", "test", [Thing("a", World())]))
    assert plan.as_json() == {
        "name": "x",
        "target": "test",
        "changes_pending": True,
        "actions": [{"kind": "create", "id": "a", "summary": "a", "changes": []}],
        "facts": {},
        "warnings": [],
    }


def _dependants(id_: str, things: list[Thing]) -> set[str]:
    direct = {thing.id for thing in things if id_ in thing.needs}
    return direct.union(*(_dependants(other, things) for other in direct))
