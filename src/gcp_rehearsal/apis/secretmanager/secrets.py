"""Secret Manager: global and regional secrets. Their versions are in `secrets_versions`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.apis.secretmanager import versions
from gcp_rehearsal.apis.secretmanager.encryption import check_place, check_usable
from gcp_rehearsal.clock import moment
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, info, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

_GLOBAL, _REGIONAL = "secretmanager.projects.secrets", "secretmanager.projects.locations.secrets"
_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
_ALIAS = re.compile(r"(?!latest$|NEW$)[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_ANNOTATION = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?")
_MUTABLE = (
    "annotations",
    "expireTime",
    "labels",
    "rotation",
    "topics",
    "ttl",
    "versionAliases",
    "versionDestroyTtl",
)
_NOT_ACTED = ("tags",)
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_MOST_TOPICS = 10
_HOUR = 3_600
_LONGEST_PERIOD = 3_153_600_000
_SOONEST = 300
_DAY = 86_400
_LONGEST_KEPT = 1000 * _DAY


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    for key in _NOT_ACTED:
        if body.get(key):
            raise unimplemented(f"{key} of a secret")
    if body.get("secretType") not in {None, "SECRET_TYPE_UNSPECIFIED"}:
        raise unimplemented(f"secrets of the type {body['secretType']}")
    for key in (*_NOT_ACTED, "secretType"):
        body.pop(key, None)
    if before is None:
        _prepare_new(call, body)
    _check_labels(body)
    _check_annotations(body.get("annotations") or {})
    _check_aliases(call, body, before)
    _set_expiry(call, body)
    _check_rotation(call, body)
    if body.get("versionDestroyTtl"):
        seconds = float(body["versionDestroyTtl"].removesuffix("s"))
        if not _DAY <= seconds <= _LONGEST_KEPT:
            raise invalid(
                "Secret.version_destroy_ttl must be between 24 hours and 1000 days.",
                ("secret.version_destroy_ttl", "is out of range"),
            )


def _check_rotation(call: Call, body: Mapping[str, Json]) -> None:
    """Raise `ApiError` for topics and times that Google does not take. Nothing is told to them here."""
    topics = body.get("topics") or []
    if len(topics) > _MOST_TOPICS or any(
        not _TOPIC.fullmatch(str(topic.get("name") or "")) for topic in topics
    ):
        raise invalid(
            "Secret.topics must be at most 10, each projects/*/topics/*.", ("secret.topics", "is not valid")
        )
    rotation = body.get("rotation")
    if not rotation:
        return
    if not topics:
        raise invalid("Secret.topics must be set to use rotation.", ("secret.topics", "is required"))
    period, due = rotation.get("rotationPeriod"), rotation.get("nextRotationTime")
    if period and (not due or not _HOUR <= float(period.removesuffix("s")) <= _LONGEST_PERIOD):
        raise invalid(
            "Secret.rotation.rotation_period must be between 1 hour and 100 years, with a next_rotation_time.",
            ("secret.rotation.rotation_period", "is not valid"),
        )
    if due and moment(due) < call.cloud.clock.now() + _SOONEST and call.method.action == "create":
        raise invalid(
            "Secret.rotation.next_rotation_time must be at least 5 minutes in the future.",
            ("secret.rotation.next_rotation_time", "is too early"),
        )


def _prepare_new(call: Call, body: JsonObject) -> None:
    key = str(call.query.get("secretId") or "")
    if not _ID.fullmatch(key):
        raise invalid(f"The provided Secret ID [{key}] does not match the expected format [[a-zA-Z_0-9]+]")
    if call.method.collection == _REGIONAL:
        if body.pop("replication", None) is not None:
            raise invalid("Secret.replication should not be provided.")
        location = call.params["parent"].rpartition("/")[2]
        check_place(body, location)
        _check_location(call, location)
        check_usable(call.cloud, call.project, body)
        return
    if not call.body:
        raise invalid("Secret must be provided.")
    replication = body.get("replication") or {}
    if len(replication) != 1:
        raise invalid("Secret.replication must be provided.")
    if "automatic" in replication:
        check_place(replication["automatic"], "global")
        _check_location(call, "global")
        check_usable(call.cloud, call.project, body)
        return
    replicas = replication["userManaged"].get("replicas") or []
    locations = [replica.get("location") or "" for replica in replicas]
    if not replicas or len(set(locations)) < len(locations):
        raise invalid(
            "Secret.replication.user_managed.replicas must name at least one location, each of them once."
        )
    for replica, location in zip(replicas, locations, strict=True):
        check_place(replica, location)
        _check_location(call, location)
    check_usable(call.cloud, call.project, body)


def _check_location(call: Call, location: str) -> None:
    if location != "global" and location not in ZONES:
        raise invalid(f"Location [{location}] is not a location of Secret Manager.")
    allowed = call.cloud.policies.locations
    if allowed and location not in allowed:
        project = call.cloud.by_number(f"projects/{call.project}")
        raise ApiError(
            400,
            f"Constraint constraints/gcp.resourceLocations violated for [orgpolicy:{project}] attempting to create a "
            f"secret in [{location}]. For more information, see "
            "https://cloud.google.com/resource-manager/docs/organization-policy/defining-locations.",
            status="FAILED_PRECONDITION",
            details=[info("LOCATION_POLICY_VIOLATED", "secretmanager.googleapis.com", location=location)],
        )


def _check_labels(body: Mapping[str, Json]) -> None:
    labels = body.get("labels") or {}
    if len(labels) > 64:
        raise invalid("Secret.labels: no more than 64 labels can be assigned to a secret.")
    for key, value in labels.items():
        if not _is_label(key, 1) or not key[0].isalpha() or not _is_label(value, 0):
            raise invalid(f"The label [{key}: {value}] is not valid.", ("secret.labels", "is not valid"))


def _is_label(text: str, least: int) -> bool:
    fits = least <= len(text) <= 63 and len(text.encode()) <= 128
    return fits and all(
        character in "_-" or (character.isalnum() and not character.isupper()) for character in text
    )


def _check_annotations(annotations: Mapping[str, str]) -> None:
    for key in annotations:
        if not _ANNOTATION.fullmatch(key):
            raise invalid(f"The annotation key [{key}] is not valid.", ("secret.annotations", "is not valid"))
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) >= 16 * 1024:
        raise invalid("The total size of annotation keys and values must be less than 16KiB.")


def _check_aliases(call: Call, body: Mapping[str, Json], before: StoredResource | None) -> None:
    aliases = body.get("versionAliases") or {}
    if len(aliases) > 50:
        raise invalid("Secret.version_aliases: no more than 50 aliases can be assigned to a secret.")
    for alias, number in aliases.items():
        if not _ALIAS.fullmatch(alias):
            raise invalid(
                f"The version alias [{alias}] is not valid.", ("secret.version_aliases", "is not valid")
            )
        name = before.name if before else f"{call.name}/{call.query.get('secretId')}"
        if call.cloud.store.get(call.api, f"{name}/versions/{number}") is None:
            raise not_found(f"Secret Version [{call.cloud.by_number(name)}/versions/{number}] not found.")


def _set_expiry(call: Call, body: JsonObject) -> None:
    ttl, clock = body.pop("ttl", None), call.cloud.clock
    if ttl is not None:
        if "expireTime" in call.body:
            raise invalid("Only one of Secret.expire_time and Secret.ttl can be set.")
        body["expireTime"] = clock.text(clock.now() + float(ttl.removesuffix("s")))
    if not body.get("expireTime"):
        return
    try:
        due = moment(body["expireTime"])
    except ValueError as error:
        raise invalid(f"Secret.expire_time is no moment: {body['expireTime']}") from error
    if due <= clock.now():
        raise invalid("Secret.expire_time must be in the future.")
    body["expireTime"] = clock.text(due)


def _schedule_expiry(call: Call, secret: StoredResource) -> None:
    versions.stamp(call.cloud, secret)
    due, cloud = secret.body.get("expireTime"), call.cloud

    def expire() -> None:
        if cloud.store.get(secret.api, secret.name) is secret and secret.body.get("expireTime") == due:
            cloud.forget(secret)

    if due:
        cloud.clock.after(moment(due) - cloud.clock.now(), expire)


def _patch(call: Call) -> Json:
    if call.mask is None:
        raise invalid("Field [update_mask] is required.", ("update_mask", "is required"))
    for path in call.mask:
        field = path.partition(".")[0]
        if field not in _MUTABLE and field not in _NOT_ACTED:
            raise invalid(f"The field [{path}] in the update mask cannot be changed.", ("update_mask", path))
    return generic.patch(call)


def _list(call: Call) -> Json:
    return versions.newest_first(call, "secrets")


def _locations(call: Call) -> Json:
    return generic.page(call, "locations", [_location(call, name) for name in sorted(ZONES)])


def _one_location(call: Call) -> Json:
    name = call.name.rpartition("/")[2]
    if name not in ZONES:
        raise not_found(f"Location [{call.name}] not found.")
    return _location(call, name)


def _location(call: Call, name: str) -> JsonObject:
    return {"name": f"projects/{call.project}/locations/{name}", "locationId": name}


def _at_its_host(handler: Handler, *, regional: bool) -> Handler:
    """
    Return a handler that answers for a regional secret at its region's host alone, for a global one at the
    global host.
    """

    def act(call: Call) -> Json:
        host = call.request.host.partition(":")[0].split(".")
        region = host[1] if host[2:3] == ["rep"] else ""
        expected = call.name.split("/")[3] if regional else ""
        if region != expected:
            place = "projects/*/locations/*" if region else "projects/*"
            raise invalid(
                f"The provided Secret ID [{call.name}] does not match the expected format [{place}/secrets/*]"
            )
        return handler(call)

    return act


_ANSWERED: Mapping[str, Handler] = {
    "create": generic.create,
    "delete": generic.delete,
    "get": generic.get,
    "list": _list,
    "patch": _patch,
    "getIamPolicy": generic.get_policy,
    "setIamPolicy": generic.set_policy,
    "testIamPermissions": generic.test_permissions,
    "addVersion": versions.add,
    "versions.access": versions.access,
    "versions.destroy": versions.changing(versions.destroy),
    "versions.disable": versions.changing(versions.disable),
    "versions.enable": versions.changing(versions.enable),
    "versions.get": versions.get,
    "versions.list": versions.list_,
}
_SECRET = Kind(prepare=_prepare, made=_schedule_expiry, show=versions.show)
KINDS: Mapping[str, Kind] = {_GLOBAL: _SECRET, _REGIONAL: _SECRET}
HANDLERS: Mapping[str, Handler] = {
    "secretmanager.projects.locations.get": _one_location,
    "secretmanager.projects.locations.list": _locations,
    **{f"{_GLOBAL}.{action}": _at_its_host(handler, regional=False) for action, handler in _ANSWERED.items()},
    **{
        f"{_REGIONAL}.{action}": _at_its_host(handler, regional=True) for action, handler in _ANSWERED.items()
    },
}
