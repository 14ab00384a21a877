"""
Hostile records: what an endpoint's folder may hold after a crash, another version, or a hand that edited it.

The law: every command says something clear, shows the endpoint beside it as it is, and ends no process that is not
the endpoint's own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from random import Random
from typing import Any

import psutil

from attack.law import Attack, Watch, shown
from attack.names import judged
from attack.stage import Stage
from attack.typed import typed

_VALUES: tuple[Any, ...] = (  # Any: JSON
    None, -1, 0, 1, 2**70, 1e308, True, "", "x", "\x1b[2J", "../../x", "\x00", "\ud800", [], {}, [[]], {"a": {}}, "http://evil.example", "A" * 10_000,
)  # fmt: skip
_COMMANDS = (
    ("status",),
    ("status", "--json"),
    ("down", "hostile", "--yes"),
    ("env", "hostile"),
    ("logs", "hostile"),
    ("verify", "hostile"),
)
_TEXTS = (b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"\x00" * 100, b"[" * 100_000, b'{"version": 1}', b'{"version": 99}', b'{"version": "1"}', b"{}", b'{"version": 1e400}', b" " * 100_000)  # fmt: skip


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    made = [
        Attack(door="records", kind="no record at all", name=f"{command[0]}: {text[:30]!r}", carry_out=partial(_read, text, command))
        for text in _TEXTS for command in random.sample(_COMMANDS, 3)
    ]  # fmt: skip
    for place in (*_PLACES, *((*outer, inner) for outer, inners in _INNER.items() for inner in inners)):
        for value in random.sample(_VALUES, 3):
            command = random.choice(_COMMANDS)
            name = f"{' '.join(command)}: {'.'.join(place)} = {value!r}"[:100]
            made.append(
                Attack(
                    door="records",
                    kind="wrong values",
                    name=name,
                    carry_out=partial(_changed, place, value, command),
                )
            )
    made += [
        Attack(door="records", kind="somebody else's process", name=name, carry_out=partial(_victim, name)) for name in ("its pid", "its pid and start", "its pid, start and no environment", "pid 1", "pid -1", "this process")
    ]  # fmt: skip
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


_PLACES = (
    ("version",),
    ("name",),
    ("pid",),
    ("create_time",),
    ("start_ticks",),
    ("launch",),
    ("url",),
    ("spec",),
    ("spec_file",),
    ("weights",),
    ("started_at",),
    ("timeline",),
    ("receipt",),
    ("key",),
    ("supervisor",),
    ("more",),
)
_INNER: dict[tuple[str, ...], tuple[str, ...]] = {
    ("launch",): ("engine", "command", "port", "host", "model", "context", "environment", "files", "weights"), ("spec",): ("name", "model", "engine", "local"), ("weights",): ("source", "digest"), ("timeline",): ("first_token", "load"),
}  # fmt: skip


def _changed(place: tuple[str, ...], value: Any, command: tuple[str, ...], stage: Stage) -> str:  # Any: JSON
    record = _record(stage)
    table = record
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value
    return _read(json.dumps(record).encode(), command, stage)


def _record(stage: Stage) -> Any:  # Any: JSON
    """The record of the engine that runs, under another name and with a process that is gone."""
    home = stage.home / "homeport"
    assert stage.engine.port
    found = json.loads((home / "endpoints" / "attacked" / "record.json").read_text())
    return {**found, "name": "hostile", "pid": 2**22 - 1, "url": "http://127.0.0.1:9"}


def _read(text: bytes, command: tuple[str, ...], stage: Stage) -> str:
    assert stage.engine.port
    folder = stage.home / "homeport" / "endpoints" / "hostile"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o700)
    (folder / "record.json").write_bytes(text)
    (folder / "engine.log").write_text("its log\n")
    try:
        came = typed(*command, folder=stage.root, env=stage.env)
        wrong = judged(came.text, came.code)
        if wrong:
            return wrong
        if command[0] == "status" and "attacked" not in came.text:
            return shown(f"the endpoint beside it is not shown: {came.text}")
        if command[0] == "down" and (folder / "record.json").exists():
            return shown(f"it cannot be taken down: {came.text}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return "" if psutil.pid_exists(stage.engine.told["status"]["pid"]) else "the endpoint beside it was ended"


def _victim(name: str, stage: Stage) -> str:
    """Whether `down` of a hostile record ends a process that is somebody else's."""
    env: dict[str, str] | None = {} if "no environment" in name else None
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], env=env, start_new_session=True
    ) as victim:
        record = _record(stage)
        ticks = _ticks(victim.pid)
        record["pid"] = {"pid 1": 1, "pid -1": -1, "this process": os.getpid()}.get(name, victim.pid)
        if "start" in name:
            record["create_time"] = psutil.Process(victim.pid).create_time()
            record["start_ticks"] = ticks
        try:
            wrong = _read(json.dumps(record).encode(), ("down", "hostile", "--yes"), stage)
            return wrong if victim.poll() is None else "it ended a process that is not its own"
        finally:
            victim.kill()


def _ticks(pid: int) -> int:
    """When a process began, in the kernel's ticks."""
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - a file of the kernel's
        return int(file.read().rpartition(")")[2].split()[19])
