"""Whatever starts a process below `tests/unit` fails its test, in whichever way it does."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import process_ban
from process_ban import ProcessRefused, no_process

NONE = "/there/is/none/such"
WAYS: dict[str, Callable[[], object]] = {
    "subprocess": lambda: subprocess.run([NONE], check=True),
    "asyncio": lambda: asyncio.run(_by_asyncio()),
    "a shell": lambda: os.system(NONE),  # noqa: S605 - nothing comes of it
    "a shell's output": lambda: os.popen(NONE),  # noqa: S605 - as above
    "a fork": lambda: os.fork() or os._exit(0),
    "a fork with a terminal": lambda: os.forkpty()[0] or os._exit(0),
    "a program in a terminal": lambda: pty.spawn([NONE]),
    "posix_spawn": lambda: os.posix_spawn(NONE, [NONE], {}),
    "a program in our place": lambda: os.execv(NONE, [NONE]),  # noqa: S606 - as above
}


async def _by_asyncio() -> None:
    await asyncio.create_subprocess_exec(NONE)


@pytest.mark.parametrize("way", WAYS)
def test_a_process_is_refused_and_its_test_fails(way: str) -> None:
    with (
        pytest.raises(pytest.fail.Exception, match="starts no process"),
        no_process(),
        pytest.raises(ProcessRefused),
    ):
        WAYS[way]()


def test_one_whose_refusal_was_caught_fails_the_test_all_the_same() -> None:
    with pytest.raises(pytest.fail.Exception, match=NONE), no_process(), suppress(OSError):
        subprocess.run([NONE], check=True)


def test_one_of_another_thread_fails_the_test_too() -> None:
    """It is not refused there: who waits for it would wait on."""
    with (
        pytest.raises(pytest.fail.Exception, match=NONE),
        no_process(),
        ThreadPoolExecutor() as threads,
        pytest.raises(FileNotFoundError),
    ):
        threads.submit(subprocess.run, [NONE], check=True).result()


@pytest.mark.parametrize("program", ["fc-list", "/usr/bin/nvidia-smi"])
def test_what_a_library_asks_of_this_machine_is_refused_and_fails_nothing(program: str) -> None:
    with no_process() as noted, pytest.raises(ProcessRefused):
        subprocess.run([program], check=True)
    assert noted == []


def test_a_test_below_this_folder_is_under_the_ban() -> None:
    assert process_ban._started == []
