"""
The ledger of this machine's endpoints: by hour, endpoint, model and file, what their engines counted.

An engine's counters begin at 0 whenever it starts. So the ledger remembers what each process of an engine last told, and
adds what came since. It is one SQLite file, its user's alone, which several supervisors write to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homeport.errors import StateError
from homeport.home import private_folder, private_opener

_VERSION = 1
_WAIT_S = 10.0
"""How long one writer waits for another."""
_SAME_START_S = 2.0
"""Two readings of one process's start may differ by so much, where the clock was set meanwhile."""
_TABLES = """
CREATE TABLE IF NOT EXISTS hours (
  hour TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL, engine TEXT NOT NULL, file TEXT NOT NULL,
  requests REAL, prompt_tokens REAL, output_tokens REAL,
  starts INTEGER NOT NULL, seconds REAL NOT NULL,
  PRIMARY KEY (hour, endpoint, model, engine, file));
CREATE TABLE IF NOT EXISTS told (
  endpoint TEXT NOT NULL, process TEXT NOT NULL, since REAL NOT NULL, at REAL NOT NULL,
  requests REAL, prompt_tokens REAL, output_tokens REAL,
  PRIMARY KEY (endpoint, process));
"""
_COUNTS = ("requests", "prompt_tokens", "output_tokens")
"""In the order in which the statements below have them."""
_ADD = """
INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (hour, endpoint, model, engine, file) DO UPDATE SET
  requests = CASE WHEN excluded.requests IS NULL THEN requests
    ELSE coalesce(requests, 0) + excluded.requests END,
  prompt_tokens = CASE WHEN excluded.prompt_tokens IS NULL THEN prompt_tokens
    ELSE coalesce(prompt_tokens, 0) + excluded.prompt_tokens END,
  output_tokens = CASE WHEN excluded.output_tokens IS NULL THEN output_tokens
    ELSE coalesce(output_tokens, 0) + excluded.output_tokens END,
  starts = starts + excluded.starts, seconds = seconds + excluded.seconds
"""
_TELL = """
INSERT INTO told VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (endpoint, process) DO UPDATE SET
  at = excluded.at,
  requests = coalesce(excluded.requests, requests),
  prompt_tokens = coalesce(excluded.prompt_tokens, prompt_tokens),
  output_tokens = coalesce(excluded.output_tokens, output_tokens)
"""
_LAST = "SELECT at, requests, prompt_tokens, output_tokens FROM told WHERE endpoint = ? AND process = ?"
_SINCE = """
SELECT count(*), sum(at - since), sum(requests), sum(prompt_tokens), sum(output_tokens)
  FROM told WHERE endpoint = ? AND since >= ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one process of an engine has counted since it began. None stands for what it does not count."""

    endpoint: str
    model: str
    engine: str
    file: str
    """The homeport.toml that it was started for."""
    process: str
    """What tells it from every other process, such as its pid with its start."""
    at: float
    """Seconds since the epoch."""
    since: float
    """When it began, or when it was first watched."""
    fresh: bool = True
    """Whether its start is one to count: not where it ran before and got another supervisor."""
    requests: float | None = None
    prompt_tokens: float | None = None
    output_tokens: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """What was counted in one hour, of one endpoint with one model and one engine. None is not known."""

    hour: str
    """ISO 8601, UTC, such as `2026-11-28T20`."""
    endpoint: str
    model: str
    engine: str
    file: str
    requests: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    starts: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What was counted altogether. None is not known."""

    requests: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    seconds: float


class Ledger:
    """The ledger in homeport's folder."""

    def __init__(self, root: Path) -> None:
        self.path = path_in(root)

    def add(self, counted: Counted, *, keep_days: int) -> None:
        """
        Add what was counted since the same process was last heard, and forget what is older than `keep_days`.

        Raises `sqlite3.Error` or `OSError` where it cannot be written, `StateError` for another version's.
        """
        if keep_days == 0:
            return
        private_folder(self.path.parent)
        with open(self.path, "ab", opener=private_opener):
            pass  # SQLite gives its journal the mode that the file has.
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(_ADD, _added(counted, _before(database, counted)))
            database.execute(_TELL, _build_row(counted))
            oldest = counted.at - keep_days * 86_400
            database.execute(
                "DELETE FROM hours WHERE endpoint = ? AND hour < ?", (counted.endpoint, _hour(oldest))
            )
            database.execute("DELETE FROM told WHERE endpoint = ? AND at < ?", (counted.endpoint, oldest))
            database.execute("COMMIT")

    def rows(self, *, since: float = 0.0, endpoint: str | None = None) -> list[LedgerRow]:
        """
        Return what was counted from the hour of `since` on, the oldest first.

        Raises `StateError` where the ledger cannot be read.
        """
        if not self.path.exists():
            return []
        try:
            with self._opened() as database:
                database.row_factory = sqlite3.Row
                records = database.execute(
                    "SELECT * FROM hours WHERE hour >= ? AND (? IS NULL OR endpoint = ?) ORDER BY hour, endpoint",
                    (_hour(since), endpoint, endpoint),
                ).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        return [LedgerRow(**dict(row)) for row in records]

    def since_start(self, endpoint: str, start: float) -> Totals | None:
        """
        Return what the processes of `endpoint` told that began at `start` or later; None where none has told anything.

        Raises `StateError` where the ledger cannot be read.
        """
        if not self.path.exists():
            return None
        try:
            with self._opened() as database:
                row = database.execute(_SINCE, (endpoint, start - _SAME_START_S)).fetchone()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        if not row[0]:
            return None
        return Totals(seconds=row[1], **dict(zip(_COUNTS, row[2:], strict=True)))

    def _unreadable(self, error: Exception) -> StateError:
        return StateError(
            f"the ledger of usage cannot be read: {self.path}: {error}",
            hint="move that file away; the supervisors begin another one",
        )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S, isolation_level=None)) as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise StateError(
                    f"{self.path} is of version {version}, from a newer homeport; this one knows {_VERSION}",
                    hint="use the homeport that wrote it",
                )
            if version < _VERSION:
                database.executescript(f"{_TABLES} PRAGMA user_version = {_VERSION};")
            yield database


def path_in(root: Path) -> Path:
    """Return where the ledger is in homeport's folder `root`."""
    return root / "usage" / "usage.sqlite3"


_Before = tuple[float, dict[str, float | None]] | None
"""When the process was last heard, and what it then told."""


def _before(database: sqlite3.Connection, counted: Counted) -> _Before:
    row = database.execute(_LAST, (counted.endpoint, counted.process)).fetchone()
    return None if row is None else (row[0], dict(zip(_COUNTS, row[1:], strict=True)))


def _build_row(counted: Counted) -> tuple[object, ...]:
    figures = (getattr(counted, name) for name in _COUNTS)
    return (counted.endpoint, counted.process, counted.since, counted.at, *figures)


def _added(counted: Counted, before: _Before) -> tuple[object, ...]:
    previous = before[1] if before else {}
    grown = [_grown(previous.get(name), getattr(counted, name)) for name in _COUNTS]
    seconds = max(0.0, counted.at - (before[0] if before else counted.since))
    starts = 1 if before is None and counted.fresh else 0
    key = (_hour(counted.at), counted.endpoint, counted.model, counted.engine, counted.file)
    return (*key, *grown, starts, seconds)


def _grown(before: float | None, now: float | None) -> float | None:
    if now is None:
        return None
    return now - before if before is not None and now >= before else now


def _hour(at: float) -> str:
    return datetime.fromtimestamp(max(at, 0.0), UTC).strftime("%Y-%m-%dT%H")
