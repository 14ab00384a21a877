"""Secret Manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.rehearsal.call import Call
from homeport.rehearsal.errors import not_found
from homeport.rehearsal.kind import Handler, Kind


def add(call: Call) -> Any:
    n = len(list(call.cloud.store.under("secretmanager", f"{call.name}/versions"))) + 1
    name = f"{call.name}/versions/{n}"
    k = call.cloud.keep(
        call, name, "secretmanager.projects.secrets.versions", {"name": name, "state": "ENABLED"}
    )
    k.hidden["data"] = call.body["payload"]["data"]
    return k.body


def access(call: Call) -> Any:
    parent = call.name.rpartition("/")[0]
    all_ = list(call.cloud.store.under("secretmanager", parent))
    if not all_:
        raise not_found(f"Secret Version [{call.name}] not found.")
    return {"name": all_[-1].name, "payload": {"data": all_[-1].hidden["data"]}}


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "secretmanager.projects.secrets.addVersion": add,
    "secretmanager.projects.secrets.versions.access": access,
}
