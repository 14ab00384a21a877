"""
What ends the processes of a rehearsal that was killed: a process of its own, which notices by a pipe that closes.

SIGKILL leaves the rehearsal no time to end anything. Linux can tie a process to the thread that started it
(PR_SET_PDEATHSIG), but not what that process starts in turn; a pipe works on every system, and for whole groups.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable

_ENDS_WITHIN_S = 10.0
_ASKED_S = 3.0
_LOOKS_EVERY_S = 0.05


class ProcessGuard:
    """Ends process groups when the process that made it is gone. Its process starts with the first group."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._one = threading.Lock()

    def watch(self, group: int) -> None:
        """End the process group `group` when this process ends."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """Do nothing: it has gone already."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """End the guard, which has nothing left to watch, and wait until it is gone."""
        with self._one:
            process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(_ENDS_WITHIN_S)

    def _tell(self, line: str) -> None:
        with self._one:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", __file__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for the rehearsal, which ends things in order.
                )
            assert self._process.stdin is not None
            # A guard that was killed itself guards nothing; the rehearsal goes on.
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{line}\n")
                self._process.stdin.flush()


def guard(lines: Iterable[str]) -> None:
    """End the groups that were named and not taken back, when `lines` end: asked first, then without asking."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    _signal(groups, signal.SIGTERM)  # What has mounted something takes it away then.
    until = time.monotonic() + _ASKED_S
    while _signal(groups, 0) and time.monotonic() < until:
        time.sleep(_LOOKS_EVERY_S)
    _signal(groups, signal.SIGKILL)


def _signal(groups: Iterable[int], number: int) -> bool:
    """Return True if any of the groups was there to be told."""
    reached = False
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
            reached = True
    return reached


if __name__ == "__main__":
    guard(sys.stdin)
