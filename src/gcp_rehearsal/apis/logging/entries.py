"""Cloud Logging: entries are written, by anybody who may and by the rehearsed services, and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal import generic
from gcp_rehearsal.apis.logging.filter import parse
from gcp_rehearsal.clock import moment
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, info, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

Body = Mapping[str, Json]

_LOGS = "logging.projects.logs"
_NAME = re.compile(r"projects/([^/]+)/logs/([A-Za-z0-9_.%-]+)")
_PLACE = re.compile(r"projects/([^/]+)(?:/locations/[^/]+/buckets/([^/]+)/views/([^/]+))?")
_VIEWS = (("_Default", "_AllLogs"), ("_Default", "_Default"))
_PAYLOADS = ("textPayload", "jsonPayload", "protoPayload")
_ORDERS = ("", "timestamp asc", "timestamp desc")
_PAGE, _LARGEST_PAGE = 50, 1000


def write_log(
    cloud: Cloud, project: str, log: str, resource: Body, line: str, *, also: Body | None = None
) -> None:
    """
    Write one line to a project's log, such as `cloudbuild` or `run.googleapis.com/stderr`, as of now.

    `also` is what the entry has besides, such as its severity and labels.
    """
    entry = {"textPayload": line, "resource": resource, **(also or {})}
    _keep(cloud, project, f"projects/{project}/logs/{log.replace('/', '%2F')}", entry)


def _write(call: Call) -> Json:
    entries = call.body.get("entries") or []
    if not entries:
        raise invalid("The request must contain at least one log entry.", ("entries", "is required"))
    ready = [_completed(call, number, entry) for number, entry in enumerate(entries)]
    for project in dict.fromkeys(project for project, _ in ready):
        _demand(call, project, "logging.logEntries.create")
    if not call.body.get("dryRun"):
        for project, entry in ready:
            _keep(call.cloud, project, entry["logName"], entry)
    return {}


def _completed(call: Call, number: int, sent: Mapping[str, Json]) -> tuple[str, JsonObject]:
    """Return an entry with what it does not say itself, and the project that it is for."""
    common = {key: call.body[key] for key in ("logName", "resource") if call.body.get(key)}
    entry = {**common, **sent}
    labels = {**(call.body.get("labels") or {}), **(sent.get("labels") or {})}
    if labels:
        entry["labels"] = labels
    name = call.cloud.by_id(entry.get("logName") or "")
    match = _NAME.fullmatch(name)
    if match is None:
        if name.startswith(("billingAccounts/", "folders/", "organizations/")):
            raise unimplemented("logs of anything but projects")
        raise invalid(f"Log name is invalid: '{name}'", (f"entries[{number}].log_name", "is invalid"))
    if not (entry.get("resource") or {}).get("type"):
        raise invalid("Resource type is required.", (f"entries[{number}].resource", "is required"))
    if len([key for key in _PAYLOADS if key in entry]) > 1:
        raise invalid("A log entry can have one payload.", (f"entries[{number}].payload", "is set twice"))
    entry["logName"] = name
    return match[1], entry


def _keep(cloud: Cloud, project: str, name: str, entry: JsonObject) -> None:
    now = cloud.clock.text()
    log = cloud.store.get("logging", name) or cloud.store.put(
        StoredResource(
            api="logging",
            name=name,
            collection=_LOGS,
            project=project,
            body={"name": name},
            created=cloud.clock.now(),
        )
    )
    count = log.hidden["count"] = log.hidden.get("count", 0) + 1
    resource = {"labels": {}, **entry["resource"]}
    resource["labels"] = {"project_id": project, **resource["labels"]}
    body = {"insertId": f"{count:012x}", "timestamp": now, **entry, "resource": resource}
    body |= {"logName": name, "receiveTimestamp": now}
    if body.get("severity") == "DEFAULT":
        del body["severity"]
    identity = (body["timestamp"], body["insertId"])
    known: dict[tuple[str, str], JsonObject] = log.hidden.setdefault("entries", {})
    # An entry that comes again, as those do that a client sends once more, is kept once.
    known.setdefault(identity, body)


def _list(call: Call) -> Json:
    names = [
        *(call.body.get("resourceNames") or ()),
        *(f"projects/{project}" for project in call.body.get("projectIds") or ()),
    ]
    if not names:
        raise invalid("At least one resource name is required.", ("resource_names", "is required"))
    projects = dict.fromkeys(_project(call, name) for name in names)
    for project in projects:
        _demand(call, project, "logging.logEntries.list")
    order = call.body.get("orderBy") or ""
    if order not in _ORDERS:
        raise invalid(f"Invalid order_by: '{order}'. It must be 'timestamp asc' or 'timestamp desc'.")
    passes = parse(call.cloud.by_id(call.body.get("filter") or ""))
    entries = [
        entry
        for log in call.cloud.store.of("logging", _LOGS)
        if log.project in projects
        for entry in log.hidden["entries"].values()
        if passes(entry)
    ]
    entries.sort(key=lambda entry: entry["insertId"])
    entries.sort(key=lambda entry: moment(entry["timestamp"]), reverse=order.endswith(" desc"))
    return _page(call, entries)


def _page(call: Call, entries: list[JsonObject]) -> JsonObject:
    size = int(call.body.get("pageSize") or _PAGE)
    if size < 0:
        raise invalid(f"Invalid page size: {size}", ("page_size", "is negative"))
    token = call.body.get("pageToken") or "0"
    if not token.isdigit():
        raise invalid("page_token doesn't match arguments from the request.")
    begin, end = int(token), int(token) + min(size, _LARGEST_PAGE)
    page: JsonObject = {"entries": entries[begin:end]} if entries[begin:end] else {}
    return {**page, "nextPageToken": str(end)} if end < len(entries) else page


def _project(call: Call, name: str) -> str:
    match = _PLACE.fullmatch(call.cloud.by_id(name))
    if match is None:
        if name.startswith(("billingAccounts/", "folders/", "organizations/")):
            raise unimplemented("logs of anything but projects")
        raise invalid(f"Invalid resource name: '{name}'", ("resource_names", "is invalid"))
    if match[2] and (match[2], match[3]) not in _VIEWS:
        raise unimplemented(f"the view {match[3]} of the bucket {match[2]}")
    return match[1]


def _demand(call: Call, project: str, permission: str) -> None:
    """Raise `ApiError` where the caller lacks a permission. The path names no project, so that the cloud cannot ask for it."""
    place = f"projects/{project}"
    known = call.cloud.project(project)
    if known is None or not call.cloud.access.held(call.caller, [permission], "logging", place, known.id):
        raise ApiError(
            403,
            f"Permission '{permission}' denied on resource (or it may not exist).",
            details=[
                info("IAM_PERMISSION_DENIED", "logging.googleapis.com", permission=permission, resource=place)
            ],
        )


def _names(call: Call) -> Json:
    logs = call.cloud.store.under("logging", call.name)
    return generic.page(call, "logNames", sorted(log.name for log in logs))


def _delete(call: Call) -> Json:
    log = call.cloud.store.get("logging", call.name)
    if log is None:
        raise not_found(f"Log {call.name} does not exist")
    call.cloud.forget(log)
    return {}


def _bucket(call: Call) -> Json:
    place, _, name = call.name.rpartition("/buckets/")
    if place.endswith("/locations/global") and name in _EVERY_PROJECT:
        return _shown_bucket(call, name)
    return generic.get(call)


def _buckets(call: Call) -> Json:
    own = (
        []
        if call.name.split("/")[3] not in {"global", "-"}
        else [_shown_bucket(call, name) for name in _EVERY_PROJECT]
    )
    created = [bucket.body for bucket in call.cloud.store.under("logging", call.name)]
    return generic.page(call, "buckets", [*own, *created])


def _shown_bucket(call: Call, name: str) -> JsonObject:
    days, locked = _EVERY_PROJECT[name]
    body: JsonObject = {
        "name": f"projects/{call.project}/locations/global/buckets/{name}", "retentionDays": days,
        "lifecycleState": "ACTIVE", "description": "Default bucket" if not locked else "Audit bucket",
    }  # fmt: skip
    return {**body, "locked": True} if locked else body


_EVERY_PROJECT = {"_Default": (30, False), "_Required": (400, True)}
"""The log buckets that every project has: for how many days they keep, and whether that can be changed."""
KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "logging.entries.list": _list,
    "logging.projects.locations.buckets.get": _bucket,
    "logging.projects.locations.buckets.list": _buckets,
    "logging.entries.write": _write,
    "logging.logs.list": _names,
    f"{_LOGS}.delete": _delete,
    f"{_LOGS}.list": _names,
}
