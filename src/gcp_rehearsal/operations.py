"""Long-running operations of the three kinds that Google has: AIP, Compute's and DNS's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

COLLECTION = "operations"
_PACKAGES = {
    "artifactregistry": "google.devtools.artifactregistry", "certificatemanager": "google.cloud.certificatemanager",
    "cloudbuild": "google.devtools.cloudbuild", "networksecurity": "google.cloud.networksecurity",
    "networkservices": "google.cloud.networkservices", "networkconnectivity": "google.cloud.networkconnectivity.v1",
}  # fmt: skip
"""Of the types by which typed clients read what an operation holds."""
_AT_THE_ROOT = frozenset(("apikeys",))
"""APIs whose operations are of no place, though their things are."""
Finish = Callable[[], JsonObject | ApiError]
"""Ends the work of an operation: what came of it, or why it failed."""


def begin(
    call: Call, target: str, seconds: float, finish: Finish, metadata: JsonObject | None = None
) -> JsonObject:
    """Return an operation of the API's own kind that will be done in so many seconds, as the call is answered."""
    if call.api == "compute":
        return _begin_compute(call, target, seconds, finish)
    return _begin_aip(call, target, seconds, finish, metadata)


def pending(call: Call, target: str, metadata: JsonObject) -> StoredResource:
    """Return an AIP operation without an end, until `conclude` gives it one."""
    place = "" if call.api in _AT_THE_ROOT else _location_of(target)
    operation = call.cloud.keep(
        call, f"{place}{COLLECTION}/{call.cloud.uuid()}", COLLECTION, {"metadata": metadata}
    )
    operation.body["name"] = operation.name
    return operation


def conclude(kept: StoredResource, result: JsonObject | ApiError) -> None:
    """End an operation: what came of it, or why it failed."""
    kept.body["done"] = True
    if isinstance(result, ApiError):
        kept.body["error"] = result.as_status()
    else:
        kept.body["response"] = result


def is_done(kept: StoredResource) -> bool:
    """Return True if an operation, of whatever kind, is done."""
    return kept.body.get("done") is True or kept.body.get("status") in {"DONE", "done"}


def _begin_aip(
    call: Call, target: str, seconds: float, finish: Finish, metadata: JsonObject | None
) -> JsonObject:
    operation = pending(call, target, _typed(call, {}, "OperationMetadata") if metadata is None else metadata)

    def end() -> None:
        result = finish()
        schema = "" if call.method.action == "delete" else call.method.request or ""
        conclude(operation, result if isinstance(result, ApiError) else _typed(call, result, schema))

    call.cloud.clock.after(seconds, end)
    if seconds <= 0:
        call.cloud.clock.settle()
    return operation.body


def _begin_compute(call: Call, target: str, seconds: float, finish: Finish) -> JsonObject:
    cloud, clock = call.cloud, call.cloud.clock
    segments = target.split("/")
    scope = segments[2] if segments[2] == "global" else "/".join(segments[2:4])
    base = "https://www.googleapis.com/compute/v1"
    name = f"operation-{int(clock.now() * 1000)}-{uuid.uuid4()}"
    body: JsonObject = {
        "kind": "compute#operation",
        "id": cloud.number(),
        "name": name,
        "operationType": call.method.action,
        "targetLink": f"{base}/{target}",
        "targetId": cloud.number(),
        "status": "RUNNING",
        "user": call.caller.email,
        "progress": 0,
        "insertTime": clock.text(),
        "startTime": clock.text(),
    }
    if scope != "global":
        body[scope.split("/")[0].removesuffix("s")] = f"{base}/{'/'.join(segments[:2])}/{scope}"
    operation = cloud.keep(call, f"{'/'.join(segments[:2])}/{scope}/{COLLECTION}/{name}", COLLECTION, body)
    body["selfLink"] = f"{base}/{operation.name}"

    def end() -> None:
        result = finish()
        body.update(status="DONE", progress=100, endTime=clock.text())
        if isinstance(result, ApiError):
            body["error"] = {"errors": [{"code": result.reason, "message": result.message}]}
            body.update(httpErrorStatusCode=result.code, httpErrorMessage=result.status)

    clock.after(seconds, end)
    if seconds <= 0:
        clock.settle()
    return body


def _location_of(target: str) -> str:
    segments = target.split("/")
    if segments[:1] == ["projects"] and segments[2:3] == ["locations"]:
        return "/".join(segments[:4]) + "/"
    return ""


def _typed(call: Call, body: JsonObject, schema: str) -> JsonObject:
    """Return `body` as it lies in an Any, where the type is known; no schema is `google.protobuf.Empty`."""
    api, _, version = call.document.name.partition(".")
    if "@type" in body or api not in _PACKAGES:
        return body
    name = f"{_PACKAGES[api]}.{version}.{schema}" if schema else "google.protobuf.Empty"
    return {"@type": f"type.googleapis.com/{name}", **body}
