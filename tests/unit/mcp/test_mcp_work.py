"""Work for a client: beside other clients', told as it goes, and ended as by Ctrl-C."""

from __future__ import annotations

import asyncio
import threading

import pytest

from homeport.errors import Interrupted
from homeport.mcp.work import ToolProgress, in_thread
from homeport.progress import Silent
from homeport.reconcile import patient


def test_work_that_blocks_its_thread_keeps_nobody_else_waiting() -> None:
    async def scene() -> None:
        begun, let_go = threading.Event(), threading.Event()

        async def blocks() -> str:
            begun.set()
            assert let_go.wait(120)
            return "first"

        async def quick() -> str:
            return "second"

        first = asyncio.create_task(in_thread(blocks))
        await asyncio.to_thread(begun.wait, 120)
        assert await in_thread(quick) == "second"
        let_go.set()
        assert await first == "first"

    asyncio.run(scene())


def test_a_client_that_cancels_breaks_work_off_and_waits_until_it_has_ended() -> None:
    ended = []

    async def scene() -> None:
        begun = threading.Event()

        async def forever() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("ended")

        task = asyncio.create_task(in_thread(forever))
        await asyncio.to_thread(begun.wait, 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["ended"]

    asyncio.run(scene())


def test_a_client_that_cancels_a_patient_change_is_heard_as_the_first_ctrl_c() -> None:
    """What is under way is finished; nothing more is begun."""
    done = []

    async def scene() -> None:
        begun, asked = threading.Event(), threading.Event()

        class Notes(Silent):
            def note(self, text: str) -> None:
                done.append(text)
                asked.set()

        async def change() -> None:
            async with patient(Notes()) as cancellation:
                begun.set()
                await asyncio.to_thread(asked.wait, 120)
                done.append("finished what was under way")
                if cancellation.requested:
                    raise Interrupted("stopped as asked")
                done.append("began another")

        task = asyncio.create_task(in_thread(change))
        await asyncio.to_thread(begun.wait, 120)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scene())
    assert done[0].startswith("stopping: what is under way is finished first")
    assert done[1:] == ["finished what was under way"]


def test_bytes_are_told_of_once_a_second_and_words_always() -> None:
    lines: list[str] = []
    told = ToolProgress(lines.append)
    told.started("weights", "fetching\x1b[2J")
    for done in range(1000):
        told.advanced("weights", done, 1000)
    told.finished("weights", "fetched")
    told.failed("process", "it died")
    told.note("note")
    assert [line for line in lines if " of " not in line] == [
        "weights: fetching\\x1b[2J",
        "weights: fetched",
        "process failed: it died",
        "note",
    ]
    assert 1 <= len(lines) - 4 < 100
