"""Knative's view of what became of things: metadata, conditions, labels to select by, errors in its own paths."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run.status import BAD, GOOD, conflict, number_of, segments
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call, Cloud

Body = Mapping[str, Json]
Made = JsonObject

_STATES = {GOOD: "True", BAD: "False"}
_TERM = re.compile(
    r"\s*(?P<key>[\w./-]+)\s*(?:(?P<op>!=|==?)\s*(?P<value>[\w./-]*)|in\s*\((?P<many>[^)]*)\))?\s*(?:,|$)"
)
_PATHS = (
    ("template.template.", "spec.template.spec.template.spec."),
    (
        "template.scaling.max_instance_count",
        "spec.template.metadata.annotations[autoscaling.knative.dev/maxScale]",
    ),
    (
        "template.scaling.min_instance_count",
        "spec.template.metadata.annotations[autoscaling.knative.dev/minScale]",
    ),
    ("template.vpc_access", "spec.template.metadata.annotations[run.googleapis.com/network-interfaces]"),
    ("template.max_instance_request_concurrency", "spec.template.spec.container_concurrency"),
    ("template.service_account", "spec.template.spec.service_account_name"),
    ("template.timeout", "spec.template.spec.timeout_seconds"),
    ("template.revision", "spec.template.metadata.name"),
    ("template.labels", "spec.template.metadata.labels"),
    ("template.annotations", "spec.template.metadata.annotations"),
    ("template.task_count", "spec.template.spec.task_count"),
    ("template.parallelism", "spec.template.spec.parallelism"),
    ("template.", "spec.template.spec."),
    ("traffic", "spec.traffic"),
    ("service_id", "metadata.name"),
    ("job_id", "metadata.name"),
    ("labels", "metadata.labels"),
    ("annotations", "metadata.annotations"),
    ("launch_stage", "metadata.annotations[run.googleapis.com/launch-stage]"),
    ("scaling", "metadata.annotations[run.googleapis.com/minScale]"),
)


def metadata(cloud: Cloud, kept: StoredResource, group: str, plural: str) -> Made:
    """Return what Google writes into the metadata of anything."""
    project, region, short = segments(kept.name)
    number = number_of(cloud, project)
    fields: Made = {
        "name": short,
        "namespace": number,
        "selfLink": f"/apis/{group}/v1/namespaces/{number}/{plural}/{short}",
        "uid": kept.body["uid"],
        "resourceVersion": version(kept),
        "generation": int(kept.body["generation"]),
        "creationTimestamp": kept.body["createTime"],
        "labels": {"cloud.googleapis.com/location": region},
    }
    if "deleteTime" in kept.body:
        fields["deletionTimestamp"] = kept.body["deleteTime"]
    return fields


def version(kept: StoredResource) -> str:
    """Return the version of a thing, as Knative shows it."""
    return base64.b64encode(int(kept.hidden["version"]).to_bytes(8, "big")).decode().rstrip("=")


def check_version(kept: StoredResource, given: str | None) -> None:
    """Raise `ApiError` 409 where the caller has read another version of a thing than there is."""
    if given and given != version(kept):
        try:
            number = str(int.from_bytes(base64.b64decode(given + "=" * (-len(given) % 4)), "big"))
        except ValueError:
            number = given
        raise conflict(kept, number)


def conditions(found: list[Body], *, first: Body | None = None) -> list[Made]:
    """Return the conditions of v2 as Knative has them."""
    return [_condition(condition) for condition in ([first] if first else []) + list(found)]


def regions_of(call: Call) -> str:
    """Return the region that a request is about, by its host or path; `-` for all of them."""
    if call.name.startswith("projects/"):
        return call.name.split("/")[3]
    host = call.request.host.partition(":")[0]
    return next((region for region in ZONES if host.startswith((f"{region}-run.", f"run.{region}."))), "-")


def selected(text: str, labels: Mapping[str, str]) -> bool:
    """Return True if a thing has the labels that a selector asks for. Raises `ApiError` 400 for one that cannot be read."""
    position = 0
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None:
            raise invalid(f"Invalid label selector: {text}")
        have, position = labels.get(term["key"]), term.end()
        if term["many"] is not None:
            holds = have in {value.strip() for value in term["many"].split(",")}
        elif term["op"]:
            holds = (have == term["value"]) is (term["op"] != "!=")
        else:
            holds = have is not None
        if not holds:
            return False
    return True


def translated(handler: Callable[[Call], Json]) -> Callable[[Call], Json]:
    """Return the handler, with the paths of its errors being Knative's."""

    def handle(call: Call) -> Json:
        try:
            return handler(call)
        except ApiError as error:
            raise _in_v1(error) from error

    return handle


def _condition(condition: Body) -> Made:
    converted: Made = {
        "type": condition["type"],
        "status": _STATES.get(condition["state"], "Unknown"),
        "lastTransitionTime": condition["lastTransitionTime"],
    }
    reason = condition.get("revisionReason") or condition.get("executionReason") or condition.get("reason")
    if reason:
        converted["reason"] = "".join(word.title() for word in reason.split("_"))
    if "message" in condition:
        converted["message"] = condition["message"]
    return converted


def _in_v1(error: ApiError) -> ApiError:
    fields = [
        (_path(violation["field"]), violation["description"])
        for detail in error.details
        for violation in detail.get("fieldViolations", ())
    ]
    if not fields:
        return error
    return invalid("\n".join(f"{path}: {why}" for path, why in fields), *fields)


def _path(path: str) -> str:
    if path.startswith(("metadata.", "spec.")):
        return path
    return next((new + path[len(old) :] for old, new in _PATHS if path.startswith(old)), path)
