"""Secret Manager: the versions of a secret, and what they hold."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from gcp_rehearsal import generic
from gcp_rehearsal.apis.secretmanager.encryption import check_usable
from gcp_rehearsal.apis.storage.content import extend
from gcp_rehearsal.context import Call, Handler
from gcp_rehearsal.errors import ApiError, invalid, not_found, precondition
from gcp_rehearsal.filters import matches
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

LARGEST = 65_536
"""Bytes that a version may hold."""


def read(cloud: Cloud, name: str) -> bytes:
    """
    Return what the version of that name holds, `latest` and aliases included, without a check of the caller.

    Raises `ApiError`: 404 where there is none, 400 where it is disabled or destroyed, or its key cannot be used.
    """
    return _held(cloud, resolve(cloud, name))


def readable(cloud: Cloud, name: str) -> bool:
    """Return True if there is a version of that name, and holds something that can be read."""
    try:
        read(cloud, name)
    except ApiError:
        return False
    return True


def resolve(cloud: Cloud, name: str) -> StoredResource:
    """
    Return the version of that name: by its number, by an alias, or `latest`, which is the newest. Raises
    `ApiError` 404.
    """
    path, _, which = cloud.by_id(name).rpartition("/versions/")
    secret = cloud.store.get("secretmanager", path)
    versions = list(cloud.store.under("secretmanager", f"{path}/versions"))
    if secret is None or not versions:
        raise not_found(f"Secret [{cloud.by_number(path)}] not found or has no versions.")
    which = str(secret.body.get("versionAliases", {}).get(which, which))
    if which == "latest":
        return max(versions, key=lambda version: int(version.id))
    for version in versions:
        if version.id == which:
            return version
    raise not_found(f"Secret Version [{cloud.by_number(path)}/versions/{which}] not found.")


def stamp(cloud: Cloud, kept: StoredResource) -> None:
    """Give a secret or a version the etag of a new state of it."""
    version = max(int(cloud.clock.now() * 1e6), kept.hidden.get("etag", 0) + 1)
    kept.hidden["etag"] = version
    kept.body["etag"] = f'"{version:x}"'


def show(call: Call, kept: StoredResource) -> JsonObject:
    """Return a secret or a version as it is answered: names have the project's number."""
    return {**kept.body, "name": call.cloud.by_number(kept.name)}


def newest_first(call: Call, key: str) -> Json:
    """Return the page of a list of secrets or versions that is asked for."""
    listed = list(call.cloud.store.under(call.api, call.name))
    listed.sort(
        key=lambda resource: (resource.created, int(resource.id) if resource.id.isdigit() else 0),
        reverse=True,
    )
    shown = [show(call, resource) for resource in listed]
    matching = [body for body in shown if matches(call.query.get("filter", ""), body)]
    page = generic.page(call, key, matching)
    return {**page, "totalSize": len(matching)} if matching else page


def add(call: Call) -> Json:
    """Return a new version, with the next number: one that was destroyed keeps its own."""
    secret = generic.existing(call)
    payload = call.body.get("payload")
    if payload is None:
        raise invalid("Field [payload] is required.")
    data = _decoded(payload.get("data") or "")
    if not data:
        raise invalid("Secret Payload cannot be empty.")
    if len(data) > LARGEST:
        raise invalid(f"Secret Payload exceeds the maximum size of {LARGEST} bytes: it has {len(data)}.")
    claimed = payload.get("dataCrc32c")
    if claimed is not None and int(claimed) != extend(0, data):
        raise invalid(
            "The checksum in field data_crc32c did not match the data in field data.",
            ("payload.data_crc32c", f"is {claimed}, but that of the data is {extend(0, data)}"),
        )
    check_usable(call.cloud, secret.project, secret.body)
    number = secret.hidden["versions"] = secret.hidden.get("versions", 0) + 1
    body: JsonObject = {"createTime": call.cloud.clock.text(), "state": "ENABLED"}
    if "replication" in secret.body:
        body["replicationStatus"] = _replicated(secret)
    if claimed is not None:
        body["clientSpecifiedPayloadChecksum"] = True
    name = f"{secret.name}/versions/{number}"
    version = call.cloud.keep(call, name, f"{call.method.collection}.versions", body)
    version.hidden["data"] = data
    stamp(call.cloud, version)
    return show(call, version)


def access(call: Call) -> Json:
    """Return what a version holds."""
    version = resolve(call.cloud, call.name)
    data = _held(call.cloud, version)
    payload = {"data": base64.b64encode(data).decode(), "dataCrc32c": str(extend(0, data))}
    return {"name": call.cloud.by_number(version.name), "payload": payload}


def get(call: Call) -> Json:
    """Return one version, without what it holds."""
    return show(call, resolve(call.cloud, call.name))


def list_(call: Call) -> Json:
    """Return the versions of a secret, those that were destroyed included."""
    generic.existing(call, call.name.removesuffix("/versions"))
    return newest_first(call, "versions")


def enable(call: Call, version: StoredResource) -> None:
    """Make it readable; a destruction that was due is called off."""
    version.body["state"] = "ENABLED"
    version.body.pop("scheduledDestroyTime", None)


def disable(call: Call, version: StoredResource) -> None:
    """Make it unreadable."""
    version.body["state"] = "DISABLED"


def destroy(call: Call, version: StoredResource) -> None:
    """Delete what it holds: at once, or after the time for which the secret keeps it disabled first."""
    cloud = call.cloud
    secret = generic.existing(call, version.name.rpartition("/versions/")[0])
    delay = float(str(secret.body.get("versionDestroyTtl", "0s")).removesuffix("s"))
    if not delay:
        _destroyed(cloud, version)
        return
    due = cloud.clock.text(cloud.clock.now() + delay)
    version.body.update(state="DISABLED", scheduledDestroyTime=due)

    def end() -> None:
        if version.body.get("scheduledDestroyTime") == due:
            _destroyed(cloud, version)
            stamp(cloud, version)

    cloud.clock.after(delay, end)


def changing(change: Callable[[Call, StoredResource], None]) -> Handler:
    """Return what answers a method that brings a version into another state; it must not be destroyed yet."""

    def act(call: Call) -> Json:
        number = call.name.rpartition("/")[2]
        if not number.isdigit():
            raise invalid(f"The version must be named by its number, not by [{number}].")
        version = resolve(call.cloud, call.name)
        generic.check_version(call, version)
        if version.body["state"] == "DESTROYED":
            raise _in_state(call.cloud, version)
        change(call, version)
        stamp(call.cloud, version)
        return show(call, version)

    return act


def _destroyed(cloud: Cloud, version: StoredResource) -> None:
    version.hidden.pop("data", None)
    version.body.pop("scheduledDestroyTime", None)
    version.body.update(state="DESTROYED", destroyTime=cloud.clock.text())


def _held(cloud: Cloud, version: StoredResource) -> bytes:
    if version.body["state"] != "ENABLED":
        raise _in_state(cloud, version)
    secret = cloud.store.get("secretmanager", version.name.rpartition("/versions/")[0])
    check_usable(cloud, version.project, secret.body if secret else {})
    return bytes(version.hidden["data"])


def _in_state(cloud: Cloud, version: StoredResource) -> ApiError:
    return precondition(
        f"Secret Version [{cloud.by_number(version.name)}] is in {version.body['state']} state."
    )


def _replicated(secret: StoredResource) -> JsonObject:
    replicas = secret.body["replication"].get("userManaged", {}).get("replicas", ())
    if not replicas:
        return {"automatic": {}}
    return {"userManaged": {"replicas": [{"location": replica["location"]} for replica in replicas]}}


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
