"""Revisions of Cloud Run services: how they are made, come up or fail, and go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING
from urllib.parse import quote

from gcp_rehearsal import generic
from gcp_rehearsal.apis.run import log as run_log
from gcp_rehearsal.apis.run import quota as run_quota
from gcp_rehearsal.apis.run import start as run_start
from gcp_rehearsal.apis.run.status import (
    BAD,
    BUSY,
    GOOD,
    at_once,
    check_etag,
    condition,
    created,
    ended,
    operation,
    put_conditions,
    segments,
    stamp,
)
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.errors import precondition
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_state import Failure, Wait, not_listening
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call, Cloud

COLLECTION = run_quota.REVISIONS
IMPORTED_AFTER = 5.0
"""Seconds until an image is there and what a revision needs has been looked at."""
_DELETED_AFTER = 3.0
_OF_THE_TEMPLATE = ("revision", "client", "clientVersion")
_CONDITIONS = ("Ready", "ContainerHealthy", "ContainerReady", "ResourcesAvailable")
_IMAGE = ("CONTAINER_MISSING", "CONTAINER_PERMISSION_DENIED", "CONTAINER_IMAGE_UNAUTHORIZED")


def same_template(one: Mapping[str, Json], other: Mapping[str, Json]) -> bool:
    """Return True if two templates make the same revision, except for its name and who made it."""
    return _plain(one) == _plain(other)


def make(call: Call, service: StoredResource) -> StoredResource:
    """Make a new revision of a service, from its template."""
    count = service.hidden["revisions"] = service.hidden.get("revisions", 0) + 1
    template = service.body["template"]
    short = template.get("revision") or f"{service.id}-{count:05d}-{call.cloud.uuid()[:3]}"
    body = {
        **_plain(template),
        **{key: template[key] for key in ("client", "clientVersion") if key in template},
        "service": service.id,
        "launchStage": service.body["launchStage"],
        "reconciling": True,
        "logUri": _logs(service, short),
        "scalingStatus": {},
    }
    revision = call.cloud.keep(call, f"{service.name}/revisions/{short}", COLLECTION, body)
    revision.hidden |= {"order": count, "template": deepcopy(_plain(template)), "instances": 0}
    created(call, revision)
    put_conditions(revision, [condition(call.cloud, kind, BUSY) for kind in _CONDITIONS])
    return revision


def start(cloud: Cloud, revision: StoredResource, done: Callable[[Failure | None], None]) -> None:
    """Bring a revision up; `done` is told on the clock how it came out."""
    least = revision.body.get("scaling", {}).get("minInstanceCount", 0)
    revision.hidden["instances"] = max(1, least)
    failure = run_start.obstacle(cloud, revision.name, revision.body)
    if failure is None and not run_quota.gpus_are_left(cloud, revision):
        failure = run_quota.EXHAUSTED

    def settle(why: Failure | None) -> None:
        if cloud.store.get("run", revision.name) is revision:
            _settled(cloud, revision, why)
        done(why)

    def imported() -> None:
        if failure is not None or revision.body.get("healthCheckDisabled"):
            settle(failure)
            return
        patience, port = _patience(revision.body)
        logs = revision.body["logUri"]
        Wait(
            ask=lambda waited: cloud.containers.service(revision.body, waited),
            done=settle,
            after=cloud.clock.after,
            takes=cloud.takes,
            deadline=patience,
            late=not_listening(port, logs=logs),
        )()

    cloud.clock.after(cloud.takes(IMPORTED_AFTER), imported)


def retire(cloud: Cloud, revision: StoredResource) -> None:
    """Take a revision's instances away: it serves nothing."""
    if revision.hidden["instances"]:
        revision.hidden["instances"] = 0
        revision.body["scalingStatus"] = {}
    cloud.containers.stop(revision.name)


def of_service(cloud: Cloud, service: StoredResource) -> list[StoredResource]:
    """Return the revisions of a service, the newest first."""
    revisions = cloud.store.under("run", f"{service.name}/revisions")
    return sorted(revisions, key=lambda revision: -int(revision.hidden["order"]))


def is_ready(revision: StoredResource) -> bool:
    """Return True if it can serve."""
    return "failure" not in revision.hidden and not revision.body.get("reconciling")


def remove(call: Call, revision: StoredResource) -> None:
    """Take a revision away. Raises `ApiError` 400 where it serves, or is the newest."""
    service = call.cloud.store.get("run", revision.name.rpartition("/revisions/")[0])
    if service is not None:
        if service.body.get("latestCreatedRevision") == revision.name:
            raise precondition(
                f"Revision '{revision.id}' is the latest created revision and cannot be directly deleted. A newer "
                "revision must be created before this one can be deleted."
            )
        if revision.id in serving(service):
            raise precondition(f"Revision '{revision.id}' cannot be deleted because it is serving traffic.")
    retire(call.cloud, revision)


def serving(service: StoredResource) -> set[str]:
    """Return the names of the revisions that traffic or a tag leads to."""
    ready = service.body.get("latestReadyRevision", "").rpartition("/")[2]
    return {
        status.get("revision", "").rpartition("/")[2] or ready
        for status in service.body.get("trafficStatuses", ())
    }


def _delete(call: Call) -> Json:
    revision = generic.existing(call)
    check_etag(revision, call.query.get("etag"))
    remove(call, revision)
    if call.validate_only:
        return at_once(call, revision, "Revision")
    revision.body |= {"deleteTime": call.cloud.clock.text(), "reconciling": True}
    op = operation(call, revision, "Revision")

    def gone() -> None:
        if call.cloud.store.get("run", revision.name) is revision:
            call.cloud.forget(revision)
        ended(op, revision.body, "Revision")

    call.cloud.clock.after(call.cloud.takes(_DELETED_AFTER), gone)
    call.cloud.clock.settle()
    return op.body


def _list(call: Call) -> Json:
    revisions = sorted(call.cloud.store.under("run", call.name), key=lambda revision: -revision.created)
    revisions.sort(key=lambda revision: (revision.body["service"], -revision.hidden["order"]))
    return generic.page(call, "revisions", [revision.body for revision in revisions])


def _settled(cloud: Cloud, revision: StoredResource, failure: Failure | None) -> None:
    body = revision.body
    body.pop("reconciling", None)
    body["observedGeneration"] = body["generation"]
    body["updateTime"] = cloud.clock.text()
    if failure is None:
        body["containerStatuses"] = [
            {"name": container["name"], "imageDigest": digest}
            if container.get("name")
            else {"imageDigest": digest}
            for container in body["containers"]
            if (digest := run_start.digest_of(cloud, container["image"]))
        ]
        took = cloud.clock.now() - revision.created
        messages = {
            "ContainerHealthy": f"Containers became healthy in {max(0.0, took - IMPORTED_AFTER):.2f}s.",
            "ContainerReady": f"Container image import completed in {min(took, IMPORTED_AFTER):.2f}s.",
            "ResourcesAvailable": f"Deploying revision succeeded in {took:.2f}s.",
        }
        conditions = [
            {**condition(cloud, kind, GOOD), **({"message": messages[kind]} if kind in messages else {})}
            for kind in _CONDITIONS
        ]
        least = body.get("scaling", {}).get("minInstanceCount", 0)
        revision.hidden["instances"] = least
        body["scalingStatus"] = {"desiredMinInstanceCount": least} if least else {}
    else:
        at = _fails_at(failure)
        conditions = [
            condition(cloud, kind, BAD, failure) if kind in {"Ready", at} else
            condition(cloud, kind, GOOD if kind == "ContainerReady" else BUSY)
            for kind in _CONDITIONS
        ]  # fmt: skip
        revision.hidden |= {"instances": 0, "failure": failure}
        cloud.containers.stop(revision.name)
    put_conditions(revision, conditions)
    stamp(cloud, revision)
    run_log.revision_settled(cloud, revision, failure)


def _fails_at(failure: Failure) -> str:
    if failure.reason in _IMAGE:
        return "ContainerReady"
    return (
        "ContainerHealthy"
        if failure.revision_reason == "HEALTH_CHECK_CONTAINER_ERROR"
        else "ResourcesAvailable"
    )


def _patience(body: Mapping[str, Json]) -> tuple[float, int]:
    """Return how long a revision may take to start, by its probe; and the port on which it must listen."""
    container = next(
        (container for container in body["containers"] if container.get("ports")), body["containers"][0]
    )
    probe = container.get("startupProbe", {})
    total = probe.get("initialDelaySeconds", 0) + probe.get("periodSeconds", 240) * probe.get(
        "failureThreshold", 1
    )
    return float(total), int((container.get("ports") or [{}])[0].get("containerPort", 8080))


def _plain(template: Mapping[str, Json]) -> JsonObject:
    return deepcopy({key: value for key, value in template.items() if key not in _OF_THE_TEMPLATE})


def _logs(service: StoredResource, revision: str) -> str:
    project, _, _ = segments(service.name)
    query = (
        f'resource.type="cloud_run_revision"\nresource.labels.service_name="{service.id}"\n'
        f'resource.labels.revision_name="{revision}"'
    )
    return (
        f"https://console.cloud.google.com/logs/viewer?project={project}&resource=cloud_run_revision/service_name/"
        f"{service.id}/revision_name/{revision}&advancedFilter={quote(query, safe='')}"
    )


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {f"{COLLECTION}.delete": _delete, f"{COLLECTION}.list": _list}
