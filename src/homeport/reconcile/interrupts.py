"""Ctrl-C: once to finish what is under way, twice to stop at once."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from homeport.progress import Progress
from homeport.reconcile.cancellation import Cancellation

presses: ContextVar[list[Callable[[], None]] | None] = ContextVar("presses", default=None)
"""
Where no keyboard is: what a Ctrl-C would call, the innermost `patient` last, for code that passes a client's cancellation on.

They are called in the event loop of the work.
"""


@asynccontextmanager
async def patient(progress: Progress) -> AsyncIterator[Cancellation]:
    """
    Yield a `Cancellation` that the first Ctrl-C asks for. The second cancels what is inside, and raises
    `KeyboardInterrupt`.

    Signals come to the main thread only: elsewhere, and on systems without them, Ctrl-C stays what it is.
    """
    halt, loop, task = Cancellation(), asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    stopped = False

    def pressed() -> None:
        nonlocal stopped
        if halt.requested:
            stopped = True
            task.cancel()
            return
        halt.ask()
        progress.note("stopping: what is under way is finished first; Ctrl-C again stops at once")

    before = signal.getsignal(signal.SIGINT)
    installed = threading.current_thread() is threading.main_thread()
    try:
        if installed:
            loop.add_signal_handler(signal.SIGINT, pressed)
    except (NotImplementedError, RuntimeError, ValueError):
        installed = False  # A loop without signals, as on Windows: Ctrl-C stops at once there.
    try:
        with _heard(pressed):
            yield halt
        if stopped:
            await asyncio.sleep(0)  # The cancellation that came too late for what was inside.
    except asyncio.CancelledError:
        if stopped:
            task.uncancel()
            raise KeyboardInterrupt from None
        raise
    finally:
        if installed:
            loop.remove_signal_handler(signal.SIGINT)
            signal.signal(signal.SIGINT, before)


@contextmanager
def _heard(pressed: Callable[[], None]) -> Iterator[None]:
    """Let `pressed` be among `presses` meanwhile."""
    elsewhere = presses.get()
    if elsewhere is None:
        yield
        return
    elsewhere.append(pressed)
    try:
        yield
    finally:
        elsewhere.remove(pressed)
