"""An engine that is begun under a supervisor, or given to one."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from homeport.child_environment import PYTHON, inherited
from homeport.errors import EngineFailed
from homeport.home import private_opener, writing
from homeport.resources.local.process_tree import MARK
from homeport.supervisor import journal
from homeport.supervisor.order import Order

COMMAND = (sys.executable, "-P", "-m", "homeport.supervisor")
"""`-P`: the endpoint's folder, where it runs, is no place to import from."""


def supervise(order: Order) -> tuple[int, int]:
    """
    Start a supervisor in a session of its own, so that it outlives the shell, and through it the engine.

    Returns the pids of both. Their output goes to `engine.log`. Raises `EngineFailed` where the engine's program cannot
    be started.
    """
    folder, log = Path(order.folder), Path(order.folder) / "engine.log"
    mark = {MARK: str(folder), "PYTHONUNBUFFERED": "1"}
    with writing(log):
        if order.adopt is None:
            journal.forget(folder)
            if log.exists():
                log.replace(folder / "engine.log.1")
        output = open(log, "ab", opener=private_opener)  # noqa: SIM115 - Path.open takes no opener; closed below
    with output:
        supervisor = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=folder,
            env={**inherited(PYTHON), **mark},
            start_new_session=True,
        )
    reply = _first_words(supervisor, replace(order, environment={**order.environment, **mark}))
    supervisor.returncode = 0  # It outlives us on purpose: no warning when this object goes before it.
    if "pid" not in reply:
        raise EngineFailed(
            f"the engine could not be started: {reply.get('error', 'its supervisor ended')}",
            hint="`homeport logs` shows the whole log",
        )
    return supervisor.pid, int(reply["pid"])


def is_supervisor(command: list[str]) -> bool:
    """Return True if this is the command line of one."""
    return COMMAND[-1] in command


def _first_words(supervisor: subprocess.Popen[bytes], order: Order) -> dict[str, str]:
    """Return what the supervisor says once it has its order; nothing where it ended."""
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    with supervisor.stdout:
        try:
            with supervisor.stdin:
                supervisor.stdin.write(order.line().encode())
        except BrokenPipeError:
            pass  # It ended at once, and says nothing below.
        reply: dict[str, str] = json.loads(supervisor.stdout.readline() or "{}")
    return reply
