"""What the engine has counted, asked for now and then and kept in the ledger, from a thread that holds nobody up."""

from __future__ import annotations

import contextlib
import http.client
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from homeport.errors import HomeportError
from homeport.supervisor.order import Order

if TYPE_CHECKING:
    from homeport.metrics.snapshot import Snapshot
    from homeport.usage.ledger import Counted

_EVERY_S = 15.0
"""What an engine counted since it was last asked is lost where it is killed."""
_PATIENCE_S = 5.0
_LAST_PATIENCE_S = 1.0
_LARGEST = 8 * 2**20


class LogCount:
    """Counts lines of a log that match, from the moment that this is made."""

    def __init__(self, log: Path, pattern: str | None) -> None:
        self._log, self._pattern = log, re.compile(pattern, re.MULTILINE) if pattern else None
        self._found, self._rest = 0, b""
        self._at = self._size() if pattern else 0

    def count(self) -> float | None:
        """Return how many there were so far; None where no line tells, or the log cannot be read."""
        if self._pattern is None:
            return None
        try:
            with self._log.open("rb") as file:
                if self._size() < self._at:
                    self._at, self._rest = 0, b""
                file.seek(self._at)
                while piece := file.read(1 << 20):
                    self._at += len(piece)
                    whole, _, self._rest = (self._rest + piece).rpartition(b"\n")
                    self._found += len(self._pattern.findall(whole.decode(errors="replace")))
        except OSError:
            return None
        return float(self._found)

    def _size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


class UsageThread(threading.Thread):
    """Keeps what one process of an engine counts, until it is told to stop."""

    def __init__(
        self, order: Order, process: str, since: float, *, fresh: bool, say: Callable[[str], None]
    ) -> None:
        super().__init__(name="usage", daemon=True)
        self._order, self._process, self._since, self._fresh, self._say = order, process, since, fresh, say
        self._halt = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._told = ""
        self._log = LogCount(Path(order.folder) / "engine.log", (order.usage or {}).get("request_line"))

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

    def _keep(self, patience_s: float) -> None:
        keep = self._order.usage
        if not keep or not keep["days"]:
            return
        with self._one_at_a_time:
            from homeport.metrics.snapshot import Snapshot
            from homeport.usage.ledger import Ledger

            told = self._figures(patience_s) if keep["names"] else Snapshot(at=time.time())
            if told is None:
                return  # Counters do not forget: the next answer has what this one would have had.
            try:
                Ledger(Path(keep["root"])).add(self._counted(told), keep_days=int(keep["days"]))
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
            process=self._process,
            at=told.at,
            since=self._since,
            fresh=self._fresh,
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
