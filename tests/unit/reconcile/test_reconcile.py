"""Plan, apply and destroy, over things that live in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import HomeportError, NotManaged
from homeport.progress import Progress, Silent
from homeport.reconcile import (
    KNOWN_AFTER_APPLY,
    ActionKind,
    Outputs,
    Ref,
    Resource,
    apply,
    destroy,
    make_plan,
)
from reconciled import Listener, Thing, World, act, chain, converge, graphs, kinds, planned


def test_a_thing_satisfies_the_protocol() -> None:
    thing: Resource = Thing(id="a", world=World())
    assert thing.id == "a"


@given(graphs())
def test_after_apply_the_plan_is_empty(things: list[Thing]) -> None:
    act(converge(things))
    assert set(kinds(things).values()) == {ActionKind.NONE}


@given(graphs())
def test_everything_is_made_once(things: list[Thing]) -> None:
    act(converge(things))
    assert sorted(things[0].world.log) == sorted(("+", thing.id) for thing in things)


@given(graphs(), st.data())
def test_after_any_change_of_the_file_one_apply_converges(things: list[Thing], data: st.DataObject) -> None:
    """Values change, what cannot be changed is replaced with all that was born of it, and the rest goes."""
    act(converge(things))
    keep = data.draw(st.integers(1, len(things)))
    wanted = [thing for thing in things if int(thing.id[1:]) < keep]
    wanted = [
        replace(
            thing, body={**thing.body, **data.draw(st.sampled_from(({}, {"value": "c"}, {"fixed": "x"})))}
        )
        for thing in wanted
    ]
    surplus = [thing for thing in things if int(thing.id[1:]) >= keep]
    act(converge(wanted, surplus))
    assert set(kinds(wanted, surplus).values()) == {ActionKind.NONE}
    assert set(things[0].world.live) == {thing.id for thing in wanted}


@given(graphs())
def test_destroy_leaves_nothing(things: list[Thing]) -> None:
    act(converge(things))
    log = things[0].world.log
    log.clear()
    destroyed = act(destroy(things, Silent()))
    assert not things[0].world.live
    assert (sorted(destroyed.gone), destroyed.left, destroyed.errors) == (
        sorted(t.id for t in things),
        (),
        (),
    )
    assert all(log.index(("-", t.id)) < log.index(("-", need)) for t in things for need in t.needs)


@given(graphs(), st.data())
def test_after_a_failure_the_rest_is_finished_and_the_next_apply_converges(
    things: list[Thing], data: st.DataObject
) -> None:
    world = things[0].world
    broken = data.draw(st.sampled_from([thing.id for thing in things]))
    world.broken = {broken}
    with pytest.raises(HomeportError, match=f"{broken} is broken"):
        act(converge(things))
    dependants = _dependants(broken, things)
    assert set(world.live) == {thing.id for thing in things} - dependants - {broken}
    world.broken.clear()
    act(converge(things))
    assert set(kinds(things).values()) == {ActionKind.NONE}
    assert len(world.log) == len(things), "nothing was made twice"


def test_a_failure_says_what_was_done_what_was_not_and_how_to_go_on() -> None:
    world, told = World(broken={"b", "x"}), Listener()
    things = [*chain(world, "a", "b", "c", "d"), Thing(id="x", world=world, write_s=1)]
    with pytest.raises(HomeportError, match="b is broken") as raised:
        act(_apply(things, told))
    assert told.notes == [
        "c skipped: needs b",
        "d skipped: needs c",
        "x failed, too: x is broken",
        "1 done, 2 failed, 2 not begun: run the same command again to go on",
    ]
    assert raised.value.__notes__ == ["x failed, too: x is broken"]


def test_each_thing_that_is_touched_has_one_line_of_progress() -> None:
    world, told = World(), Listener()
    act(converge(chain(world, "a", "b", "c")))
    world.broken = {"c"}
    with pytest.raises(HomeportError):
        act(_apply(chain(world, "a", "b", "c", "d", fixed="new"), told))
    assert sorted(told.lines) == [
        ("failed", "c"),
        ("started", "c"),
    ]
    world.broken = set()
    told.lines.clear()
    act(_apply(chain(world, "a", "b", "c", "d", fixed="new"), told))
    assert sorted(told.lines) == sorted((what, id_) for what in ("started", "finished") for id_ in "abcd")


def test_what_a_thing_says_under_its_own_name_is_not_said_twice() -> None:
    class Talking(Thing):
        async def create(self, outputs: Outputs, progress: Progress) -> dict[str, Any]:
            progress.started(self.id, "an operation")
            progress.finished(self.id, "an operation")
            progress.note("a note")
            return await Thing.create(self, outputs, progress)

    told = Listener()
    act(_apply([Talking(id="a", world=World())], told))
    assert (told.lines, told.notes) == ([("started", "a"), ("finished", "a")], ["a note"])
    act(_apply([Talking(id="a", world=World(), reports_own_progress=True)], told))
    assert len(told.lines) == 4


def test_a_mistake_of_ours_in_one_thing_does_not_stop_the_others() -> None:
    class Mistaken(Thing):
        async def create(self, outputs: Outputs, progress: Progress) -> NoReturn:
            raise ZeroDivisionError

        async def delete(self, progress: Progress) -> NoReturn:
            raise ZeroDivisionError

    world = World()
    things = [Mistaken(id="a", world=world), *chain(world, "b", "c")]
    with pytest.raises(ZeroDivisionError):
        act(converge(things))
    assert set(world.live) == {"b", "c"}
    with pytest.raises(ZeroDivisionError):
        act(destroy(things, Silent()))
    assert not world.live


def test_what_an_update_may_change_is_known_after_apply_and_what_lasts_is_known() -> None:
    world = World()
    things = [
        Thing(id="a", world=world, body={"value": 1}),
        Thing(id="b", world=world, body={"v": Ref("a", "version"), "b": Ref("a", "birth")}),
    ]
    act(converge(things))
    version = world.live["a"]["version"]
    plan = act(planned([replace(things[0], body={"value": 2}), things[1]]))
    told = [(c.path, c.before, c.after) for action in plan.actions for c in action.changes]
    assert told == [("value", 1, 2), ("v", version, KNOWN_AFTER_APPLY)]
    act(apply(plan, Silent()))
    assert world.live["b"]["v"] == world.live["a"]["version"] != version


def test_what_is_born_of_a_thing_that_is_replaced_goes_before_it_and_comes_after_it() -> None:
    world = World()
    net = Thing(id="net", world=world, body={"fixed": 1})
    sub = Thing(id="sub", world=world, body={"birth-of": {"net": Ref("net", "birth")}})
    act(converge([net, sub]))
    world.log.clear()
    changed = [replace(net, body={"fixed": 2}), sub]
    assert kinds(changed) == {"net": ActionKind.REPLACE, "sub": ActionKind.REPLACE}
    act(converge(changed))
    assert world.log == [("-", "sub"), ("-", "net"), ("+", "net"), ("+", "sub")]


def test_what_lives_in_a_thing_that_is_replaced_is_made_anew_with_it() -> None:
    world = World()
    bucket = Thing(id="bucket", world=world, body={"fixed": 1})
    file = Thing(id="file", world=world, inside="bucket")
    act(converge([bucket, file]))
    changed = [replace(bucket, body={"fixed": 2}), file]
    plan = act(planned(changed))
    assert [(c.path, c.after) for c in plan.actions[1].changes] == [("", KNOWN_AFTER_APPLY)]
    act(apply(plan, Silent()))
    assert set(world.live) == {"bucket", "file"}


def test_a_thing_is_not_deleted_for_its_replacement_before_what_it_needs_is_there() -> None:
    world = World()
    act(converge([Thing(id="b", world=world, body={"fixed": 1})]))
    world.broken = {"a"}
    things = [Thing(id="a", world=world), Thing(id="b", world=world, body={"fixed": 2}, after=("a",))]
    with pytest.raises(HomeportError, match="a is broken"):
        act(converge(things))
    assert world.live["b"]["fixed"] == 1


def test_what_is_no_longer_wanted_goes_last_and_stays_where_anything_failed() -> None:
    world = World()
    old = chain(world, "a", "b", "c")
    act(converge(old))
    wanted = [old[0], Thing(id="new", world=world)]
    assert list(kinds(wanted, old).items())[-2:] == [("c", ActionKind.DELETE), ("b", ActionKind.DELETE)]
    world.broken = {"new"}
    with pytest.raises(HomeportError, match="new is broken"):
        act(converge(wanted, old))
    assert set(world.live) == {"a", "b", "c"}
    world.broken.clear()
    world.log.clear()
    act(converge(wanted, old))
    assert world.log == [("+", "new"), ("-", "c"), ("-", "b")]


def test_what_is_no_longer_wanted_and_not_ours_is_left_alone() -> None:
    world = World()
    act(converge([Thing(id="a", world=world, owner="another")]))
    assert kinds([], [Thing(id="a", world=world)]) == {}


def test_everything_that_is_not_ours_is_told_at_once_before_anything_is_done() -> None:
    world = World()
    act(converge([Thing(id=id_, world=world, owner="another") for id_ in ("a", "b")]))
    with pytest.raises(NotManaged, match="homeport did not make a, b") as raised:
        act(converge(chain(world, "a", "b", "c")))
    assert raised.value.hint
    assert set(world.live) == {"a", "b"}


def test_a_plan_reads_all_at_once_and_never_writes() -> None:
    class ReadOnly(Thing):
        async def create(self, outputs: Outputs, progress: Progress) -> NoReturn:
            raise AssertionError

        async def update(self, live: Mapping[str, Any], outputs: Outputs, progress: Progress) -> NoReturn:
            raise AssertionError

        async def delete(self, progress: Progress) -> NoReturn:
            raise AssertionError

    world = World()
    act(converge(chain(world, *"abcd")))
    things = [ReadOnly(id=t.id, world=world, body={"fixed": 1}, after=t.after) for t in chain(world, *"abe")]
    found = kinds(things, [ReadOnly(id="d", world=world), ReadOnly(id="c", world=world)])
    assert set(found.values()) == {ActionKind.REPLACE, ActionKind.CREATE, ActionKind.DELETE}
    assert world.most_at_once == 5


def test_destroy_tries_everything_and_leaves_what_is_still_needed() -> None:
    world, told = World(), Listener()
    things = [*chain(world, "a", "b"), Thing(id="x", world=world)]
    act(converge(things))
    world.broken = {"b"}
    destroyed = act(destroy(things, told))
    assert (destroyed.gone, sorted(destroyed.left)) == (("x",), ["a", "b"])
    assert [str(error) for error in destroyed.errors] == ["b is broken"]
    assert "a is left: comes after b, which is still there" in told.notes


def test_destroy_goes_on_after_what_is_loose_though_that_stays_and_not_before_it_was_tried() -> None:
    world, told = World(), Listener()
    things = chain(world, "a", "b", "c")
    act(converge(things))
    world.broken = {"b"}
    destroyed = act(destroy(things, told, loose={"b"}))
    assert (destroyed.gone, destroyed.left) == (("c", "a"), ("b",))
    assert [str(error) for error in destroyed.errors] == ["b is broken"]
    things = chain(world, "a", "b", "c")
    world.broken = set()
    act(converge(things))
    assert act(destroy(things, told, loose={"b"})).gone == ("c", "b", "a")


def test_destroy_leaves_what_is_not_ours_and_what_it_was_not_given() -> None:
    world, told = World(), Listener()
    things = chain(world, "a", "b", "c")
    act(converge(things))
    world.tamper("c", label="another")
    destroyed = act(destroy(things[1:], told))
    assert (destroyed.gone, destroyed.left) == (("b",), ())
    assert set(world.live) == {"a", "c"}
    assert told.notes == ["c stays: homeport did not make it"]


def test_a_thing_that_comes_back_after_destroy_is_told() -> None:
    class Undead(Thing):
        async def delete(self, progress: Progress) -> tuple[str, ...]:
            return ("undead",)

    world = World()
    things = [Undead(id="a", world=world)]
    act(converge(things))
    assert act(destroy(things, Silent())).left == ("a",)


def test_a_need_that_is_missing_is_a_mistake_of_the_program() -> None:
    with pytest.raises(ValueError, match="needs nowhere"):
        kinds([Thing(id="a", world=World(), after=("nowhere",))])


def test_a_plan_is_data() -> None:
    plan = act(make_plan("x", "test", [Thing(id="a", world=World())]))
    assert plan.as_json() == {
        "name": "x",
        "target": "test",
        "changes_pending": True,
        "actions": [{"kind": "create", "id": "a", "summary": "thing a", "changes": []}],
        "facts": {},
        "warnings": [],
        "problems": [],
        "preflight": None,
    }


@given(graphs(slow=True))
def test_an_apply_takes_as_long_as_the_longest_path_through_its_graph(things: list[Thing]) -> None:
    by_id = {thing.id: thing for thing in things}

    def until(id_: str) -> float:
        thing = by_id[id_]
        return max(map(until, thing.needs), default=0.0) + thing.read_s + thing.write_s

    assert act(_took(things)) == pytest.approx(max(until(thing.id) for thing in things), abs=1e-3)


@given(graphs(slow=True))
def test_a_destroy_takes_as_long_as_the_longest_path_backwards_and_two_readings(things: list[Thing]) -> None:
    act(converge(things))
    users = {thing.id: [other for other in things if thing.id in other.needs] for thing in things}

    def until(thing: Thing) -> float:
        return max(map(until, users[thing.id]), default=0.0) + thing.read_s + thing.write_s

    last = max(thing.read_s for thing in things)
    assert act(_took_down(things)) == pytest.approx(max(map(until, things)) + last, abs=1e-3)


def test_an_apply_of_nothing_reads_everything_at_once() -> None:
    world = World()
    things = [replace(thing, read_s=0.1) for thing in chain(world, *"abcdefgh")]
    act(converge(things))
    assert act(_took(things)) == pytest.approx(0.1, abs=1e-3)


async def _apply(things: list[Thing], progress: Progress) -> None:
    await apply(await planned(things), progress)


async def _took(things: list[Thing]) -> float:
    import asyncio

    plan = await planned(things)
    clock = asyncio.get_running_loop().time
    begun = clock()
    await apply(plan, Silent())
    return clock() - begun


async def _took_down(things: list[Thing]) -> float:
    import asyncio

    clock = asyncio.get_running_loop().time
    begun = clock()
    await destroy(things, Silent())
    return clock() - begun


def _dependants(id_: str, things: list[Thing]) -> set[str]:
    direct = {thing.id for thing in things if id_ in thing.needs}
    return direct.union(*(_dependants(other, things) for other in direct))
