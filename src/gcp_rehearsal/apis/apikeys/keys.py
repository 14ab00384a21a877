"""API keys: strings that say which project calls, and what with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from gcp_rehearsal import generic, operations
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

COLLECTION = "apikeys.projects.locations.keys"
_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_KEPT_S = 30 * 86400.0
"""How long a deleted key can be taken back, and its id is its own."""
_LONGEST_NAME = 63
_OTHERS = ("androidKeyRestrictions", "browserKeyRestrictions", "iosKeyRestrictions", "serverKeyRestrictions")


def key_of(cloud: Cloud, text: str) -> StoredResource | None:
    """Return the key that this string is; None for one that there is not, or no more."""
    for key in cloud.store.of("apikeys", COLLECTION):
        if key.hidden.get("string") == text and "deleteTime" not in key.body:
            return key
    return None


def may_call(key: StoredResource, service: str) -> bool:
    """Tell whether a key's restrictions let it call a service."""
    targets = (key.body.get("restrictions") or {}).get("apiTargets") or ()
    return not targets or any(target.get("service") == service for target in targets)


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None and call.name.split("/")[3] != "global":
        raise invalid("Keys are in the location global.", ("parent", "must be global"))
    key_id = str(call.query.get("keyId") or "")
    if before is None and key_id and not _ID.fullmatch(key_id):
        raise invalid(
            f"Invalid key id: {key_id!r}.", ("key_id", "lower case letters, digits and hyphens, at most 63")
        )
    if before is not None and "deleteTime" in before.body:
        raise not_found("Requested entity was not found.")
    if len(str(body.get("displayName") or "")) > _LONGEST_NAME:
        raise invalid("display_name has more than 63 characters.", ("key.display_name", "is too long"))
    restrictions = body.get("restrictions") or {}
    for name in _OTHERS:
        if name in restrictions:
            raise unimplemented(f"{name} of an API key")
    if body.get("serviceAccountEmail"):
        raise unimplemented("API keys that are bound to a service account")


def _made(call: Call, key: StoredResource) -> None:
    if "string" not in key.hidden:
        unique = sha256(call.cloud.key + key.name.encode() + call.cloud.uuid().encode()).hexdigest()
        key.hidden["string"] = f"AIzaSy{unique[:33]}"


def _show(call: Call, key: StoredResource) -> JsonObject:
    """Return a key by its project's number, as Google does, and without its string."""
    return {**key.body, "name": call.cloud.by_number(key.name)}


def _list(call: Call) -> Json:
    deleted_too = bool(call.query.get("showDeleted"))
    keys = call.cloud.store.under("apikeys", call.name)
    return generic.page(
        call, "keys", [_show(call, key) for key in keys if deleted_too or "deleteTime" not in key.body]
    )


def _string(call: Call) -> Json:
    key = generic.existing(call, call.name.removesuffix("/keyString"))
    if "deleteTime" in key.body:
        raise not_found("Requested entity was not found.")
    return {"keyString": key.hidden["string"]}


def _delete(call: Call) -> Json:
    key = generic.existing(call)
    generic.check_version(call, key)
    if "deleteTime" in key.body:
        raise not_found("Requested entity was not found.")
    gone = key.hidden["deletion"] = object()

    def end() -> JsonObject:
        return _show(call, key)

    key.body["deleteTime"] = call.cloud.clock.text()

    def purge() -> None:
        if key.hidden.get("deletion") is gone:
            call.cloud.forget(key)

    call.cloud.clock.after(_KEPT_S, purge)
    return operations.begin(call, key.name, call.cloud.takes(2.0), end)


def _undelete(call: Call) -> Json:
    key = generic.existing(call)
    key.body.pop("deleteTime", None)
    key.hidden.pop("deletion", None)
    return operations.begin(call, key.name, call.cloud.takes(2.0), lambda: _show(call, key))


def _lookup(call: Call) -> Json:
    raise unimplemented(call.method.id)


KINDS: Mapping[str, Kind] = {COLLECTION: Kind(prepare=_prepare, made=_made, show=_show, seconds=2.0)}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.list": _list,
    f"{COLLECTION}.getKeyString": _string,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.undelete": _undelete,
    "apikeys.keys.lookupKey": _lookup,
}
