"""
Cloud KMS: rings, keys and their versions. There is no key material, so that nothing is encrypted.

Sources: the discovery document; `gcloud kms` for what clients send; for words what users quote, as `generic` and
`usable` say. UNCONFIRMED: the words of what is invalid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.clock import moment
from gcp_rehearsal.context import Call, Cloud, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import DUAL_REGIONS, MULTI_REGIONS, ZONES
from gcp_rehearsal.state import StoredResource

_PLACES = "cloudkms.projects.locations"
_RINGS = f"{_PLACES}.keyRings"
_KEYS = f"{_RINGS}.cryptoKeys"
_VERSIONS = f"{_KEYS}.cryptoKeyVersions"
_ID = re.compile(r"[a-zA-Z0-9_-]{1,63}")
_MULTI = frozenset((*MULTI_REGIONS, *DUAL_REGIONS, "europe", "global")) - {"eu"}
"""Where rings can be beside regions; there are more that no bucket and no repository can lie in."""
_SYMMETRIC = "GOOGLE_SYMMETRIC_ENCRYPTION"
_KEPT_FOR = "2592000s"
"""Thirty days, for which a version that is to be destroyed can be restored."""


def version_state(cloud: Cloud, version: StoredResource) -> str:
    """Return the state of a key's version by now: one that is to be destroyed is, once its time has come."""
    state = str(version.body["state"])
    due = version.body.get("destroyTime")
    return "DESTROYED" if state == "DESTROY_SCHEDULED" and moment(str(due)) <= cloud.clock.now() else state


def primary_of(cloud: Cloud, key: StoredResource) -> StoredResource | None:
    """Return the version that a key encrypts with; None for a key that has none."""
    return cloud.store.get("cloudkms", f"{key.name}/cryptoKeyVersions/{key.hidden.get('primary', '')}")


def _check_id(call: Call, field: str) -> None:
    key = str(call.query.get(field) or "")
    if not _ID.fullmatch(key):
        raise invalid(f"Invalid {field} '{key}': it must match [a-zA-Z0-9_-]{{1,63}}.", (field, "is invalid"))


def _prepare_ring(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    _check_id(call, "keyRingId")
    _one_place(call, call.name.split("/")[3])


def _prepare_key(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        for field in ("purpose", "importOnly", "destroyScheduledDuration"):
            if body.get(field) != before.body.get(field):
                raise invalid(f"{field} is immutable.", (f"crypto_key.{field}", "is immutable"))
    else:
        _check_id(call, "cryptoKeyId")
        _parent(call)
        if body.get("purpose") in {None, "CRYPTO_KEY_PURPOSE_UNSPECIFIED"}:
            raise invalid("A purpose is required.", ("crypto_key.purpose", "is required"))
        body.setdefault("destroyScheduledDuration", _KEPT_FOR)
    if body["purpose"] != "ENCRYPT_DECRYPT" or body.get("importOnly") or body.get("cryptoKeyBackend"):
        raise unimplemented("keys that are not for ENCRYPT_DECRYPT, are imported, or lie outside Google")
    template = {"algorithm": _SYMMETRIC, "protectionLevel": "SOFTWARE", **(body.get("versionTemplate") or {})}
    if template["protectionLevel"] not in {"SOFTWARE", "HSM"}:
        raise unimplemented(f"keys of the protection level {template['protectionLevel']}")
    if template["algorithm"] != _SYMMETRIC:
        raise invalid(f"The algorithm {template['algorithm']} is not for the purpose ENCRYPT_DECRYPT.",
                      ("crypto_key.version_template.algorithm", "is not valid"))  # fmt: skip
    body["versionTemplate"] = template


def _key_made(call: Call, key: StoredResource) -> None:
    if call.method.action == "create" and not call.query.get("skipInitialVersionCreation"):
        key.hidden["primary"] = _new_version(call, key).id


def _new_version(call: Call, key: StoredResource) -> StoredResource:
    number = key.hidden["versions"] = key.hidden.get("versions", 0) + 1
    now, name = call.cloud.clock.text(), f"{key.name}/cryptoKeyVersions/{number}"
    body = {"name": name, "state": "ENABLED", "createTime": now, "generateTime": now}
    return call.cloud.keep(call, name, _VERSIONS, body | key.body["versionTemplate"])


def _show_key(call: Call, key: StoredResource) -> JsonObject:
    primary = primary_of(call.cloud, key)
    return {**key.body, "primary": _show_version(call, primary)} if primary else key.body


def _show_version(call: Call, version: StoredResource) -> JsonObject:
    return {**version.body, "state": version_state(call.cloud, version)}


def _parent(call: Call) -> StoredResource:
    return generic.existing(call, call.name.rpartition("/")[0])


def _create_version(call: Call) -> Json:
    return _new_version(call, _parent(call)).body


def _patch_version(call: Call) -> Json:
    """Enable a version, or disable it: nothing else of it can be changed."""
    version, wanted = generic.existing(call), call.body.get("state")
    if call.mask not in {("state",), None} or wanted not in {"ENABLED", "DISABLED"}:
        raise invalid(
            "Only the state can be changed, to ENABLED or DISABLED.", ("crypto_key_version", "is fixed")
        )
    _demand_state(call, version, "ENABLED", "DISABLED")
    version.body["state"] = wanted
    return version.body


def _destroy(call: Call) -> Json:
    version = generic.existing(call)
    _demand_state(call, version, "ENABLED", "DISABLED")
    key = generic.existing(call, version.name.partition("/cryptoKeyVersions/")[0])
    seconds = float(str(key.body["destroyScheduledDuration"]).removesuffix("s"))
    due = call.cloud.clock.text(call.cloud.clock.now() + seconds)
    version.body |= {"state": "DESTROY_SCHEDULED", "destroyTime": due}
    return version.body


def _restore(call: Call) -> Json:
    version = generic.existing(call)
    _demand_state(call, version, "DESTROY_SCHEDULED")
    version.body["state"] = "DISABLED"
    del version.body["destroyTime"]
    return version.body


def _demand_state(call: Call, version: StoredResource, *states: str) -> None:
    state = version_state(call.cloud, version)
    if state not in states:
        raise precondition(f"{version.name} has an invalid state for this operation: {state}.")


def _set_primary(call: Call) -> Json:
    key, number = generic.existing(call), str(call.body.get("cryptoKeyVersionId") or "")
    _demand_state(call, generic.existing(call, f"{key.name}/cryptoKeyVersions/{number}"), "ENABLED")
    key.hidden["primary"] = number
    return _show_key(call, key)


def _listed_under(call: Call) -> Json:
    """Return what lies in a ring or a key, which must be there."""
    if "-" not in call.name.split("/"):
        _parent(call)
    return _counted(call)


def _counted(call: Call) -> Json:
    page = generic.list_(call)
    return {**page, "totalSize": sum(1 for _ in call.cloud.store.under(call.api, call.name))}


def _places(call: Call) -> Json:
    return generic.page(call, "locations", [_place(call, name) for name in sorted({*ZONES, *_MULTI})])


def _get_place(call: Call) -> Json:
    name = call.name.rpartition("/")[2]
    _one_place(call, name)
    return _place(call, name)


def _one_place(call: Call, name: str) -> None:
    if name not in ZONES and name not in _MULTI:
        raise not_found(f"Location '{name}' was not found.")


def _place(call: Call, name: str) -> JsonObject:
    return {"name": f"projects/{call.project}/locations/{name}", "locationId": name, "metadata": {
        "@type": "type.googleapis.com/google.cloud.kms.v1.LocationMetadata", "hsmAvailable": True}}  # fmt: skip


def _unacted(call: Call) -> Json:
    raise unimplemented(call.method.id)


_UNACTED = {
    f"{_PLACES}.{collection}.{action}": _unacted
    for collection, actions in {
        "ekmConfig": "getIamPolicy setIamPolicy testIamPermissions",
        "ekmConnections": "create get getIamPolicy list patch setIamPolicy testIamPermissions",
        "keyHandles": "create get list",
        "keyRings": "delete",
        "keyRings.cryptoKeys": "delete",
        "keyRings.cryptoKeys.cryptoKeyVersions": "delete",
        "keyRings.importJobs": "create get getIamPolicy list setIamPolicy testIamPermissions",
        "retiredResources": "get list",
        "singleTenantHsmInstances": "create get list",
        "singleTenantHsmInstances.proposals": "create delete get list",
    }.items()
    for action in actions.split()
}
KINDS: Mapping[str, Kind] = {
    _RINGS: Kind(prepare=_prepare_ring),
    _KEYS: Kind(prepare=_prepare_key, made=_key_made, show=_show_key),
    _VERSIONS: Kind(show=_show_version),
}
HANDLERS: Mapping[str, Handler] = {
    **_UNACTED,
    f"{_PLACES}.get": _get_place,
    f"{_PLACES}.list": _places,
    f"{_RINGS}.list": _counted,
    f"{_KEYS}.list": _listed_under,
    f"{_KEYS}.updatePrimaryVersion": _set_primary,
    f"{_VERSIONS}.list": _listed_under,
    f"{_VERSIONS}.create": _create_version,
    f"{_VERSIONS}.patch": _patch_version,
    f"{_VERSIONS}.destroy": _destroy,
    f"{_VERSIONS}.restore": _restore,
}
