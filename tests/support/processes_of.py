"""What an endpoint left behind."""

from __future__ import annotations

import psutil

from homeport.resources.local.process_tree import MARK
from homeport.resources.local.supervised import is_supervisor
from user import User


def spec(model: str, *, port: int = 0, more: str = "", local: str = "", name: str = "home") -> str:
    return f'name = "{name}"\nmodel = "{model}"\n{more}\n[local]\nport = {port}\n{local}\n'


def pid(user: User) -> int:
    return int(user.run("status", "--json").json[0]["pid"])


def processes_of(user: User) -> list[int]:
    """Pids of engines; their supervisors are left out."""
    return [pid for pid, command in all_of(user) if not is_supervisor(command)]


def lives(pid: int) -> bool:
    """Whether a process does: one that has ended, and was not asked by a parent how, does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def all_of(user: User) -> list[tuple[int, list[str]]]:
    """Pids and command lines of all processes of this user's endpoints."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(str(user.home)):
                found.append((process.pid, process.cmdline()))
        except psutil.Error:
            continue
    return found
