"""Whether an engine answers: asked from a thread, so that a deaf one holds nobody up."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from homeport.supervisor.journal import up_saw_token
from homeport.supervisor.order import Order

_HEALTH_S, _PULSE_S, _STARTING_S = 2.0, 10.0, 0.2
_PATIENCE_S = 5.0


class PulseThread(threading.Thread):
    """Asks one engine's process until it is told to stop. What it found can be read at any time."""

    def __init__(self, order: Order, pid: int, ticks: str, *, healthy: bool, wants_token: bool) -> None:
        super().__init__(name="pulse", daemon=True)
        self._order, self._pid, self._ticks = order, pid, ticks
        self._halt = threading.Event()
        self._next_pulse = 0.0
        self._begun = time.monotonic()
        self.healthy = healthy
        """Whether it has said once that it is."""
        self.ready = healthy or not wants_token
        """Whether a token came out, where one was wanted."""
        self.heard = time.monotonic()
        """When it last answered, on the monotonic clock."""
        self.works_since: float | None = None
        """Since when it has said at each look that it works on requests, on the monotonic clock; None where it last did not."""

    def run(self) -> None:
        """Ask about health every two seconds, about the work itself every ten, or until it answers."""
        while not self._halt.is_set():
            if not self.healthy:
                # One that fell silent right after `up` saw its token is deaf, and not about to begin for ten minutes.
                self.healthy = self._get(self._order.health_path) is not None or up_saw_token(
                    Path(self._order.folder), self._pid, self._ticks
                )
                self.heard = time.monotonic()
            elif not self.ready:
                self.ready = self._token()
                self.heard = time.monotonic()
            else:
                self._listen()
            self._halt.wait(_HEALTH_S if self.ready and self.healthy else _STARTING_S)

    def stop(self) -> None:
        """Ask no more."""
        self._halt.set()

    def _listen(self) -> None:
        path, now = self._order.pulse_path, time.monotonic()
        if path is None:
            if self._get(self._order.health_path) is not None:
                self.heard = time.monotonic()
            return
        if now < self._next_pulse:
            return
        pulse = self._get(path)
        if pulse is not None:
            works = re.search(self._order.busy, pulse) is not None
            self.heard = time.monotonic()
            self.works_since = (self.works_since or self.heard) if works else None
            self._next_pulse = now + _PULSE_S

    def _token(self) -> bool:
        """Return True if a token came out."""
        left = self._order.ready_within_s - (time.monotonic() - self._begun)
        body = json.dumps({"model": self._order.model, "prompt": "Hello", "max_tokens": 1})
        return self._ask("POST", "/v1/completions", body, max(1.0, left)) is not None

    def _get(self, path: str) -> str | None:
        return self._ask("GET", path, None, _PATIENCE_S)

    def _ask(self, method: str, path: str, body: str | None, patience_s: float) -> str | None:
        """Return what is answered; None where nothing is, or a refusal."""
        where = urlsplit(self._order.url)
        assert where.hostname is not None
        connection = http.client.HTTPConnection(where.hostname, where.port, timeout=patience_s)
        headers = {"Content-Type": "application/json"}
        if self._order.api_key is not None:
            headers["Authorization"] = f"Bearer {self._order.api_key}"
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return text if answer.status == http.client.OK else None
