"""Ports and ends of the processes that a rehearsal starts."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable

import psutil

from gcp_rehearsal.runtime.launch_adaptation import HOST

_QUIET_PORTS = range(20_000, 30_000)
"""Below those that systems give to outgoing connections: a container listens some time after its port was chosen."""
_TRIES = 20
_RESERVED = deque[int](maxlen=64)
"""Descriptors, of the newest ports: no other rehearsal draws one of them before a container listens there. The system closes them."""
_LOOK_S = 0.2
_REAPED_S = 5.0


def free_port() -> int:
    """Return a port of loopback on which nobody listens, and that no outgoing connection takes soon."""
    drawn = (*random.sample(_QUIET_PORTS, _TRIES), *(0 for _ in range(_TRIES)))
    return next(filter(None, map(_bound, drawn)), 0)


def end(processes: Iterable[psutil.Process], *, patience_s: float) -> None:
    """End processes: asked first, after `patience_s` without asking. Return when they are gone."""
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
            zombies += [process for process in waiting if _is_zombie(process)]
            waiting = [process for process in waiting if process not in zombies]
        if not waiting:
            break
    psutil.wait_procs(zombies, timeout=_REAPED_S)


def _bound(port: int) -> int:
    """Return the port that a server could listen on, which is kept from other rehearsals for now; 0 where another one has it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            port = int(probe.getsockname()[1])
        return port if _reserved(port) else 0
    except OSError:
        return 0


def _reserved(port: int) -> bool:
    """Return True if nobody else has reserved a port, which is reserved then until 64 others are, or this process ends."""
    if sys.platform != "linux":  # Names without a file are Linux's alone.
        return True
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0drawn-port-{port}")
    except OSError:
        name.close()
        return False
    if len(_RESERVED) == _RESERVED.maxlen:
        os.close(_RESERVED.popleft())
    _RESERVED.append(name.detach())
    return True


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
