"""Which APIs are enabled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.rehearsal import operations
from homeport.rehearsal.call import Call
from homeport.rehearsal.kind import Handler, Kind


def batch_get(call: Call) -> Any:
    return {"services": [_one(call, n.rpartition("/")[2]) for n in call.query.get("names", [])]}


def _one(call: Call, service: str) -> Any:
    on = (call.project, service) in call.cloud.enabled
    return {"name": f"projects/481516234200/services/{service}", "state": "ENABLED" if on else "DISABLED"}


def batch_enable(call: Call) -> Any:
    def finish() -> Any:
        for s in call.body["serviceIds"]:
            call.cloud.enabled.setdefault((call.project, s), call.cloud.clock.now())
        return {}

    return operations.begin(call, "x", call.cloud.takes(10), finish)


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "serviceusage.services.batchGet": batch_get,
    "serviceusage.services.batchEnable": batch_enable,
}
