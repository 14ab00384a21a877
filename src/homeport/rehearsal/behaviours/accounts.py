"""Service accounts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.rehearsal.call import Call
from homeport.rehearsal.errors import exists, not_found
from homeport.rehearsal.kind import Handler, Kind


def create(call: Call) -> Any:
    email = f"{call.body['accountId']}@{call.project}.iam.gserviceaccount.com"
    name = f"projects/{call.project}/serviceAccounts/{email}"
    if call.cloud.store.get("iam", name):
        raise exists(
            f"Service account {call.body['accountId']} already exists within project projects/{call.project}."
        )
    body = {
        "name": name,
        "email": email,
        "uniqueId": call.cloud.number(),
        "projectId": call.project,
        **call.body.get("serviceAccount", {}),
    }
    return call.cloud.keep(call, name, call.method.collection, body).body


def get(call: Call) -> Any:
    kept = call.cloud.store.get("iam", call.name)
    if kept is None or not call.cloud.account_is_seen(kept.id):
        raise not_found("Unknown service account")
    return kept.body


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "iam.projects.serviceAccounts.create": create,
    "iam.projects.serviceAccounts.get": get,
}
