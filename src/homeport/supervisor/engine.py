"""A running engine as its supervisor sees it: its processes, their memory, the work that they do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import psutil

from homeport.resources.local.process_tree import start_ticks
from homeport.supervisor.memory import own_bytes

_TREE_S = 10.0
"""The processes below the engine are looked up this often: that reads all processes of the machine."""
_LOOK_S = 0.05


class SupervisedEngine:
    """The engine's process and those below it."""

    def __init__(self, pid: int, child: subprocess.Popen[bytes] | None) -> None:
        self._child = child
        self.process = psutil.Process(pid)
        self.create_time = self.process.create_time()
        self.ticks = start_ticks(pid)
        self._tree: list[psutil.Process] = []
        self._looked = float("-inf")

    @property
    def pid(self) -> int:
        """Return the pid of the first of the engine's processes."""
        return self.process.pid

    def has_ended(self) -> bool:
        """Return True if it is gone."""
        if self._child is not None:
            return self._child.poll() is not None
        try:
            return not self.process.is_running() or self.process.status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True

    def how_it_ended(self) -> str:
        """Return in a few words how it ended: by which signal, or with which code."""
        code = self._child.returncode if self._child is not None else None
        if code is None:
            return "it ended"
        if code >= 0:
            return f"it ended with code {code}"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"

    def tree(self) -> list[psutil.Process]:
        """Return the engine's process and all below it, looked up now and then."""
        now = time.monotonic()
        if now - self._looked > _TREE_S:
            self._looked = now
            try:
                self._tree = [self.process, *self.process.children(recursive=True)]
            except psutil.Error:
                self._tree = [self.process]
        return self._tree

    def cpu_seconds(self) -> float:
        """Return the CPU time that its processes have used so far."""
        return cpu_seconds(self.tree())

    def own_bytes(self) -> int:
        """Return the memory that its processes hold for themselves."""
        return own_bytes(process.pid for process in self.tree())

    def end(self, patience_s: float) -> None:
        """End it and everything below it: asked first, after `patience_s` without asking."""
        self._looked = float("-inf")
        below = self.tree()[1:]
        self._send(signal.SIGTERM)
        self._wait(patience_s)
        self._send(signal.SIGKILL)
        self._kill_group()
        for process in below:
            try:
                process.kill()
            except psutil.Error:
                continue
        self._wait(patience_s)

    def _send(self, number: signal.Signals) -> None:
        if not self.has_ended():
            with contextlib.suppress(psutil.Error):
                self.process.send_signal(number)

    def _kill_group(self) -> None:
        """Kill what stays of its session when it is gone: vLLM's workers."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)

    def _wait(self, patience_s: float) -> None:
        until = time.monotonic() + patience_s
        while not self.has_ended() and time.monotonic() < until:
            time.sleep(_LOOK_S)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the CPU time that these processes have used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total
