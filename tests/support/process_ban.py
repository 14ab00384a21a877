"""Tests below `tests/unit` start no process: whoever does is refused, and the test fails and says which."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from places import TESTS

UNIT = TESTS / "unit"
_WAYS = frozenset(
    ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system", "pty.spawn")
)
"""
What Python itself tells of processes that begin (its table of audit events). `multiprocessing`'s way to spawn is not
told, and no test uses it.
"""
_ASKED = frozenset(("fc-list", "nvidia-smi", "uname"))
"""
Programs that are asked what this machine is, by whoever does without them: for fonts by matplotlib, for GPUs by homeport,
for the processor's name by Python, once, wherever a client tells it. They are refused, too, and that is all: to unit tests
every machine has none of it.
"""


class ProcessRefused(OSError):
    """A unit test was about to start a process."""


_started: list[str] | None = None
"""What was about to be started while a unit test is under way; None while none is."""


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:  # Any: of each event its own
    if _started is None or event not in _WAYS:  # At the interpreter's end both are None.
        return
    told = f"{event} {arguments[1] if event == 'subprocess.Popen' else arguments}"
    asked = event == "subprocess.Popen" and Path(os.fsdecode(arguments[0])).name in _ASKED
    if not asked:
        _started.append(told)
    # A server of a thread would swallow the error and leave the test waiting for what never comes.
    if asked or threading.current_thread() is threading.main_thread():
        raise ProcessRefused(f"a unit test may start no process: {told}")


sys.addaudithook(_refuse)  # For good: a hook cannot be taken away again.


@contextmanager
def no_process() -> Iterator[list[str]]:
    """
    Refuse every process of this thread, note those of others, and give both. It may be emptied by whoever knows of it.

    At the end what is still in it fails the test, also where code under test caught the error.
    """
    global _started  # noqa: PLW0603 - the hook is one for this process, as Python's are
    around, _started = _started, []
    refused = _started
    try:
        yield refused
    finally:
        _started = around
        if refused:
            pytest.fail(
                "tests/unit starts no process, and this test was about to: "
                + "; ".join(refused)
                + ". Call what is tested in process (support/typist.py types commands so), or move the test to"
                " tests/integration, into the folder that mirrors its source.",
                pytrace=False,
            )


def _around(item: pytest.Item) -> Iterator[None]:
    if UNIT not in Path(item.path).parents:
        return (yield)
    with no_process():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Refuse processes of fixtures that begin, those of a whole module included."""
    return (yield from _around(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Refuse processes of the test itself."""
    return (yield from _around(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Refuse processes of fixtures that end."""
    return (yield from _around(item))
