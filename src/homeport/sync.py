"""Asynchronous work from synchronous code, also where an event loop already runs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar


@contextmanager
def ended_as_interrupted() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does meanwhile, so that work says how it ended before it does."""

    def interrupt(_: int, frame: FrameType | None) -> None:
        of_ctrl_c = signal.getsignal(signal.SIGINT)
        if not callable(of_ctrl_c):  # A shell has a command in the background ignore Ctrl-C, and not this.
            raise KeyboardInterrupt
        of_ctrl_c(signal.SIGINT, frame)

    if threading.current_thread() is not threading.main_thread():  # Signals are the main thread's.
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


_T = TypeVar("_T")


def run(
    work: Coroutine[Any, Any, _T],
) -> _T:  # Any: what a coroutine yields and is sent is asyncio's business
    """
    Return the result of `work`; also inside a notebook, where an event loop already runs.

    Raises `KeyboardInterrupt` where the work was cancelled: by Ctrl-C, also at a question that it asked somebody.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            return asyncio.run(work)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
