"""An endpoint with `[observe]` on a rehearsed Cloud Run, looked at by commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import httpx2

from commands_on_cloudrun import OnCloudRun
from patience import until

_T = TypeVar("_T")
LONGEST_S = 600.0


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
            verb,
            f"{self.rehearsal.url}/{path}",
            headers=headers,
            json=body,
            trust_env=False,
            verify=False,
            timeout=60,
        )
        assert came.status_code == 200, came.text
        return came.json()


def until_observed(look: Callable[[], _T], good: Callable[[_T], object]) -> _T:
    """What was seen once it is good: numbers are scraped, kept and asked for, each in its time."""
    return until(look, good, within_s=LONGEST_S, every_s=1.0)
