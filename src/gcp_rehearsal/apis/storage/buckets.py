"""Cloud Storage: buckets, and which function answers what of the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gcp_rehearsal import generic
from gcp_rehearsal.apis.storage import download as storage_download
from gcp_rehearsal.apis.storage import objects as storage_objects
from gcp_rehearsal.apis.storage import upload as storage_upload
from gcp_rehearsal.apis.storage.encryption import check_default
from gcp_rehearsal.apis.storage.generations import noncurrent
from gcp_rehearsal.apis.storage.objects import bucket_of, conditions, etag, stamp, unheld, unmet
from gcp_rehearsal.call import Reply
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid, unimplemented
from gcp_rehearsal.iam import policy_versions
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import DUAL_REGIONS, MULTI_REGIONS, ZONES
from gcp_rehearsal.state import StoredResource

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_NUMBERS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_CLASSES = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "REGIONAL", "MULTI_REGIONAL",
            "DURABLE_REDUCED_AVAILABILITY", "RAPID")  # fmt: skip
_SETTABLE = ("autoclass", "billing", "cors", "customPlacementConfig", "encryption", "iamConfiguration", "labels", "lifecycle",
             "logging", "rpo", "softDeletePolicy", "storageClass", "versioning", "website")  # fmt: skip
_LOCKED_AFTER = timedelta(days=90).total_seconds()
_SOFT_DELETE = 7 * 86400
_EVERYONE = {"allUsers", "allAuthenticatedUsers"}


def insert(call: Call) -> JsonObject:
    """Make a bucket."""
    cloud, body = call.cloud, call.body
    name = str(body.get("name") or "")
    _check_name(name)
    before = cloud.store.get("storage", f"b/{name}")
    if before is not None:
        own = before.project == call.project
        raise ApiError(
            409,
            "Your previous request to create the named bucket succeeded and you already own it."
            if own
            else "The requested bucket name is not available. The bucket namespace is shared by all users of the "
            "system. Please select a different name and try again.",
            reason="conflict",
        )
    if call.query.get("predefinedAcl") or call.query.get("predefinedDefaultObjectAcl"):
        raise unimplemented("access control lists of buckets")
    _refuse(body)
    location = _location(call)
    project, now = cloud.project(call.project), stamp(cloud)
    bucket: JsonObject = {
        "kind": "storage#bucket",
        "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
        "id": name,
        "name": name,
        "projectNumber": project.number if project else "",
        "generation": str(int(cloud.clock.now() * 1_000_000)),
        "metageneration": "1",
        "location": location.upper(),
        "storageClass": "STANDARD",
        "etag": etag(1),
        "timeCreated": now,
        "updated": now,
        **{key: body[key] for key in _SETTABLE if body.get(key) is not None},
    }
    bucket["locationType"] = _location_type(bucket)
    if bucket["locationType"] != "region":
        bucket.setdefault("rpo", "DEFAULT")
    _complete(call, bucket, {})
    stored = cloud.keep(call, f"b/{name}", "storage.buckets", bucket)
    bindings = [
        {"role": f"roles/storage.legacyBucket{role}", "members": [f"{who}:{call.project}" for who in members]}
        for role, members in (("Owner", ("projectEditor", "projectOwner")), ("Reader", ("projectViewer",)))
    ]
    cloud.access.set_policy("storage", stored.name, {"bindings": bindings}, at_once=True)
    return bucket


def get(call: Call) -> Json:
    """Return one bucket; a 304 where it is as the caller knows it. Raises `ApiError` 412."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    state = unmet(call.query, bucket)
    if state == "not match":
        return Reply(status=304)
    if state:
        raise unheld()
    return bucket.body


def list_(call: Call) -> JsonObject:
    """Return a project's buckets in order of their names."""
    if call.query.get("softDeleted"):
        raise unimplemented("soft-deleted buckets")
    prefix = call.query.get("prefix") or ""
    buckets = [
        bucket
        for bucket in call.cloud.store.under("storage", "b")
        if bucket.project == call.project and bucket.id.startswith(prefix)
    ]
    return generic.page(
        call, "items", [bucket.body for bucket in sorted(buckets, key=lambda bucket: bucket.id)]
    )


def patch(call: Call) -> JsonObject:
    """Change what is sent of a bucket; null removes."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    sent = {key: value for key, value in call.body.items() if key in _SETTABLE}
    return _changed(
        call, bucket, {**bucket.body, **{key: _merged(bucket.body.get(key), sent[key]) for key in sent}}
    )


def update(call: Call) -> JsonObject:
    """Replace what can be set of a bucket."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    fixed = {key: value for key, value in bucket.body.items() if key not in _SETTABLE}
    kept_class = {"storageClass": bucket.body["storageClass"]}
    new = {key: value for key, value in call.body.items() if key in _SETTABLE}
    return _changed(call, bucket, {**fixed, **kept_class, **new})


def delete(call: Call) -> None:
    """Unmake an empty bucket."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    conditions(call.query, bucket)
    if any(call.cloud.store.under("storage", f"{bucket.name}/o")) or noncurrent(bucket):
        raise ApiError(409, "The bucket you tried to delete is not empty.", reason="conflict")
    for session in bucket.hidden.get("uploads", {}).values():
        session.writing.discard()
    call.cloud.forget(bucket)


def layout(call: Call) -> JsonObject:
    """Return where a bucket lies, and that its folders are names only."""
    body = bucket_of(call.cloud, call.params["bucket"]).body
    return {"kind": "storage#storageLayout", "bucket": body["name"], "location": body["location"],
            "locationType": body["locationType"], "hierarchicalNamespace": {"enabled": False}}  # fmt: skip


def get_policy(call: Call) -> JsonObject:
    """Return a bucket's policy."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    return _policy(bucket, policy_versions.read(call, call.cloud.access.policy("storage", bucket.name)))


def set_policy(call: Call) -> JsonObject:
    """Replace a bucket's policy."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    members = {member for binding in call.body.get("bindings", ()) for member in binding.get("members", ())}
    if members & _EVERYONE and bucket.body["iamConfiguration"]["publicAccessPrevention"] == "enforced":
        raise ApiError(
            412,
            "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access prevention "
            "is enforced.",
            reason="conditionNotMet",
        )
    policy = {key: value for key, value in call.body.items() if key not in {"kind", "resourceId"}}
    try:
        return _policy(bucket, call.cloud.access.set_policy("storage", bucket.name, policy))
    except ApiError as error:
        if error.status == "FAILED_PRECONDITION":
            raise ApiError(412, error.message, reason="conditionNotMet") from error
        if error.status == "ABORTED":
            raise unheld() from error
        raise


def test_permissions(call: Call) -> JsonObject:
    """Return those of the permissions asked about that the caller has on a bucket."""
    bucket = bucket_of(call.cloud, call.params["bucket"])
    permissions = call.query.get("permissions") or []
    held = call.cloud.access.held(call.caller, permissions, "storage", bucket.name, bucket.project)
    granted = [permission for permission in permissions if permission in held]
    return {"kind": "storage#testIamPermissionsResponse"} | ({"permissions": granted} if granted else {})


def service_account(call: Call) -> JsonObject:
    """Return the e-mail of Cloud Storage's own account in a project."""
    project = call.cloud.project(call.project)
    number = project.number if project else ""
    return {"kind": "storage#serviceAccount",
            "email_address": f"service-{number}@gs-project-accounts.iam.gserviceaccount.com"}  # fmt: skip


def _check_name(name: str) -> None:
    if not name:
        raise ApiError(400, "Required", reason="required")
    parts = name.split(".")
    too_long = any(len(part) > 63 for part in parts) or (len(parts) == 1 and len(name) > 63)
    reserved = name.startswith("goog") or "google" in name.replace("0", "o").replace("1", "l")  # As g00gle.
    if not _NAME.fullmatch(name) or _NUMBERS.fullmatch(name) or ".." in name or too_long or reserved:
        raise invalid(f"Invalid bucket name: '{name}'")
    if len(parts) > 1:
        raise ApiError(
            403,
            "The bucket you tried to create requires domain ownership verification. Please see "
            "https://cloud.google.com/storage/docs/naming?hl=en#verification for more details.",
        )


def _location(call: Call) -> str:
    location = str(call.body.get("location") or "us").lower()
    if location not in ZONES and location not in (*MULTI_REGIONS, *DUAL_REGIONS):
        raise invalid("The specified location constraint is not valid.")
    allowed = call.cloud.policies.locations
    if allowed and location not in allowed:
        raise ApiError(
            412,
            f"'{location}' violates constraint 'constraints/gcp.resourceLocations'",
            reason="conditionNotMet",
        )
    return location


def _location_type(body: Mapping[str, Json]) -> str:
    location = body["location"].lower()
    if location in ZONES:
        return "region"
    return "dual-region" if location in DUAL_REGIONS or body.get("customPlacementConfig") else "multi-region"


def _refuse(body: Mapping[str, Json]) -> None:
    """Raise `ApiError` 501 for what would change how objects behave, and is not acted out."""
    if (body.get("hierarchicalNamespace") or {}).get("enabled"):
        raise unimplemented("'hierarchicalNamespace' of a bucket")
    for key in (
        "acl",
        "defaultObjectAcl",
        "defaultEventBasedHold",
        "ipFilter",
        "objectRetention",
        "retentionPolicy",
    ):
        if body.get(key):
            raise unimplemented(f"'{key}' of a bucket")
    if (body.get("billing") or {}).get("requesterPays"):
        raise unimplemented("buckets whose requesters pay")


def _changed(call: Call, bucket: StoredResource, body: JsonObject) -> JsonObject:
    conditions(call.query, bucket)
    _refuse(call.body)
    location = str(call.body.get("location") or bucket.body["location"])
    if location.upper() != bucket.body["location"]:
        raise invalid("The location of an existing bucket cannot be changed.")
    body = {key: value for key, value in body.items() if value is not None and value != {}}
    _complete(call, body, bucket.body)
    number = int(bucket.body["metageneration"]) + 1
    body |= {"metageneration": str(number), "etag": etag(number), "updated": stamp(call.cloud)}
    bucket.body = body
    return body


def _complete(call: Call, body: JsonObject, before: Mapping[str, Json]) -> None:
    if body.setdefault("storageClass", "STANDARD") not in _CLASSES:
        raise invalid(f"Invalid argument: storage class '{body['storageClass']}'")
    if body.get("encryption") != before.get("encryption"):
        check_default(call.cloud, call.project, body)
    _complete_access(call, body, before)
    _complete_autoclass(call, body, before)
    soft = dict(body.get("softDeletePolicy") or {})
    seconds = int(soft.get("retentionDurationSeconds", _SOFT_DELETE))
    if seconds and not _SOFT_DELETE <= seconds <= 90 * 86400:
        raise invalid("Soft delete policy retention duration must be 0 or between 7 and 90 days.")
    old = before.get("softDeletePolicy", {})
    since = old.get("effectiveTime") if old.get("retentionDurationSeconds") == str(seconds) else None
    body["softDeletePolicy"] = {"retentionDurationSeconds": str(seconds),
                                "effectiveTime": since or stamp(call.cloud)}  # fmt: skip


def _complete_autoclass(call: Call, body: JsonObject, before: Mapping[str, Json]) -> None:
    """Set the times that Google tells of Autoclass. Raises `ApiError` 400 for what cannot go with it."""
    autoclass = body.get("autoclass")
    if autoclass is None:
        return
    was, now = before.get("autoclass") or {}, stamp(call.cloud)
    on, terminal = bool(autoclass.get("enabled")), autoclass.get("terminalStorageClass")
    if not on and terminal:
        raise invalid("Invalid argument: terminalStorageClass is for buckets with Autoclass enabled.")
    if terminal not in {None, "", "NEARLINE", "ARCHIVE"}:
        raise invalid(f"Invalid argument: terminalStorageClass '{terminal}'")
    if on:
        body["storageClass"] = "STANDARD"  # Whatever was asked for, as recorded of Google.
    completed = {"enabled": on, "toggleTime": was.get("toggleTime") if was.get("enabled") is on else now}
    if on:
        terminal = terminal or "NEARLINE"
        same = was.get("terminalStorageClass") == terminal
        completed["terminalStorageClass"] = terminal
        completed["terminalStorageClassUpdateTime"] = was["terminalStorageClassUpdateTime"] if same else now
    body["autoclass"] = completed


def _complete_access(call: Call, body: JsonObject, before: Mapping[str, Json]) -> None:
    configuration = body.get("iamConfiguration") or {}
    was = before.get("iamConfiguration", {}).get("uniformBucketLevelAccess", {})
    uniform = dict(
        configuration.get("uniformBucketLevelAccess") or configuration.get("bucketPolicyOnly") or {}
    )
    if uniform.get("enabled"):
        until = call.cloud.clock.text(call.cloud.clock.now() + _LOCKED_AFTER)
        uniform["lockedTime"] = was.get("lockedTime") or f"{until[:-4]}Z"
    else:
        uniform = {"enabled": False}
    prevention = configuration.get("publicAccessPrevention") or "inherited"
    if prevention not in {"inherited", "enforced", "unspecified"}:
        raise invalid(f"Invalid argument: publicAccessPrevention '{prevention}'")
    body["iamConfiguration"] = {
        "bucketPolicyOnly": dict(uniform),
        "uniformBucketLevelAccess": uniform,
        "publicAccessPrevention": "inherited" if prevention == "unspecified" else prevention,
    }


def _merged(old: Any, new: Any) -> Any:  # Any: JSON; RFC 7386
    if not isinstance(new, dict):
        return new
    merged = {**old} if isinstance(old, dict) else {}
    for key, value in new.items():
        merged[key] = _merged(merged.get(key), value)
    return {key: value for key, value in merged.items() if value is not None}


def _policy(bucket: StoredResource, policy: JsonObject) -> JsonObject:
    return {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket.id}", **policy}


def _unacted(call: Call) -> Json:
    raise unimplemented(call.method.id)


def _none(call: Call) -> JsonObject:
    """Return an empty list: none can be made here."""
    schema = call.document.schemas[call.method.response or ""].get("properties", {})
    return {"kind": schema["kind"]["default"]} if "default" in schema.get("kind", {}) else {}


_UNACTED = {
    f"storage.{collection}.{action}": _unacted
    for collection, actions in {
        "anywhereCaches": "get insert update",
        "bucketAccessControls": "delete get insert list patch update",
        "buckets.operations": "get list",
        "defaultObjectAccessControls": "delete get insert list patch update",
        "folders": "delete get insert list",
        "managedFolders": "delete get getIamPolicy insert setIamPolicy testIamPermissions update",
        "notifications": "delete get insert",
        "objectAccessControls": "delete get insert list patch update",
        "objects": "getIamPolicy setIamPolicy testIamPermissions",
        "projects.hmacKeys": "create delete get list update",
        "rapidCaches": "get insert list update",
    }.items()
    for action in actions.split()
}

ELSEWHERE = {"storage": storage_download.by_address}
KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    **_UNACTED,
    "storage.anywhereCaches.list": _none,
    "storage.managedFolders.list": _none,
    "storage.notifications.list": _none,
    "storage.buckets.delete": delete,
    "storage.buckets.get": get,
    "storage.buckets.getIamPolicy": get_policy,
    "storage.buckets.getStorageLayout": layout,
    "storage.buckets.insert": insert,
    "storage.buckets.list": list_,
    "storage.buckets.patch": patch,
    "storage.buckets.setIamPolicy": set_policy,
    "storage.buckets.testIamPermissions": test_permissions,
    "storage.buckets.update": update,
    "storage.objects.compose": storage_objects.compose,
    "storage.objects.copy": storage_objects.copy,
    "storage.objects.delete": storage_objects.delete,
    "storage.objects.get": storage_download.get,
    "storage.objects.insert": storage_upload.insert,
    "storage.objects.list": storage_objects.list_,
    "storage.objects.patch": storage_objects.patch,
    "storage.objects.rewrite": storage_objects.rewrite,
    "storage.objects.update": storage_objects.update,
    "storage.projects.serviceAccount.get": service_account,
}
