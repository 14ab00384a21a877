"""What a supervisor tells those who ask for the endpoint's state: one small file beside the record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

from homeport.json_types import Json

RECORD = "record.json"
"""What `up` remembers of the endpoint, in the same folder; see `EndpointRecord`, which takes longer to load."""
_NAME = "supervisor.json"


class Phase(StrEnum):
    """Where the supervisor is with its engine."""

    SERVING = "serving"
    """The engine runs; when it is ready for the first time, `up` finds out and writes into the record."""
    RESTARTING = "restarting"
    """It was ended, or ended by itself, and no token has come out since."""
    FAILED = "failed"
    """It is given up: the last reason says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """One end of the engine that was not asked for."""

    at: str
    """ISO 8601, UTC."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What a supervisor knows of its engine."""

    phase: Phase
    engine_pid: int
    engine_create_time: float
    engine_ticks: str
    """Its `start_ticks`."""
    restarts: int = 0
    """How often it ended unasked since `up`."""
    last: Restart | None = None
    """The last time."""
    silent_since: float | None = None
    """On the system's monotonic clock: since when the engine has not answered; None where it does."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """The files that this very process of the engine read, each with what tells it from its successor."""
    log_at: int | None = None
    """Where in the log this very process of the engine began to write; None where that is not known."""

    def save(self, folder: Path) -> None:
        """Write it in one step, for its user alone."""
        path, partial = folder / _NAME, folder / f"{_NAME}.{os.getpid()}"
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(self), file)
        partial.replace(path)


def load(folder: Path) -> Journal | None:
    """Return what the supervisor last told; None where it told nothing, or nothing that this version understands."""
    try:
        table: Json = json.loads((folder / _NAME).read_text())
        last = table["last"]
        return Journal(
            phase=Phase(table["phase"]),
            engine_pid=int(table["engine_pid"]),
            engine_create_time=float(table["engine_create_time"]),
            engine_ticks=str(table["engine_ticks"]),
            restarts=int(table["restarts"]),
            last=None if last is None else Restart(at=str(last["at"]), reason=str(last["reason"])),
            silent_since=None if table["silent_since"] is None else float(table["silent_since"]),
            weights={str(path): str(sign) for path, sign in table["weights"].items()},
            log_at=None if table.get("log_at") is None else int(table["log_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def up_saw_token(folder: Path, pid: int, ticks: str) -> bool:
    """
    Return True if `up` has written into its record that a token of this very process came out.

    `ticks` are its `start_ticks`: a pid alone may come back as another process. Where either has none, the pid alone is compared.
    """
    try:
        record: Json = json.loads((folder / RECORD).read_text())
        then = record.get("start_ticks", "")
        same = record["pid"] == pid and (not then or not ticks or then == ticks)
        return bool(same and "first_token" in record["timeline"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def forget(folder: Path) -> None:
    """Remove what the last supervisor told."""
    (folder / _NAME).unlink(missing_ok=True)


def signs(files: Iterable[str]) -> dict[str, str]:
    """Return what tells each file from one that takes its place: its inode, size and time of change."""
    by_path = {}
    for path in files:
        try:
            stat = Path(path).stat()
        except OSError:
            continue
        by_path[path] = f"{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
    return by_path
