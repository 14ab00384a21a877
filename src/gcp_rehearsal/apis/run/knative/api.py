"""The Knative view of Cloud Run (run.v1), through which gcloud looks: services, revisions, configurations, routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run import revisions, services
from gcp_rehearsal.apis.run.defaults import LATEST
from gcp_rehearsal.apis.run.knative import annotations as notes
from gcp_rehearsal.apis.run.knative import jobs as knative_jobs
from gcp_rehearsal.apis.run.knative.containers import pick
from gcp_rehearsal.apis.run.knative.lists import check_kind, found, is_dry, listed, name_of, success
from gcp_rehearsal.apis.run.knative.services import service_to_v1, service_to_v2, template_to_v1
from gcp_rehearsal.apis.run.knative.status import check_version, conditions, metadata, translated
from gcp_rehearsal.apis.run.status import Wrong
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.errors import exists, invalid, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

Body = Mapping[str, Json]
Made = JsonObject

GROUP = "serving.knative.dev"
_VERSION = f"{GROUP}/v1"


def _show_service(call: Call, service: StoredResource) -> Made:
    own, spec = service_to_v1(service.body)
    status = {
        **_status(service, _all_conditions(service)),
        **_revision_names(service),
        **_address(service),
        "traffic": _traffic(service),
    }
    return {"apiVersion": _VERSION, "kind": "Service", "metadata": _metadata(call, service, "services", own), "spec": spec,
            "status": status}  # fmt: skip


def _show_configuration(call: Call, service: StoredResource) -> Made:
    _, spec = service_to_v1(service.body)
    status = {**_status(service, _as_ready(service, "ConfigurationsReady")), **_revision_names(service)}
    return {"apiVersion": _VERSION, "kind": "Configuration", "metadata": _metadata(call, service, "configurations", {}),
            "spec": pick(spec, "template"), "status": status}  # fmt: skip


def _show_route(call: Call, service: StoredResource) -> Made:
    _, spec = service_to_v1(service.body)
    status = {
        **_status(service, _as_ready(service, "RoutesReady")),
        **_address(service),
        "traffic": _traffic(service),
    }
    return {"apiVersion": _VERSION, "kind": "Route", "metadata": _metadata(call, service, "routes", {}),
            "spec": pick(spec, "traffic"), "status": status}  # fmt: skip


def _show_revision(call: Call, revision: StoredResource) -> Made:
    body = revision.body
    own, spec = template_to_v1(body)
    meta = metadata(call.cloud, revision, GROUP, "revisions")
    meta["labels"] = {
        **own.get("labels", {}),
        **meta["labels"],
        f"{GROUP}/service": body["service"],
        f"{GROUP}/configuration": body["service"],
        f"{GROUP}/configurationGeneration": str(revision.hidden["order"]),
    }
    meta["annotations"] = {**own.get("annotations", {}), f"{GROUP}/creator": body["creator"]}
    listed = conditions(body["conditions"])
    active: Made = {**pick(listed[0], "lastTransitionTime"), "type": "Active", "severity": "Info"}
    active |= (
        {"status": "True"} if revision.hidden.get("active") else {"status": "False", "reason": "Reserve"}
    )
    status: Made = {
        "observedGeneration": int(body["generation"]),
        "conditions": [*listed, active],
        "logUrl": body["logUri"],
    }
    if body.get("containerStatuses"):
        status["containerStatuses"] = body["containerStatuses"]
        status["imageDigest"] = body["containerStatuses"][0]["imageDigest"]
    if revision.hidden["instances"]:
        status["desiredReplicas"] = revision.hidden["instances"]
    return {"apiVersion": _VERSION, "kind": "Revision", "metadata": meta, "spec": spec, "status": status}


def _create(call: Call) -> Json:
    short = call.body.get("metadata", {}).get("name", "")
    name = name_of(call, "services", short)
    if call.cloud.store.get("run", name) is not None:
        raise exists(f"Resource '{short}' already exists.")
    return _put(call, name)


def _replace(call: Call) -> Json:
    service = found(call, "services")
    sent = call.body.get("metadata", {})
    if sent.get("name", service.id) != service.id:
        raise invalid("metadata.name: must be that of the path.")
    check_version(service, sent.get("resourceVersion"))
    return _put(call, service.name)


def _put(call: Call, name: str) -> Made:
    check_kind(call.body, GROUP, "Service")
    wrong = Wrong()
    body = service_to_v2(call.body, wrong)
    wrong.check()
    dry = is_dry(call)
    op = services.put(call, name, body, dry=dry)
    service = call.cloud.store.get("run", name)
    if service is None or dry:
        version = service.hidden["version"] if service else 0
        service = StoredResource(api="run", name=name, collection=services.COLLECTION, project=call.project,
                    body=op.body["metadata"], hidden={"version": version})  # fmt: skip
    return _show_service(call, service)


def _delete(call: Call) -> Json:
    service = found(call, "services")
    if not is_dry(call):
        services.remove(call, service)
    return success(service, GROUP, "services")


def _delete_revision(call: Call) -> Json:
    revision = found(call, "revisions")
    revisions.remove(call, revision)
    if not is_dry(call):
        call.cloud.forget(revision)
    return success(revision, GROUP, "revisions")


def _regions(call: Call) -> Json:
    return {
        "locations": [
            {"name": f"projects/{call.project}/locations/{region}", "locationId": region} for region in ZONES
        ]
    }


def _refused(call: Call) -> Json:
    raise unimplemented(call.method.id)


def _metadata(call: Call, resource: StoredResource, plural: str, own: Body) -> Made:
    meta = metadata(call.cloud, resource, GROUP, plural)
    body = resource.body
    annotations = {
        **own.get("annotations", {}),
        f"{GROUP}/creator": body["creator"],
        f"{GROUP}/lastModifier": body.get("lastModifier", body["creator"]),
    }
    if plural == "services":
        annotations[f"{notes.RUN}/ingress-status"] = annotations.get(f"{notes.RUN}/ingress", "all")
        if body.get("urls"):
            annotations[f"{notes.RUN}/urls"] = json.dumps(body["urls"], separators=(",", ":"))
    else:
        meta["labels"][f"{GROUP}/service"] = resource.id
    return {**meta, "labels": {**own.get("labels", {}), **meta["labels"]}, "annotations": annotations}


def _status(resource: StoredResource, shown: list[Made]) -> Made:
    return {"observedGeneration": int(resource.body["generation"]), "conditions": shown}


def _all_conditions(service: StoredResource) -> list[Made]:
    ready = service.body.get("terminalCondition")
    return conditions(service.body.get("conditions", []), first=ready)


def _as_ready(service: StoredResource, kind: str) -> list[Made]:
    return [
        {**condition, "type": "Ready"}
        for condition in conditions(service.body.get("conditions", []))
        if condition["type"] == kind
    ]


def _revision_names(service: StoredResource) -> Made:
    names = {
        "latestReadyRevision": "latestReadyRevisionName",
        "latestCreatedRevision": "latestCreatedRevisionName",
    }
    return {new: service.body[old].rpartition("/")[2] for old, new in names.items() if service.body.get(old)}


def _address(service: StoredResource) -> Made:
    return (
        {"url": service.body["uri"], "address": {"url": service.body["uri"]}}
        if service.body.get("uri")
        else {}
    )


def _traffic(service: StoredResource) -> list[Made]:
    ready = service.body.get("latestReadyRevision", "").rpartition("/")[2]
    targets = []
    for status in service.body.get("trafficStatuses", ()):
        target = {
            "revisionName": status.get("revision", "").rpartition("/")[2] or ready,
            **pick(status, "percent", "tag"),
        }
        target |= {"latestRevision": True} if status["type"] == LATEST else {}
        target |= {"url": status["uri"]} if "uri" in status else {}
        targets.append(target)
    return targets


_SERVING: Mapping[str, Handler] = {
    "services.create": _create,
    "services.replaceService": _replace,
    "services.get": lambda call: _show_service(call, found(call, "services")),
    "services.list": lambda call: listed(call, "services", "Service", _show_service),
    "services.delete": _delete,
    "revisions.get": lambda call: _show_revision(call, found(call, "revisions")),
    "revisions.list": lambda call: listed(call, "revisions", "Revision", _show_revision),
    "revisions.delete": _delete_revision,
    "configurations.get": lambda call: _show_configuration(call, found(call, "configurations")),
    "configurations.list": lambda call: listed(call, "configurations", "Configuration", _show_configuration),
    "routes.get": lambda call: _show_route(call, found(call, "routes")),
    "routes.list": lambda call: listed(call, "routes", "Route", _show_route),
}
_ELSEWHERE = (
    "domainmappings.create", "workerpools.create", "workerpools.replaceWorkerPool", "instances.create",
    "instances.replaceInstance", "instances.start", "instances.stop",
)  # fmt: skip

KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    **{f"run.namespaces.{name}": translated(handler) for name, handler in _SERVING.items()},
    **{f"run.v1:run.projects.locations.{name}": translated(handler) for name, handler in _SERVING.items()},
    **{f"run.namespaces.{name}": translated(handler) for name, handler in knative_jobs.HANDLERS.items()},
    **{f"run.namespaces.{name}": _refused for name in _ELSEWHERE},
    "run.v1:run.projects.locations.domainmappings.create": _refused,
    "run.projects.locations.list": _regions,
}
