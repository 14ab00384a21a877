"""Cloud Run services: deploying them, sending traffic to their revisions, and taking them away."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any
from zlib import crc32

from gcp_rehearsal import generic
from gcp_rehearsal.apis.iap.standing import note_change
from gcp_rehearsal.apis.run import addresses as run_addresses
from gcp_rehearsal.apis.run import revisions
from gcp_rehearsal.apis.run.checks import check_name, check_service
from gcp_rehearsal.apis.run.defaults import LATEST, fill_service
from gcp_rehearsal.apis.run.status import (
    BAD,
    BUSY,
    GOOD,
    at_once,
    check_etag,
    condition,
    created,
    ended,
    number_of,
    operation,
    put_conditions,
    segments,
    stamp,
)
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.errors import ApiError, aborted, exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.runtime.container_state import Failure
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call, Cloud

COLLECTION = "run.projects.locations.services"
_ROUTED_AFTER = 3.0
_DELETED_AFTER = 8.0
_SHORT = {"asia-east1": "de", "asia-northeast1": "an", "asia-south1": "el", "asia-southeast1": "as",
          "europe-west1": "ew", "europe-west2": "nw", "europe-west3": "ey", "europe-west4": "ez", "us-central1": "uc",
          "us-east1": "ue", "us-east4": "uk", "us-west1": "uw"}  # fmt: skip
_WRITTEN = ("annotations", "labels", "description", "ingress", "launchStage", "template", "traffic", "scaling",
            "customAudiences", "defaultUriDisabled", "invokerIamDisabled", "iapEnabled", "client", "clientVersion",
            "sshEnabled", "functionalType", "binaryAuthorization")  # fmt: skip


def put(
    call: Call, name: str, body: dict[str, Any], *, dry: bool = False, force: bool = False
) -> StoredResource:  # Any: JSON
    """
    Make a service, or change an existing one to what `body` says; return the operation that does it.

    A new revision comes of a template that changed, or of `force`. Another change may begin before the last one has
    ended: the newest decides. Raises `ApiError` for a service that Cloud Run would not take.
    """
    cloud, service = call.cloud, call.cloud.store.get("run", name)
    if service is not None and "deleteTime" in service.body:
        raise aborted(f"Resource '{service.id}' is being deleted.")
    check_name(name, "service_id")
    check_service(call, name, body)
    body = deepcopy(_written(body))
    fill_service(cloud, name, body)
    renewed = _is_renewed(cloud, name, service, body["template"]) or force
    if service is None:
        service = StoredResource(api="run", name=name, collection=COLLECTION, project=call.project, body=body)
        if dry:
            created(call, service)
            return _tried(call, service)
        service = cloud.keep(call, name, COLLECTION, body)
        created(call, service)
        note_change(cloud, service, False)
    elif dry:
        tried = StoredResource(
            api="run", name=name, collection=COLLECTION, project=call.project, body={**service.body, **body}
        )
        return _tried(call, tried)
    elif not renewed and _written(service.body) == _written(body):
        return _tried(call, service)
    else:
        had_iap = bool(service.body.get("iapEnabled"))
        service.body = {**_outputs(service.body), **body}
        note_change(cloud, service, had_iap)
        service.body["generation"] = str(int(service.body["generation"]) + 1)
        service.body["updateTime"] = cloud.clock.text()
    service.body["lastModifier"] = call.caller.email
    run_addresses.hold(cloud, service)
    return _deploy(call, service, renewed=renewed)


def remove(call: Call, kept: StoredResource) -> StoredResource:
    """Begin to delete a service with its revisions; return the operation that does it."""
    cloud = call.cloud
    kept.body |= {"deleteTime": cloud.clock.text(), "expireTime": cloud.clock.text(cloud.clock.now() + 30 * 86400),
                  "reconciling": True, "terminalCondition": condition(cloud, "Ready", BUSY)}  # fmt: skip
    put_conditions(kept, [condition(cloud, kind, BUSY) for kind in ("RoutesReady", "ConfigurationsReady")])
    stamp(cloud, kept)
    op = operation(call, kept, "Service")

    def gone() -> None:
        if cloud.store.get("run", kept.name) is kept:
            run_addresses.keep(cloud, kept)
            for revision in revisions.of_service(cloud, kept):
                revisions.retire(cloud, revision)
            cloud.forget(kept)
        ended(op, kept.body, "Service")

    cloud.clock.after(cloud.takes(_DELETED_AFTER), gone)
    cloud.clock.settle()
    return op


def newest(cloud: Cloud, service: StoredResource) -> StoredResource | None:
    """Return the revision that was made last, whether it came up or not."""
    return cloud.store.get("run", service.body.get("latestCreatedRevision", ""))


def tag_uri(service: StoredResource, tag: str) -> str:
    """Return the address of a tagged revision."""
    return str(service.body["uri"]).replace("https://", f"https://{tag}---", 1)


def _create(call: Call) -> Json:
    name = f"{call.name}/{call.query.get('serviceId') or ''}"
    if call.cloud.store.get("run", name) is not None:
        raise exists(f"Resource '{call.query.get('serviceId')}' already exists.")
    return put(call, name, generic.writable(call), dry=call.validate_only).body


def _patch(call: Call) -> Json:
    service = call.cloud.store.get("run", call.name)
    force = bool(call.query.get("forceNewRevision"))
    if service is None:
        if not call.query.get("allowMissing"):
            raise not_found(generic.missing(call, call.name))
        return put(call, call.name, generic.writable(call), dry=call.validate_only).body
    check_etag(service, call.body.get("etag"))
    body = generic.patched(call, service, generic.writable(call), whole=True)
    return put(call, service.name, body, dry=call.validate_only, force=force).body


def _delete(call: Call) -> Json:
    service = generic.existing(call)
    check_etag(service, call.query.get("etag"))
    if call.validate_only:
        return at_once(call, service, "Service")
    return remove(call, service).body


def _refused(call: Call) -> Json:
    raise unimplemented(call.method.id)


def _written(body: Mapping[str, Json]) -> JsonObject:
    return {key: body[key] for key in _WRITTEN if key in body}


def _outputs(body: Mapping[str, Json]) -> JsonObject:
    return {key: value for key, value in body.items() if key not in _WRITTEN}


def _tried(call: Call, service: StoredResource) -> StoredResource:
    op = operation(call, service, "Service")
    ended(op, service.body, "Service")
    return op


def _is_renewed(
    cloud: Cloud, name: str, service: StoredResource | None, template: Mapping[str, Json]
) -> bool:
    """Return True if a template makes a new revision. Raises `ApiError` 409 where its name is one of another revision."""
    short = template.get("revision")
    existing = cloud.store.get("run", f"{name}/revisions/{short}") if short else None
    if existing is not None:
        if not revisions.same_template(existing.hidden["template"], template):
            raise exists(f"Revision named '{short}' with different configuration already exists.")
        return False
    if service is None or short:
        return True
    return not revisions.same_template(service.body["template"], template)


def _deploy(call: Call, service: StoredResource, *, renewed: bool) -> StoredResource:
    cloud, generation = call.cloud, service.body["generation"]
    revision = revisions.make(call, service) if renewed else None
    if revision is not None:
        service.body["latestCreatedRevision"] = revision.name
    service.body["reconciling"] = True
    service.body["terminalCondition"] = condition(cloud, "Ready", BUSY)
    routes = condition(cloud, "RoutesReady", BUSY)
    put_conditions(service, [routes, condition(cloud, "ConfigurationsReady", BUSY if revision else GOOD)])
    stamp(cloud, service)
    op = operation(call, service, "Service")

    def settle(failure: Failure | None) -> None:
        if cloud.store.get("run", service.name) is not service:
            ended(op, aborted(f"Resource '{service.id}' was deleted."), "Service")
            return
        settled = _settled(cloud, service, generation, revision, failure)
        ended(op, settled or service.body, "Service")

    if revision is not None:
        revisions.start(cloud, revision, settle)
    else:
        last = newest(cloud, service)
        cloud.clock.after(
            cloud.takes(_ROUTED_AFTER), lambda: settle(last.hidden.get("failure") if last else None)
        )
    cloud.clock.settle()
    return op


def _settled(
    cloud: Cloud,
    service: StoredResource,
    generation: str,
    revision: StoredResource | None,
    failure: Failure | None,
) -> ApiError | None:
    """Return how a change has come out; what an older change brings counts, but does not end a newer one."""
    body, last = service.body, revision or newest(cloud, service)
    ready = next(
        (candidate for candidate in revisions.of_service(cloud, service) if revisions.is_ready(candidate)),
        None,
    )
    if ready is not None:
        body["latestReadyRevision"] = ready.name
    error = None
    if failure is not None and last is not None:
        text = f"Revision '{last.id}' is not ready and cannot serve traffic. {failure.message}"
        error = Failure(
            message=text,
            reason=failure.reason or ("" if failure.revision_reason else "REVISION_FAILED"),
            revision_reason=failure.revision_reason,
        )
    if body["generation"] == generation:
        body.pop("reconciling", None)
        service.hidden["seen"] = generation
        state = BAD if error else GOOD
        body["terminalCondition"] = condition(cloud, "Ready", state, error)
        routes = condition(
            cloud, "RoutesReady", GOOD if ready or not error else BAD, None if ready else error
        )
        put_conditions(service, [routes, condition(cloud, "ConfigurationsReady", state, error)])
        if error is None:
            body["observedGeneration"] = generation
    if ready is not None:
        _route(cloud, service)
    stamp(cloud, service)
    return precondition(error.message) if error else None


def _route(cloud: Cloud, service: StoredResource) -> None:
    """Send traffic where the service says, as far as the revisions are ready; let the others go."""
    body = service.body
    project, region, short = segments(service.name)
    if body.get("defaultUriDisabled"):
        body.pop("uri", None)
        body.pop("urls", None)
    else:
        place = f"{_hash(f'{project}/{region}')}-{_SHORT.get(region, region[:2])}"
        body["uri"] = f"https://{short}-{place}.a.run.app"
        body["urls"] = [f"https://{short}-{number_of(cloud, project)}.{region}.run.app", body["uri"]]
    statuses = []
    for target in body["traffic"]:
        status = {key: target[key] for key in ("type", "revision", "percent", "tag") if target.get(key)}
        if status["type"] != LATEST and not _can_serve(cloud, service, status["revision"]):
            continue
        if status.get("tag") and "uri" in body:
            status["uri"] = tag_uri(service, status["tag"])
        statuses.append(status)
    body["trafficStatuses"] = statuses
    needed = revisions.serving(service)
    for revision in revisions.of_service(cloud, service):
        revision.hidden["active"] = revision.id in needed
        if revision.id not in needed and revisions.is_ready(revision):
            revisions.retire(cloud, revision)


def _can_serve(cloud: Cloud, service: StoredResource, revision: str) -> bool:
    stored = cloud.store.get("run", f"{service.name}/revisions/{revision.rpartition('/')[2]}")
    return stored is not None and revisions.is_ready(stored)


def _hash(text: str) -> str:
    digits, number = "abcdefghijklmnopqrstuvwxyz234567", crc32(text.encode()) * 7919 + 2**50
    return "".join(digits[number >> 5 * place & 31] for place in range(10))


def _list(call: Call) -> Json:
    """Return the services of one region: v2 has no list of all regions' together."""
    region = call.name.split("/")[3]
    if region not in ZONES:
        raise invalid(
            f"Location {region} is not a region.",
            ("parent", 'a Google Cloud region, and not the "-" wildcard'),
        )
    return generic.list_(call)


_ELSEWHERE = (
    *(f"run.projects.locations.workerPools.{verb}" for verb in ("create", "patch")),
    *(f"run.projects.locations.instances.{verb}" for verb in ("create", "patch", "start", "stop")),
    "run.projects.locations.builds.submit",
)

KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.patch": _patch,
    f"{COLLECTION}.delete": _delete,
    f"run.v2:{COLLECTION}.list": _list,
    **dict.fromkeys(_ELSEWHERE, _refused),
}
