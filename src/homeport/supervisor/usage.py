"""What the engine has counted, asked for now and then and kept in the ledger, from a thread that holds nobody up."""

from __future__ import annotations

import contextlib
import http.client
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from homeport.errors import HomeportError
from homeport.supervisor.order import Order

if TYPE_CHECKING:
    from homeport.metrics.snapshot import Snapshot
    from homeport.usage.ledger import Counted

_EVERY_S = 15.0
"""
Tokens that an engine counted since it last answered are lost where it is killed. Requests that its log tells are not, unless
its supervisor is killed with it.
"""
_PATIENCE_S = 5.0
_LAST_PATIENCE_S = 1.0
_LARGEST = 8 * 2**20


def end_of(log: Path) -> int:
    """Return where a log ends by now; 0 where there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


class LogCount:
    """Counts lines of a log that match, from byte `at` on."""

    def __init__(self, log: Path, pattern: str | None, at: int) -> None:
        self._log, self._pattern = log, re.compile(pattern, re.MULTILINE) if pattern else None
        self._found, self._rest, self._at = 0, b"", at

    def count(self) -> float | None:
        """Return how many there were so far; None where no line tells, or the log cannot be read."""
        if self._pattern is None:
            return None
        try:
            with self._log.open("rb") as file:
                if end_of(self._log) < self._at:
                    self._at, self._rest = 0, b""
                file.seek(self._at)
                while piece := file.read(1 << 20):
                    self._at += len(piece)
                    lines, _, self._rest = (self._rest + piece).rpartition(b"\n")
                    self._found += len(self._pattern.findall(lines.decode(errors="replace")))
        except OSError:
            return None
        return float(self._found)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedProcess:
    """The process of an engine that is counted, and since when."""

    process: str
    """What tells it from every other one, such as its pid with its start."""
    since: float
    """When it began, or when it was first watched."""
    fresh: bool
    """Whether its start is one to count, where none of its supervisors has counted it yet."""
    log_at: int
    """From where on its log is read."""


class UsageThread(threading.Thread):
    """Keeps what one process of an engine counts, until it is told to stop."""

    def __init__(self, order: Order, counted: CountedProcess, say: Callable[[str], None]) -> None:
        super().__init__(name="usage", daemon=True)
        self._order, self._counts, self._say = order, counted, say
        self._halt = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._told = ""
        pattern = (order.usage or {}).get("request_line")
        self._log = LogCount(Path(order.folder) / "engine.log", pattern, counted.log_at)

    def run(self) -> None:
        """Ask every quarter of a minute."""
        while not self._halt.wait(_EVERY_S):
            self._keep(_PATIENCE_S)

    def stop(self, *, once_more: bool) -> None:
        """Ask no more; `once_more` first, with little patience, while the engine still runs."""
        self._halt.set()
        if once_more and self._one_at_a_time.acquire(timeout=_LAST_PATIENCE_S):
            self._one_at_a_time.release()
            self._keep(_LAST_PATIENCE_S)

    def close(self) -> None:
        """Keep what the engine's log tells, its hours included, once it has ended: nobody can be asked any more."""
        if self._one_at_a_time.acquire(timeout=_LAST_PATIENCE_S):
            self._one_at_a_time.release()
            self._keep(None)

    def _keep(self, patience_s: float | None) -> None:
        """Keep what the engine tells within `patience_s`; None asks it nothing."""
        keep = self._order.usage
        if not keep or not keep["days"]:
            return
        with self._one_at_a_time:
            from homeport.metrics.snapshot import Snapshot
            from homeport.usage.ledger import Ledger

            silent = patience_s is None or not keep["names"]
            snapshot = Snapshot(at=time.time()) if silent else self._figures(patience_s or _PATIENCE_S)
            if snapshot is None:
                return  # Counters do not forget: the next answer has what this one would have had.
            try:
                Ledger(Path(keep["root"])).add(self._counted(snapshot), keep_days=int(keep["days"]))
            except (OSError, sqlite3.Error, HomeportError) as error:
                self._once(f"its usage could not be kept: {error}")

    def _once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._say(text)

    def _counted(self, told: Snapshot) -> Counted:
        from homeport.usage.ledger import Counted

        keep = self._order.usage or {}
        return Counted(
            endpoint=keep["endpoint"],
            model=self._order.model,
            engine=keep["engine"],
            file=keep["file"],
            process=self._counts.process,
            at=told.at,
            since=self._counts.since,
            fresh=self._counts.fresh,
            requests=told.requests if told.requests is not None else self._log.count(),
            prompt_tokens=told.prompt_tokens,
            output_tokens=told.output_tokens,
        )

    def _figures(self, patience_s: float) -> Snapshot | None:
        keep = self._order.usage or {}
        from homeport.engines.metric_names import MetricNames
        from homeport.metrics.snapshot import parsed

        text = self._get(keep["path"], patience_s)
        names = MetricNames(**{field: tuple(names) for field, names in keep["names"].items()})
        return None if text is None else parsed(text, names, time.time())

    def _get(self, path: str, patience_s: float) -> str | None:
        where = urlsplit(self._order.url)
        assert where.hostname is not None
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=patience_s)
        key = self._order.api_key
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        with contextlib.closing(connection):
            try:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                text = answer.read(_LARGEST + 1)
            except (OSError, http.client.HTTPException):
                return None
        if answer.status != http.client.OK or len(text) > _LARGEST:
            return None
        return text.decode(errors="replace")
