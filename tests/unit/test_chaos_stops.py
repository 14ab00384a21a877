"""Ctrl-C in the chaos matrix ends a run as it does at a keyboard: once in good order, twice at once, with what is then put back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import chaos
from cloud import Raw, enable
from forked import Cell, Watched, drive, same_as
from gcp_rehearsal.call import Request
from homeport.progress import Silent
from homeport.reconcile import patient
from homeport.reconcile.interrupts import presses

SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"


async def make_three(cloud: Watched, done: list[str]) -> None:
    """Make things until a stop is asked for; whoever is stopped at once says so to the cloud."""
    presses.set(chaos.PRESSES)
    raw, over = Raw(cloud), asyncio.Event()

    async def wait() -> None:
        try:
            await over.wait()
        except asyncio.CancelledError:
            done.append("what ran beside it was ended")
            raise

    async with patient(Silent()) as halt:
        beside = asyncio.create_task(wait())
        for number in range(3):
            if halt.requested:
                done.append("stopped in good order")
                break
            try:
                await raw.send("POST", f"{SECRETS}?secretId=s{number}", {"replication": {"automatic": {}}})
            except BaseException:
                await raw.send("POST", f"{SECRETS}?secretId=put-back", {"replication": {"automatic": {}}})
                raise
        over.set()
        await beside


@pytest.mark.parametrize("times", [0, 1, 2])
def test_what_a_ctrl_c_calls_at_a_call_is_what_a_keyboard_would(times: int, tmp_path: Path) -> None:
    cloud, done, calls = Watched(folder=tmp_path), list[str](), list[str]()
    enable(cloud, "secretmanager")

    def press(request: Request) -> None:
        calls.append(request.query.partition("=")[2])
        for _ in range(times if len(calls) == 2 else 0):
            chaos.PRESSES[-1]()

    if times == 2:
        with pytest.raises(KeyboardInterrupt):
            drive(make_three(cloud, done), cloud, press)
    else:
        drive(make_three(cloud, done), cloud, press)
    assert calls == [["s0", "s1", "s2"], ["s0", "s1"], ["s0", "s1", "put-back"]][times]
    assert ("stopped in good order" in done) is (times == 1)
    assert ("what ran beside it was ended" in done) is (times == 2)
    assert chaos.PRESSES == [], "nothing of it hears a Ctrl-C any more"


def test_a_ctrl_c_before_anything_is_begun_is_the_kill_that_ran_at_that_call() -> None:
    killed = Cell(3, "run.services.get", "killed", 2, "gone: it")
    assert same_as("killed", "ctrl-c", [killed], 3, "run.services.get") == Cell(
        3, "run.services.get", "ctrl-c", 2, "gone: it", by_law=True
    )
    with pytest.raises(AssertionError, match="which was not run"):
        same_as("killed", "ctrl-c", [killed], 4, "run.services.get")
