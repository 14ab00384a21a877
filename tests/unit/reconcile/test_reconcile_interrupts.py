"""Ctrl-C: once to finish what is under way, twice to stop at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import HomeportError, Interrupted
from homeport.progress import Silent
from homeport.reconcile import ActionKind, Cancellation, Ref, apply, destroy, patient
from reconciled import Listener, Thing, World, act, chain, converge, graphs, kinds, planned


async def stopped_after(seconds: float, things: list[Thing]) -> float:
    """Apply, and ask for a stop in the midst; how long that took."""
    plan, halt, loop = await planned(things), Cancellation(), asyncio.get_running_loop()
    begun = loop.time()
    loop.call_later(seconds, halt.ask)
    try:
        await apply(plan, Silent(), halt)
    except Interrupted:
        return loop.time() - begun
    return 0


def slow(things: list[Thing], write_s: float = 10) -> list[Thing]:
    return [replace(thing, write_s=write_s) for thing in things]


def test_the_first_ctrl_c_finishes_what_is_under_way_and_begins_nothing_more() -> None:
    world = World()
    things = slow([*chain(world, "a", "b", "c"), *chain(world, "x", "y")])
    assert act(stopped_after(15, things)) == pytest.approx(20, abs=0.01)
    assert set(world.live) == {"a", "b", "x", "y"}
    assert kinds(things) == dict.fromkeys("abxy", ActionKind.NONE) | {"c": ActionKind.CREATE}


def test_an_interrupt_says_where_things_stand_and_how_to_go_on() -> None:
    world, halt = World(), Cancellation()
    things = chain(world, "a", "b", "c")

    class Last(Thing):
        async def read(self) -> dict[str, object] | None:
            if self.id in world.live or not world.live:
                return await Thing.read(self)
            halt.ask()
            return await Thing.read(self)

    async def work() -> None:
        await apply(
            await planned([things[0], Last(id="b", world=world, after=("a",)), things[2]]), Silent(), halt
        )

    with pytest.raises(Interrupted, match=r"stopped as asked: 2 done, 1 not begun \(c\)") as raised:
        act(work())
    assert "goes on from here" in raised.value.hint


def test_a_stop_that_comes_when_all_is_under_way_is_no_error() -> None:
    assert act(stopped_after(5, slow([Thing(id="a", world=World())]))) == 0


def test_what_was_deleted_to_be_replaced_is_made_again_before_a_stop() -> None:
    world = World()
    things = [
        Thing(id="net", world=world, body={"fixed": 1}),
        Thing(id="sub", world=world, body={"birth-of": {"net": Ref("net", "birth")}}),
        Thing(id="x", world=world, after=("sub",)),
    ]
    act(converge(things[:2]))
    changed = slow([replace(things[0], body={"fixed": 2}), *things[1:]])
    assert act(stopped_after(5, changed)) == pytest.approx(40, abs=0.01)
    assert set(world.live) == {"net", "sub"}
    assert world.live["net"]["fixed"] == 2


def test_a_failure_is_told_rather_than_the_stop() -> None:
    world, told = World(broken={"a"}), Listener()

    async def work() -> None:
        plan, halt = (
            await planned(slow([Thing(id="a", world=world), *chain(world, "b", "c")])),
            Cancellation(),
        )
        asyncio.get_running_loop().call_later(5, halt.ask)
        await apply(plan, told, halt)

    with pytest.raises(HomeportError, match="a is broken"):
        act(work())
    assert told.notes == ["1 done, 1 failed, 1 not begun: run the same command again to go on"]


@given(graphs(slow=True), st.floats(0, 60))
def test_whenever_an_apply_is_stopped_the_next_one_completes_it(things: list[Thing], when: float) -> None:
    act(stopped_after(when, things))
    act(converge(things))
    assert set(kinds(things).values()) == {ActionKind.NONE}
    assert len(things[0].world.log) == len(things)


@given(graphs(slow=True), st.floats(0, 60), st.data())
def test_whenever_a_change_is_stopped_nothing_stays_away_that_was_deleted_to_be_replaced(
    things: list[Thing], when: float, data: st.DataObject
) -> None:
    act(converge(things))
    bodies = st.sampled_from(({}, {"value": "c"}, {"fixed": "x"}))
    changed = [replace(thing, body={**thing.body, **data.draw(bodies)}) for thing in things]
    act(stopped_after(when, changed))
    assert {thing.id for thing in things if not thing.inside} <= set(things[0].world.live)
    act(converge(changed))
    assert set(kinds(changed).values()) == {ActionKind.NONE}


def test_a_destroy_is_stopped_in_the_same_way() -> None:
    world = World()
    things = slow(chain(world, "a", "b", "c"))
    act(converge(things))

    async def work() -> None:
        halt = Cancellation()
        asyncio.get_running_loop().call_later(5, halt.ask)
        await destroy(things, Silent(), halt)

    with pytest.raises(Interrupted, match=r"1 done, 2 not begun \(b, a\)"):
        act(work())
    assert set(world.live) == {"a", "b"}


async def pressing(*seconds: float, things: list[Thing], told: Listener) -> None:
    """Apply with the patience of the cloud, and press Ctrl-C at these times."""
    loop = asyncio.get_running_loop()
    for when in seconds:
        loop.call_later(when, os.kill, os.getpid(), signal.SIGINT)
    plan = await planned(things)
    async with patient(told) as halt:
        await apply(plan, told, halt)


def test_ctrl_c_is_heard_and_answered() -> None:
    world, told = World(), Listener()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="1 done, 1 not begun"):
        act(pressing(5, things=slow(chain(world, "a", "b")), told=told))
    assert told.notes == ["stopping: what is under way is finished first; Ctrl-C again stops at once"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_ctrl_c_stops_at_once() -> None:
    world, told = World(), Listener()
    with pytest.raises(KeyboardInterrupt):
        act(pressing(5, 6, things=slow(chain(world, "a", "b"), 1000), told=told))
    assert world.live == {}
    act(converge(chain(world, "a", "b")))


def test_where_no_signals_come_an_apply_works_as_well() -> None:
    world, told = World(), Listener()
    thread = threading.Thread(target=lambda: act(pressing(things=chain(world, "a"), told=told)))
    thread.start()
    thread.join()
    assert "a" in world.live


def test_a_cancelled_apply_leaves_nothing_at_work() -> None:
    world = World()

    async def work() -> int:
        doing = asyncio.create_task(converge(slow(chain(world, "a", "b"))))
        await asyncio.sleep(5)
        doing.cancel()
        await asyncio.wait([doing])
        assert doing.cancelled()
        return len(asyncio.all_tasks())

    assert act(work()) == 1
    assert world.live == {}
