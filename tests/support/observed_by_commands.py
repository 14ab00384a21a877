"""An endpoint with `[observe]` on a rehearsed Cloud Run, looked at by commands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx2

from commands_on_cloudrun import OnCloudRun

LONGEST_S = 240.0


class Observed(OnCloudRun):
    patience_s = 900.0

    def looked(self) -> dict[str, Any]:  # Any: JSON
        found = self.run("observe", "check", "--json", code=None)
        assert found.out, found.err
        assert isinstance(found.json, list), found.err
        seen = {one["what"]: one for one in found.json}
        assert found.code == (3 if self.failed(seen) else 0)
        return seen

    def asked_and_looked(self) -> dict[str, Any]:
        self.run("chat", "What is the capital of France?", "--max-tokens", "4")
        return self.looked()

    @staticmethod
    def failed(seen: dict[str, Any]) -> dict[str, str]:
        return {what: one["text"] for what, one in seen.items() if one["verdict"] == "failed"}

    def google(self, verb: str, host: str, path: str, body: Any = None) -> Any:
        headers = {"host": f"{host}.googleapis.com", "authorization": f"Bearer {self.rehearsal.token()}"}
        came = httpx2.request(
            verb, f"{self.rehearsal.url}/{path}", headers=headers, json=body, trust_env=False, timeout=60
        )
        assert came.status_code == 200, came.text
        return came.json()


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:  # Any: what is looked at
    """What was seen once it is good, or at the end of patience."""
    end = time.monotonic() + LONGEST_S
    while True:
        seen = look()
        if good(seen) or time.monotonic() > end:
            return seen
        time.sleep(1.0)
