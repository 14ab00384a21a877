"""What was approved is done, and nothing else: drift, two who apply at once, lost answers, crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import AlreadyExists, HomeportError, NotManaged, PlanStale
from homeport.progress import Progress, Silent
from homeport.reconcile import (
    KNOWN_AFTER_APPLY,
    ActionKind,
    Cancellation,
    Change,
    Outputs,
    Ref,
    apply,
    destroy,
)
from homeport.reconcile.plan import Action
from homeport.reconcile.plan_check import ensure_within_plan
from homeport.secret import Secret
from reconciled import CrashError, Thing, World, act, converge, graphs, kinds, planned


def meanwhile(
    things: list[Thing], happens: Callable[[], object], surplus: tuple[Thing, ...] = ()
) -> tuple[str, ...]:
    """Plan, let something happen, apply. What was touched."""

    async def work() -> tuple[str, ...]:
        plan = await planned(things, surplus)
        happens()
        return tuple((await apply(plan, Silent())).seconds)

    return act(work())


def live(value: Any = 1, **more: Any) -> dict[str, Any]:  # Any: JSON
    return {"value": value, "label": "home", "inside": "", "etag": 1, "birth": 1, "version": 1, **more}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def thing(world: World) -> Thing:
    return Thing(id="a", world=world, body={"value": 2})


def test_what_another_has_done_since_the_plan_is_not_done_again(world: World, thing: Thing) -> None:
    assert meanwhile([thing], lambda: world.live.update(a=live(2))) == ()
    assert world.log == []


def test_what_another_has_made_otherwise_is_not_overwritten(world: World, thing: Thing) -> None:
    with pytest.raises(
        PlanStale, match=r"a has changed since the plan was shown: it exists now.*value is 3"
    ) as raised:
        meanwhile([thing], lambda: world.live.update(a=live(3)))
    assert "same command again" in raised.value.hint
    assert world.log == []


def test_what_somebody_else_has_made_is_not_ours(world: World, thing: Thing) -> None:
    with pytest.raises(NotManaged, match="did not make a"):
        meanwhile([thing], lambda: world.live.update(a=live(2, label="another")))


@pytest.mark.parametrize(
    ("happens", "said"),
    [
        (lambda world: world.tamper("a", value=3), "value is 3"),
        (lambda world: world.tamper("a", fixed=2), "fixed is 2"),
        (lambda world: world.live.pop("a"), "it is gone"),
    ],
)
@pytest.mark.parametrize("value", [1, 2])
def test_a_change_of_anothers_is_never_overwritten(
    world: World, happens: Callable[[World], object], said: str, value: int
) -> None:
    thing = Thing(id="a", world=world, body={"value": value, "fixed": 1})
    act(converge([replace(thing, body={"value": 1, "fixed": 1})]))
    world.log.clear()
    with pytest.raises(PlanStale, match=f"a has changed since the plan was shown: {said}"):
        meanwhile([thing], lambda: happens(world))
    assert world.log == []


def test_a_change_of_anothers_is_told_with_what_it_was_when_the_plan_was_shown(
    world: World, thing: Thing
) -> None:
    act(converge([replace(thing, body={"value": 1})]))
    with pytest.raises(PlanStale, match="value is 3, was 1"):
        meanwhile([thing], lambda: world.tamper("a", value=3))


def test_a_change_of_anothers_to_what_we_do_not_manage_is_no_breach(world: World, thing: Thing) -> None:
    act(converge([replace(thing, body={"value": 1})]))
    assert meanwhile([thing], lambda: world.tamper("a", colour="red")) == ("a",)
    assert world.live["a"]["colour"] == "red"


def test_a_change_between_our_last_look_and_our_update_is_a_conflict_that_is_looked_at(
    world: World, thing: Thing
) -> None:
    act(converge([replace(thing, body={"value": 1})]))
    slow = replace(thing, write_s=10)

    async def work(**meanwhile: Any) -> None:  # Any: JSON
        doing = asyncio.create_task(converge([slow]))
        await asyncio.sleep(5)
        world.tamper("a", **meanwhile)
        await doing

    with pytest.raises(PlanStale, match="value is 7"):
        act(work(value=7))
    world.live["a"]["value"] = 1
    act(work(colour="red"))
    assert (world.live["a"]["value"], world.live["a"]["colour"]) == (2, "red")
    world.live["a"]["value"] = 1
    act(work(value=2))
    assert world.live["a"]["value"] == 2


def test_a_lost_answer_is_neither_an_error_nor_a_second_thing(world: World, thing: Thing) -> None:
    world.lost = {("+", "a")}
    act(converge([thing]))
    world.lost = {("~", "a")}
    act(converge([replace(thing, body={"value": 3})]))
    assert world.log == [("+", "a"), ("~", "a")]


def test_a_name_that_cannot_be_had_though_nothing_is_there_is_told_as_it_is(world: World) -> None:
    class Reserved(Thing):
        async def create(self, outputs: Outputs, progress: Progress) -> dict[str, Any]:
            raise AlreadyExists("the name is reserved")

    with pytest.raises(AlreadyExists, match="reserved"):
        act(converge([Reserved(id="a", world=world)]))


def test_what_is_no_longer_ours_is_not_deleted(world: World, thing: Thing) -> None:
    act(converge([thing]))
    with pytest.raises(NotManaged):
        meanwhile([], lambda: world.tamper("a", label="another"), (thing,))
    assert "a" in world.live


def changes(planned: Any, now: Any, kind: ActionKind = ActionKind.UPDATE, before: Any = 1) -> str:
    """What is said of `now`, where the plan said `planned`; '' where it is covered."""
    thing = Thing(id="a", world=World())
    one, other = (
        Action(kind=kind, resource=thing, summary="", changes=(Change(path="x", before=before, after=after),))
        for after in (planned, now)
    )
    try:
        ensure_within_plan(one, other)
    except PlanStale as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (KNOWN_AFTER_APPLY, "anything"),
        (KNOWN_AFTER_APPLY, {"any": ["thing"]}),
        (f"user:{KNOWN_AFTER_APPLY}@p", "user:me@p"),
        ({"a": [KNOWN_AFTER_APPLY], "b": 1}, {"a": [2], "b": 1}),
        (Secret("x"), Secret("x")),
        (Secret(f"x-{KNOWN_AFTER_APPLY}"), Secret("x-1")),
    ],
)
def test_what_was_not_known_in_the_plan_may_have_become_anything(before: Any, after: Any) -> None:
    assert changes(before, after) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a", "b"),
        (f"user:{KNOWN_AFTER_APPLY}@p", "group:me@p"),
        ({"a": KNOWN_AFTER_APPLY, "b": 1}, {"a": 1, "b": 2}),
        ({"a": KNOWN_AFTER_APPLY}, {"a": 1, "b": 2}),
        (Secret("x"), Secret("y")),
    ],
)
def test_what_was_known_in_the_plan_must_still_be_so(before: Any, after: Any) -> None:
    assert changes(before, after)


def test_a_secret_is_not_told_when_it_has_changed() -> None:
    assert "is ***" in changes(Secret("x"), Secret("y"), before=Secret("hidden"))


def test_the_second_of_two_who_want_different_things_is_told_and_overwrites_nothing(world: World) -> None:
    act(converge([Thing(id="a", world=world, body={"value": 1})]))
    first, second = (
        Thing(id="a", world=world, body={"value": value}, write_s=seconds)
        for value, seconds in ((2, 5), (3, 9))
    )

    async def both() -> list[Any]:
        plans = [await planned([first]), await planned([second])]
        return await asyncio.gather(*(apply(plan, Silent()) for plan in plans), return_exceptions=True)

    good, told = act(both())
    assert isinstance(told, PlanStale), good
    assert world.live["a"]["value"] == 2


@given(graphs(most=5, slow=True), st.data())
def test_two_who_apply_the_same_file_at_once_make_everything_once(
    things: list[Thing], data: st.DataObject
) -> None:
    """Whichever is quicker: each converges, or is told of a conflict; nothing is made twice, nothing is lost."""
    world = things[0].world
    others = [_at_other_speed(thing, data) for thing in things]
    late = data.draw(st.integers(0, 20))

    async def second() -> object:
        await asyncio.sleep(late)
        return await converge(others)

    async def both() -> list[Any]:
        return list(await asyncio.gather(converge(things), second(), return_exceptions=True))

    ended = act(both())
    assert all(not isinstance(end, BaseException) or isinstance(end, PlanStale) for end in ended), ended
    made = [id_ for verb, id_ in world.log if verb == "+"]
    assert len(made) == len(set(made))
    act(converge(things))
    assert set(kinds(things).values()) == {ActionKind.NONE}


@given(graphs(most=5, slow=True), st.data())
def test_of_two_who_apply_different_files_at_once_each_change_is_overwritten_by_nobody_unseen(
    things: list[Thing], data: st.DataObject
) -> None:
    act(converge(things))
    world = things[0].world
    sides = [
        [
            replace(
                _at_other_speed(thing, data), body={**thing.body, "value": data.draw(st.sampled_from("abc"))}
            )
            for thing in things
        ]
        for _ in range(2)
    ]
    history: dict[str, list[tuple[Any, Any]]] = {}
    _watch(world, history)

    async def both() -> list[Any]:
        plans = [await planned(side) for side in sides]
        return await asyncio.gather(*(apply(plan, Silent()) for plan in plans), return_exceptions=True)

    ended = act(both())
    assert all(not isinstance(end, BaseException) or isinstance(end, HomeportError) for end in ended), ended
    # Both plans were made before either began: so nobody has agreed to change what the other had written.
    for id_, written in history.items():
        assert len({after for _, after in written}) <= 1, (id_, written)


@given(graphs(most=5), st.data())
def test_after_a_crash_anywhere_one_more_run_converges(things: list[Thing], data: st.DataObject) -> None:
    world = things[0].world
    if data.draw(st.booleans()):
        act(converge(things))
        things = [
            replace(
                thing, body={**thing.body, **data.draw(st.sampled_from(({}, {"value": "c"}, {"fixed": "x"})))}
            )
            for thing in things
        ]
    world.last_call = world.calls + data.draw(st.integers(1, 30))
    with suppress(CrashError):
        act(converge(things))
    world.last_call = None
    act(converge(things))
    assert set(kinds(things).values()) == {ActionKind.NONE}
    made = [id_ for verb, id_ in world.log if verb == "+"]
    gone = [id_ for verb, id_ in world.log if verb == "-"]
    assert set(world.live) == {thing.id for thing in things}
    assert all(made.count(id_) - gone.count(id_) <= 1 for id_ in made)


@given(graphs(most=5), st.data())
def test_after_a_crash_anywhere_in_a_destroy_one_more_leaves_nothing(
    things: list[Thing], data: st.DataObject
) -> None:
    act(converge(things))
    world = things[0].world
    world.last_call = world.calls + data.draw(st.integers(1, 3 * len(things)))
    with suppress(CrashError):
        act(destroy(things, Silent()))
    world.last_call = None
    assert act(destroy(things, Silent())).left == ()
    assert not world.live


def test_a_halt_that_nobody_asks_for_changes_nothing(world: World, thing: Thing) -> None:
    async def work() -> None:
        await apply(await planned([thing]), Silent(), Cancellation())

    act(work())
    assert "a" in world.live


def test_a_value_that_comes_from_another_need_not_be_in_the_plan(world: World) -> None:
    things = [
        Thing(id="a", world=world),
        Thing(id="b", world=world, body={"of": Ref("a", "birth"), "whole": {"x": Ref("a", "version")}}),
    ]
    act(converge([things[0], Thing(id="b", world=world, body={"of": 0})]))
    world.live.pop("a")
    plan = act(planned(things))
    assert [change.after for change in plan.actions[1].changes] == [
        KNOWN_AFTER_APPLY,
        {"x": KNOWN_AFTER_APPLY},
    ]
    act(apply(plan, Silent()))
    assert world.live["b"]["of"] == world.live["a"]["birth"]


def _at_other_speed(thing: Thing, data: st.DataObject) -> Thing:
    seconds = st.integers(0, 9).map(float)
    return replace(thing, read_s=data.draw(seconds), write_s=data.draw(seconds))


def _watch(world: World, history: dict[str, list[tuple[Any, Any]]]) -> None:
    """Remember each change of a `value`, as before and after."""

    class Watched(dict[str, dict[str, Any]]):
        def __setitem__(self, id_: str, now: dict[str, Any]) -> None:
            before = self[id_]["value"] if id_ in self else None
            if before != now["value"]:
                history.setdefault(id_, []).append((before, now["value"]))
            super().__setitem__(id_, now)

    world.live = Watched(world.live)
