"""Work of homeport's for a client: in a thread with an event loop of its own, told as it goes, and ended as by Ctrl-C."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from homeport.errors import Interrupted
from homeport.printable import printable
from homeport.progress import Progress
from homeport.reconcile.interrupts import presses

Tell = Callable[[str], None]
"""Takes one line of progress; may be called from any thread."""
_BYTES_EVERY_S = 1.0
"""Bytes are told of once a second: a download reports them a thousand times."""
_CANCELLED = "cancelled by the client"
_T = TypeVar("_T")


class ToolProgress(Progress):
    """Progress in lines, for a client."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._last: dict[str, float] = {}

    def started(self, key: str, what: str) -> None:
        """Work began."""
        self._tell(printable(f"{key}: {what}"))

    def advanced(self, key: str, done: int, total: int) -> None:
        """Tell how many bytes have come, not too often."""
        now = time.monotonic()
        if now - self._last.get(key, 0.0) >= _BYTES_EVERY_S:
            self._last[key] = now
            self._tell(printable(f"{key}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"))

    def finished(self, key: str, what: str) -> None:
        """Work ended well."""
        self._tell(printable(f"{key}: {what}"))

    def failed(self, key: str, what: str) -> None:
        """Work ended badly."""
        self._tell(printable(f"{key} failed: {what}"))

    def note(self, text: str) -> None:
        """Tell the client something to know."""
        self._tell(printable(text))


class ToolJob:
    """One piece of work in a thread. It can be asked to stop from any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: Callable[[], object] | None = None
        self._stopped = False

    def run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `work` comes to; for a thread of its own. Raises `Interrupted` where it was asked to stop."""
        return asyncio.run(self._watched(work))

    def stop(self) -> None:
        """
        End the work as the first Ctrl-C would.

        A change on Cloud Run finishes what is under way and begins nothing more; all else is broken off where it stands.
        """
        with self._lock:
            self._stopped = True
            stop = self._stop
        if stop is not None:
            stop()

    async def _watched(self, work: Callable[[], Awaitable[_T]]) -> _T:
        loop, patients = asyncio.get_running_loop(), list[Callable[[], None]]()
        presses.set(patients)
        task = asyncio.ensure_future(work())

        def pressed() -> None:
            if patients:
                patients[-1]()
            else:
                task.cancel()

        with self._lock:
            self._stop = partial(loop.call_soon_threadsafe, pressed)
            if self._stopped:
                task.cancel()
        try:
            return await task
        except asyncio.CancelledError as error:
            raise Interrupted(_CANCELLED, hint="what was not begun was left: call it again") from error
        finally:
            with self._lock:
                self._stop = None


async def in_thread(work: Callable[[], Awaitable[_T]]) -> _T:
    """
    Return what `work` comes to in a thread with an event loop of its own, so that other clients are served meanwhile.

    When this is cancelled, the work is ended as by Ctrl-C, and this ends when that has.
    """
    job = ToolJob()
    running = asyncio.get_running_loop().run_in_executor(None, job.run, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        import anyio

        job.stop()
        with anyio.CancelScope(shield=True):  # Else the client's cancellation would come again and again.
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # It is of no use to anybody now.
        raise
