"""The end of all processes of an endpoint."""

from __future__ import annotations

from pathlib import Path

import psutil

from homeport.errors import HomeportError
from homeport.resources.local import endpoint_record, process_tree
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.resources.local.supervised import is_supervisor
from homeport.supervisor import journal

_ROUNDS = 3


def stop(name: str, folder: Path) -> tuple[str, ...]:
    """
    End all processes of the endpoint `name`, orphans included, and forget it. Returns what went.

    Also where its record cannot be read. Raises `HomeportError` where one is left.
    """
    remembered = endpoint_record.read(folder)
    ended = running_processes(folder)
    left = ended
    for _ in range(_ROUNDS):
        # Supervisors first: when they are gone nobody starts another engine, and they end theirs in good order.
        process_tree.end([process for process in left if _is_supervisor(process)])
        process_tree.end(running_processes(folder))
        left = running_processes(folder)
        if not left:
            break
    if left:
        pids = " ".join(str(process.pid) for process in left)
        raise HomeportError(f"processes of {name} are left: {pids}", hint=f"kill -9 {pids}")
    endpoint_record.forget(folder)
    journal.forget(folder)
    if ended:
        return (f"process of {name} (pid {', '.join(str(process.pid) for process in ended)})",)
    return (f"record of {name}, whose process was gone",) if remembered else ()


def running_processes(folder: Path) -> list[psutil.Process]:
    """Return all processes of the endpoint whose folder this is, orphans included, also where its record cannot be read."""
    remembered = endpoint_record.read(folder)
    if not isinstance(remembered, EndpointRecord):
        return process_tree.belonging(folder)
    return process_tree.belonging(
        folder, remembered.pid, since=remembered.create_time, ticks=remembered.start_ticks
    )


def _is_supervisor(process: psutil.Process) -> bool:
    try:
        return is_supervisor(process.cmdline())
    except psutil.Error:
        return False
