"""Work ends with the client for whom it is done, and with nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Coroutine
from typing import Any

import pytest

from homeport.relay.presence import ClientGone, Presence, hung_up, unless_gone


async def never() -> None:
    await asyncio.Event().wait()


async def soon(turns: int = 3) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def result(work: Coroutine[Any, Any, Any]) -> str:  # Any: of a coroutine's protocol
    """What it comes to, in a word; afterwards this task is none that was asked to end."""
    task = asyncio.current_task()
    assert task is not None
    try:
        seen = repr(await work)
    except (ClientGone, ValueError) as error:
        seen = type(error).__name__
    assert task.cancelling() == 0
    await soon()
    return seen


def test_what_work_comes_to_is_returned_while_the_client_is_there() -> None:
    async def work() -> int:
        await soon()
        return 7

    assert asyncio.run(result(unless_gone(work(), never()))) == "7"


def test_work_is_cancelled_when_the_client_leaves_and_may_clean_up() -> None:
    done = []

    async def work() -> None:
        try:
            await never()
        finally:
            await soon()
            done.append("cleaned up")

    assert asyncio.run(result(unless_gone(work(), soon()))) == "ClientGone"
    assert done == ["cleaned up"]


@pytest.mark.parametrize("turns", range(8))
def test_whoever_is_first_by_a_turn_of_the_loop_nothing_is_left_cancelled(turns: int) -> None:
    async def work() -> int:
        await soon(4)
        return 7

    assert asyncio.run(result(unless_gone(work(), soon(turns)))) in {"7", "ClientGone"}


def test_work_that_goes_on_all_the_same_is_done() -> None:
    async def work() -> int:
        try:
            await never()
        except asyncio.CancelledError:
            await soon()
        return 7

    assert asyncio.run(result(unless_gone(work(), soon()))) == "7"


def test_an_error_is_that_of_whoever_raised_it() -> None:
    async def fails() -> None:
        await soon()
        raise ValueError

    assert asyncio.run(result(unless_gone(fails(), never()))) == "ValueError"
    assert asyncio.run(result(unless_gone(never(), fails()))) == "ValueError"


@pytest.mark.parametrize("leaves", [False, True])
def test_who_is_cancelled_from_outside_is_cancelled_whether_the_client_leaves_or_not(*, leaves: bool) -> None:
    watched = []

    async def gone() -> None:
        try:
            await never()
        except asyncio.CancelledError:
            watched.append("ended")
            raise

    async def main() -> None:
        client = asyncio.Event()
        end = client.wait() if leaves else gone()
        task = asyncio.ensure_future(unless_gone(never(), end))  # type: ignore[arg-type]
        await soon()
        client.set()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert watched == ([] if leaves else ["ended"])


def test_a_client_that_leaves_is_gone_also_for_a_task_that_once_went_on_although_it_was_cancelled() -> None:
    async def stubborn() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await never()
        try:
            return repr(await unless_gone(never(), soon()))
        except ClientGone:
            return "ClientGone"

    async def main() -> str:
        task = asyncio.ensure_future(stubborn())
        await soon()
        task.cancel()
        return await task

    assert asyncio.run(main()) == "ClientGone"


def test_a_watch_that_fails_as_it_is_ended_is_not_told_as_an_error_that_nobody_asked_for() -> None:
    told: list[dict[str, Any]] = []

    async def fails_at_the_end() -> None:
        try:
            await never()
        finally:
            raise ValueError

    async def work() -> int:
        await soon()
        return 7

    async def main() -> int:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        seen = await unless_gone(work(), fails_at_the_end())
        gc.collect()
        return seen

    assert asyncio.run(main()) == 7
    assert told == []


def test_pieces_of_a_body_are_no_farewell() -> None:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "more_body": True},
        {"type": "http.request"},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:  # Any: ASGI
        return messages.pop(0)

    asyncio.run(hung_up(receive))
    assert not messages


async def told(presence: Presence, work: Coroutine[Any, Any, Any], after: int) -> Any:  # Any: as above
    """What work comes to for a client whose server sees it leave after so many turns of the loop."""

    async def leave() -> None:
        await soon(after)
        presence.end()

    leaving = asyncio.ensure_future(leave())
    try:
        with presence:
            return await work
    finally:
        await leaving


@pytest.mark.parametrize("turns", range(8))
def test_what_a_server_tells_ends_work_as_a_watch_does(turns: int) -> None:
    done = []

    async def work() -> int:
        try:
            await soon(4)
        finally:
            done.append("cleaned up")
        return 7

    seen = asyncio.run(result(told(Presence(), work(), turns)))
    assert seen == ("ClientGone" if turns < 4 else "7")
    assert done == ["cleaned up"]


def test_what_a_server_tells_does_not_end_work_that_goes_on_all_the_same() -> None:
    async def work() -> int:
        try:
            await never()
        except asyncio.CancelledError:
            await soon()
        return 7

    assert asyncio.run(result(told(Presence(), work(), 2))) == "7"


def test_nothing_is_begun_for_a_client_that_has_left_already() -> None:
    async def begin(presence: Presence) -> int:
        with presence:
            return 7

    presence = Presence()
    presence.end()
    assert asyncio.run(result(begin(presence))) == "ClientGone"


def test_a_connection_serves_one_request_after_the_other_and_each_is_watched() -> None:
    async def work() -> int:
        await soon()
        return 7

    async def both() -> list[str]:
        presence, seen = Presence(), []
        with presence:
            seen.append(repr(await work()))
        seen.append(await result(told(presence, never(), 2)))
        return seen

    assert asyncio.run(both()) == ["7", "ClientGone"]


@pytest.mark.parametrize("leaves", [False, True])
def test_who_is_cancelled_from_outside_is_cancelled_whatever_the_server_tells(*, leaves: bool) -> None:
    async def main() -> None:
        presence = Presence()

        async def watched() -> None:
            with presence:
                await never()

        task = asyncio.ensure_future(watched())
        await soon()
        if leaves:
            presence.end()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
