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


def _show_service(call: Call, kept: StoredResource) -> Made:
    said, spec = service_to_v1(kept.body)
    status = {
        **_seen(kept, _both(kept)),
        **_revision_names(kept),
        **_address(kept),
        "traffic": _traffic(kept),
    }
    return {"apiVersion": _VERSION, "kind": "Service", "metadata": _told(call, kept, "services", said), "spec": spec,
            "status": status}  # fmt: skip


def _show_configuration(call: Call, kept: StoredResource) -> Made:
    _, spec = service_to_v1(kept.body)
    status = {**_seen(kept, _one(kept, "ConfigurationsReady")), **_revision_names(kept)}
    return {"apiVersion": _VERSION, "kind": "Configuration", "metadata": _told(call, kept, "configurations", {}),
            "spec": pick(spec, "template"), "status": status}  # fmt: skip


def _show_route(call: Call, kept: StoredResource) -> Made:
    _, spec = service_to_v1(kept.body)
    status = {**_seen(kept, _one(kept, "RoutesReady")), **_address(kept), "traffic": _traffic(kept)}
    return {"apiVersion": _VERSION, "kind": "Route", "metadata": _told(call, kept, "routes", {}),
            "spec": pick(spec, "traffic"), "status": status}  # fmt: skip


def _show_revision(call: Call, kept: StoredResource) -> Made:
    body = kept.body
    said, spec = template_to_v1(body)
    meta = metadata(call.cloud, kept, GROUP, "revisions")
    meta["labels"] = {
        **said.get("labels", {}),
        **meta["labels"],
        f"{GROUP}/service": body["service"],
        f"{GROUP}/configuration": body["service"],
        f"{GROUP}/configurationGeneration": str(kept.hidden["order"]),
    }
    meta["annotations"] = {**said.get("annotations", {}), f"{GROUP}/creator": body["creator"]}
    seen = conditions(body["conditions"])
    active: Made = {**pick(seen[0], "lastTransitionTime"), "type": "Active", "severity": "Info"}
    active |= {"status": "True"} if kept.hidden.get("active") else {"status": "False", "reason": "Reserve"}
    status: Made = {
        "observedGeneration": int(body["generation"]),
        "conditions": [*seen, active],
        "logUrl": body["logUri"],
    }
    if body.get("containerStatuses"):
        status["containerStatuses"] = body["containerStatuses"]
        status["imageDigest"] = body["containerStatuses"][0]["imageDigest"]
    if kept.hidden["instances"]:
        status["desiredReplicas"] = kept.hidden["instances"]
    return {"apiVersion": _VERSION, "kind": "Revision", "metadata": meta, "spec": spec, "status": status}


def _create(call: Call) -> Json:
    short = call.body.get("metadata", {}).get("name", "")
    name = name_of(call, "services", short)
    if call.cloud.store.get("run", name) is not None:
        raise exists(f"Resource '{short}' already exists.")
    return _put(call, name)


def _replace(call: Call) -> Json:
    kept = found(call, "services")
    given = call.body.get("metadata", {})
    if given.get("name", kept.id) != kept.id:
        raise invalid("metadata.name: must be that of the path.")
    check_version(kept, given.get("resourceVersion"))
    return _put(call, kept.name)


def _put(call: Call, name: str) -> Made:
    check_kind(call.body, GROUP, "Service")
    wrong = Wrong()
    body = service_to_v2(call.body, wrong)
    wrong.check()
    dry = is_dry(call)
    op = services.put(call, name, body, dry=dry)
    kept = call.cloud.store.get("run", name)
    if kept is None or dry:
        version = kept.hidden["version"] if kept else 0
        kept = StoredResource(api="run", name=name, collection=services.COLLECTION, project=call.project,
                    body=op.body["metadata"], hidden={"version": version})  # fmt: skip
    return _show_service(call, kept)


def _delete(call: Call) -> Json:
    kept = found(call, "services")
    if not is_dry(call):
        services.remove(call, kept)
    return success(kept, GROUP, "services")


def _delete_revision(call: Call) -> Json:
    kept = found(call, "revisions")
    revisions.remove(call, kept)
    if not is_dry(call):
        call.cloud.forget(kept)
    return success(kept, GROUP, "revisions")


def _regions(call: Call) -> Json:
    return {
        "locations": [
            {"name": f"projects/{call.project}/locations/{region}", "locationId": region} for region in ZONES
        ]
    }


def _refused(call: Call) -> Json:
    raise unimplemented(call.method.id)


def _told(call: Call, kept: StoredResource, plural: str, said: Body) -> Made:
    meta = metadata(call.cloud, kept, GROUP, plural)
    body = kept.body
    annotations = {
        **said.get("annotations", {}),
        f"{GROUP}/creator": body["creator"],
        f"{GROUP}/lastModifier": body.get("lastModifier", body["creator"]),
    }
    if plural == "services":
        annotations[f"{notes.RUN}/ingress-status"] = annotations.get(f"{notes.RUN}/ingress", "all")
        if body.get("urls"):
            annotations[f"{notes.RUN}/urls"] = json.dumps(body["urls"], separators=(",", ":"))
    else:
        meta["labels"][f"{GROUP}/service"] = kept.id
    return {**meta, "labels": {**said.get("labels", {}), **meta["labels"]}, "annotations": annotations}


def _seen(kept: StoredResource, found_conditions: list[Made]) -> Made:
    return {"observedGeneration": int(kept.body["generation"]), "conditions": found_conditions}


def _both(kept: StoredResource) -> list[Made]:
    ready = kept.body.get("terminalCondition")
    return conditions(kept.body.get("conditions", []), first=ready)


def _one(kept: StoredResource, kind: str) -> list[Made]:
    return [
        {**one, "type": "Ready"} for one in conditions(kept.body.get("conditions", [])) if one["type"] == kind
    ]


def _revision_names(kept: StoredResource) -> Made:
    names = {
        "latestReadyRevision": "latestReadyRevisionName",
        "latestCreatedRevision": "latestCreatedRevisionName",
    }
    return {new: kept.body[old].rpartition("/")[2] for old, new in names.items() if kept.body.get(old)}


def _address(kept: StoredResource) -> Made:
    return {"url": kept.body["uri"], "address": {"url": kept.body["uri"]}} if kept.body.get("uri") else {}


def _traffic(kept: StoredResource) -> list[Made]:
    ready = kept.body.get("latestReadyRevision", "").rpartition("/")[2]
    found_targets = []
    for one in kept.body.get("trafficStatuses", ()):
        target = {
            "revisionName": one.get("revision", "").rpartition("/")[2] or ready,
            **pick(one, "percent", "tag"),
        }
        target |= {"latestRevision": True} if one["type"] == LATEST else {}
        target |= {"url": one["uri"]} if "uri" in one else {}
        found_targets.append(target)
    return found_targets


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
