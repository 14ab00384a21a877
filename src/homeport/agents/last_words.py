"""The end of what a program writes to its standard error: read while it runs, however much it is, and kept nowhere else."""

from __future__ import annotations

import os
import select
import threading
from types import TracebackType
from typing import Self, TextIO

_KEPT = 2_000
"""Bytes."""
_PIECE = 65_536


class LastWords:
    """A pipe that is a program's standard error. A terminal must not see what comes unescaped, and no disk may be filled by it."""

    def __init__(self) -> None:
        self._from, into = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._from, False)
        self.file: TextIO = os.fdopen(into, "w")
        """What the program is given."""
        self._kept = b""
        self._lock = threading.Lock()
        # Not by the event loop: the program would wait while that asks a person, or is held up.
        self._reader = threading.Thread(target=self._read_on, daemon=True, name="homeport-last-words")

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()
        os.close(self._wake)  # What the program has begun may hold its end for ever: that is not waited for.
        self._reader.join()
        os.close(self._from)
        os.close(self._woken)

    def text(self) -> str:
        """Return the end of what was written until now."""
        self._take()
        with self._lock:
            return self._kept.decode(errors="replace")[-400:].strip()

    def _read_on(self) -> None:
        waiting = select.poll()
        for end in (self._from, self._woken):
            waiting.register(end, select.POLLIN)
        while self._woken not in {end for end, _ in waiting.poll()} and self._take():
            pass

    def _take(self) -> bool:
        """Take what has come; False once nothing can come any more."""
        with self._lock:
            try:
                while piece := os.read(self._from, _PIECE):
                    self._kept = (self._kept + piece)[-_KEPT:]
            except BlockingIOError:
                return True
        return False
