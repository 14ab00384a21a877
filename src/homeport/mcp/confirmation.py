"""The words that confirm a change: they are of one plan, of one server, and nobody can know them who was not shown it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping

from homeport.errors import PlanStale
from homeport.json_types import Json


class Confirmation:
    """Hashes of plans, keyed with a secret of this server's own."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, verb: str, plan: Mapping[str, Json]) -> str:
        """Return the words that confirm `plan` for `verb`, whatever the order of its keys."""
        document = json.dumps([verb, plan], sort_keys=True, default=str).encode()
        return hmac.new(self._secret, document, hashlib.sha256).hexdigest()

    def ensure(self, verb: str, plan: Mapping[str, Json], given: str) -> None:
        """Raise `PlanStale` unless `given` confirms exactly this plan for this verb."""
        if not hmac.compare_digest(self.of(verb, plan).encode(), given.encode()):
            raise PlanStale(
                f"`confirm` is not that of what {verb} would do now: nothing was changed",
                hint=f"call {verb} without `confirm`, show the user the plan that comes back, and pass its `confirm`; "
                "if this happens again, somebody else is changing the same things",
            )
