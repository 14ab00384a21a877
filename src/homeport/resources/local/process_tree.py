"""Processes of ours: told apart by pid and start time, found by a mark in their environment, ended with their children."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

MARK = "HOMEPORT_ENDPOINT_FOLDER"
"""Every process of an endpoint is started with this in its environment, with the endpoint's folder."""

_CLOCK_SLACK_S = 2.0
"""The system computes start times from a clock that may be corrected."""
_VARIABLE = re.compile(rb"(?:^|\0)[^\0=]+=")
_LOOK_S = 0.2
_REAPED_S = 5.0
"""As long is waited for a parent to ask for what has ended: some look every two seconds."""


def start_ticks(pid: int) -> str:
    """Return when the process `pid` started, by a clock that nobody sets: the boot, and the ticks since. ''
    where that is not known.

    `create_time()` is the time of day, which Linux reckons from the boot's: when the clock is set, it changes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The second field, the program's name in parentheses, may hold spaces and parentheses. The 22nd is the start.
    after_name = stat.rpartition(")")[2].split()
    return f"{boot} {after_name[19]}"


def alive(pid: int, create_time: float, folder: Path, ticks: str = "") -> psutil.Process | None:
    """
    Return the process, if it is still the one that was started: the same pid, our mark, the same start.

    `ticks` are its `start_ticks` of then. Without them `create_time` is compared; where the clock was set since, it is
    enough that the process leads its session, as those that we start do: who inherits our mark does not.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or process.environ().get(MARK) != str(folder):
            return None
        began = process.create_time()
    except psutil.Error:
        return None
    now = start_ticks(pid) if ticks else ""
    if now:
        return process if now == ticks else None
    return process if abs(began - create_time) <= _CLOCK_SLACK_S or _session(process.pid) == pid else None


def belonging(folder: Path, leader: int = 0, since: float = 0, ticks: str = "") -> list[psutil.Process]:
    """Return all processes of the endpoint whose folder this is, orphans included: those that carry our mark,
    and those in a session that one of them, or the process `leader` started at `since` (or at the start
    `ticks`), began.

    The mark alone is not enough: vLLM's workers write their title over their environment.
    """
    everyone = [(process, _environment(process)) for process in _candidates(folder)]
    marked = [process for process, environment in everyone if environment.get(MARK) == str(folder)]
    sessions = {_session(process.pid) for process in marked} - {0}
    if leader and not _is_another(leader, since, ticks):
        sessions.add(leader)
    # A process with an environment of another kind in such a session came there otherwise, and is not ours.
    titled = [
        process for process, environment in everyone if not environment and _session(process.pid) in sessions
    ]
    return [process for process in marked + titled if _runs(process)]


def _candidates(folder: Path) -> Iterator[psutil.Process]:
    """Yield every process that may carry our mark, or whose environment does not tell: to look at all others, too, takes three times as long."""
    mark = os.fsencode(f"{MARK}={folder}")
    for pid in psutil.pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:  # It is another user's, it is gone, or there are no such files here.
            environment = b""
        # The system's own have no environment, either, and are in no session.
        if mark in environment or (not tells(environment) and _session(pid)):
            with contextlib.suppress(psutil.NoSuchProcess):
                yield psutil.Process(pid)


def tells(environment: bytes) -> bool:
    """Tell whether there is a variable before the first empty place, as who writes a title over them leaves none."""
    begun = b"" if environment.startswith(b"\0") else environment.partition(b"\0\0")[0]
    return _VARIABLE.search(begun) is not None


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _began(process: psutil.Process) -> float:
    try:
        return process.create_time()
    except psutil.Error:
        return 0.0


def _is_another(pid: int, since: float, ticks: str) -> bool:
    """Return True if `pid` came back as another process than the one that was started at `since`."""
    now = start_ticks(pid) if ticks else ""
    if now:
        return now != ticks
    try:
        return abs(psutil.Process(pid).create_time() - since) > _CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def resident(processes: Iterable[psutil.Process]) -> int:
    """Return the bytes of memory that the processes hold; those that end meanwhile hold none."""
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue
    return total


def end(processes: Iterable[psutil.Process], *, patience_s: float = 10.0) -> None:
    """End the processes: asked first, after `patience_s` without asking."""
    waiting, zombies = list(processes), list[psutil.Process]()
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in waiting:
            try:
                process.send_signal(number)
            except psutil.Error:
                continue
        until = time.monotonic() + patience_s
        while waiting and time.monotonic() < until:
            _, waiting = psutil.wait_procs(waiting, timeout=_LOOK_S)
            # What has ended stays a zombie where its parent does not ask for it, as the first process of many containers.
            zombies += [process for process in waiting if not _runs(process)]
            waiting = [process for process in waiting if process not in zombies]
        if not waiting:
            break
    psutil.wait_procs(zombies, timeout=_REAPED_S)


def listener(port: int) -> str:
    """Return who listens on `port`, in words: "python3 (pid 4711)"."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        connections = []
    for connection in connections:
        local = connection.laddr
        if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
            try:
                process = psutil.Process(connection.pid)
                folder = process.environ().get(MARK)
                owner = f", homeport's endpoint {Path(folder).name}" if folder else ""
                return f"{process.name()} (pid {connection.pid}{owner})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return "a process of another user"
