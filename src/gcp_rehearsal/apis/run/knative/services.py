"""Services and revisions between the v2 API's form, which is the truth, and Knative's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from gcp_rehearsal.apis.run.defaults import BY_REVISION, LATEST
from gcp_rehearsal.apis.run.knative import annotations as notes
from gcp_rehearsal.apis.run.knative.annotations import BOOST, NEEDS, SECRETS, THROTTLING
from gcp_rehearsal.apis.run.knative.cloud_sql import add_instances, take_instances
from gcp_rehearsal.apis.run.knative.containers import (
    Aliases,
    containers_to_v1,
    containers_to_v2,
    pick,
    volumes_to_v1,
    volumes_to_v2,
)
from gcp_rehearsal.apis.run.sizes import seconds
from gcp_rehearsal.apis.run.status import Wrong
from gcp_rehearsal.errors import unimplemented
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject

Body = Mapping[str, Json]
Made = JsonObject

ACCELERATOR = "run.googleapis.com/accelerator"
_LOCATION = "cloud.googleapis.com/location"
_SYSTEM_LABELS = (
    _LOCATION,
    "run.googleapis.com/startupProbeType",
    "serving.knative.dev/",
    "run.googleapis.com/job",
)
_SPEC = frozenset(
    ("containers", "containerConcurrency", "timeoutSeconds", "serviceAccountName", "volumes", "nodeSelector")
)


def service_to_v1(body: Body) -> tuple[Made, Made]:
    """Return what a service's user has said, as Knative has it: metadata and spec."""
    annotations = {**body.get("annotations", {}), **notes.to_v1(notes.SERVICE, body)}
    metadata = {**_labels(body), **({"annotations": annotations} if annotations else {})}
    metadata_of_template, spec = template_to_v1(body["template"])
    template = {"metadata": metadata_of_template, "spec": spec}
    return metadata, {
        "template": template,
        "traffic": [_target_to_v1(target) for target in body.get("traffic", ())],
    }


def service_to_v2(v1: Body, wrong: Wrong) -> Made:
    """
    Return a service of the v2 API that says what a Knative service says; `wrong` gets what Cloud Run would
    not take.

    Raises `ApiError` 501 for what the rehearsal does not act out.
    """
    metadata, spec = v1.get("metadata", {}), v1.get("spec", {})
    annotations = metadata.get("annotations", {})
    body: Made = {"launchStage": "GA", "ingress": "INGRESS_TRAFFIC_ALL"}
    _set_own(body, metadata, notes.users(annotations, "Service", wrong))
    notes.to_v2(notes.SERVICE, annotations, body, wrong)
    body["template"] = template_to_v2(spec.get("template", {}), wrong)
    if spec.get("traffic"):
        body["traffic"] = [_target_to_v2(target) for target in spec["traffic"]]
    return body


def template_to_v1(template: Body) -> tuple[Made, Made]:
    """Return a revision's template as Knative has it: metadata and spec. A revision itself reads the same."""
    template, of_sql = take_instances(template)
    aliases, containers = Aliases(), template.get("containers", ())
    spec: Made = {
        **_renamed(template, {"maxInstanceRequestConcurrency": "containerConcurrency", "serviceAccount": "serviceAccountName"}),
        "containers": containers_to_v1(containers, aliases),
    }  # fmt: skip
    if "timeout" in template:
        spec["timeoutSeconds"] = int(seconds(template["timeout"]))
    if template.get("volumes"):
        spec["volumes"] = volumes_to_v1(template["volumes"], aliases)
    if template.get("nodeSelector"):
        spec["nodeSelector"] = {ACCELERATOR: template["nodeSelector"].get("accelerator", "")}
    annotations = {
        **template.get("annotations", {}),
        **notes.to_v1(notes.REVISION, template),
        **container_notes(containers, aliases),
        **of_sql,
    }
    metadata = {**_labels(template), **({"annotations": annotations} if annotations else {})}
    if template.get("revision"):
        metadata["name"] = template["revision"]
    return metadata, spec


def template_to_v2(v1: Body, wrong: Wrong) -> Made:
    """Return a revision's template of the v2 API, of a Knative one."""
    metadata, spec = v1.get("metadata", {}), v1.get("spec", {})
    refuse_unknown(spec, _SPEC)
    annotations = metadata.get("annotations", {})
    body: Made = {}
    _set_own(body, metadata, notes.users(annotations, "Revision", wrong))
    if metadata.get("name"):
        body["revision"] = metadata["name"]
    notes.to_v2(notes.REVISION, annotations, body, wrong)
    _of_spec(body, spec, annotations)
    body |= _renamed(spec, {"containerConcurrency": "maxInstanceRequestConcurrency"})
    if "timeoutSeconds" in spec:
        body["timeout"] = f"{spec['timeoutSeconds']}s"
    for container in body["containers"]:
        if annotations.get(THROTTLING, "true").lower() != "false":
            container["resources"]["cpuIdle"] = True
        if annotations.get(BOOST, "").lower() == "true":
            container["resources"]["startupCpuBoost"] = True
    return body


def task_to_v1(template: Body) -> tuple[dict[str, str], Made]:
    """Return a task's template as Knative has it: the annotations that the execution carries for it, and its spec."""
    template, of_sql = take_instances(template)
    aliases, containers = Aliases(), template.get("containers", ())
    spec: Made = {
        **pick(template, "maxRetries"),
        **_renamed(template, {"serviceAccount": "serviceAccountName"}),
        "containers": containers_to_v1(containers, aliases),
    }
    if "timeout" in template:
        spec["timeoutSeconds"] = str(int(seconds(template["timeout"])))
    if template.get("volumes"):
        spec["volumes"] = volumes_to_v1(template["volumes"], aliases)
    if template.get("nodeSelector"):
        spec["nodeSelector"] = {ACCELERATOR: template["nodeSelector"].get("accelerator", "")}
    annotations = container_notes(containers, aliases)
    carried = {key: value for key, value in annotations.items() if key in {SECRETS, NEEDS}}
    return {**notes.to_v1(notes.TASK, template), **carried, **of_sql}, spec


def task_to_v2(spec: Body, annotations: Mapping[str, str], wrong: Wrong) -> Made:
    """Return a task's template of the v2 API, of a Knative one and the annotations of its execution."""
    refuse_unknown(spec, _SPEC | {"maxRetries"} - {"containerConcurrency"})
    body: Made = pick(spec, "maxRetries")
    notes.to_v2(notes.TASK, annotations, body, wrong)
    _of_spec(body, spec, annotations)
    if "timeoutSeconds" in spec:
        body["timeout"] = f"{spec['timeoutSeconds']}s"
    return body


def container_notes(containers: Sequence[Body], aliases: Aliases) -> dict[str, str]:
    """Return what Knative says of containers in annotations of the whole."""
    annotations = {}
    resources = [container.get("resources", {}) for container in containers]
    if containers and not any(settings.get("cpuIdle") for settings in resources):
        annotations[THROTTLING] = "false"
    if any(settings.get("startupCpuBoost") for settings in resources):
        annotations[BOOST] = "true"
    needs = {
        container.get("name", ""): container["dependsOn"]
        for container in containers
        if container.get("dependsOn")
    }
    if needs:
        annotations[NEEDS] = json.dumps(needs, separators=(",", ":"))
    if aliases.annotation:
        annotations[SECRETS] = aliases.annotation
    return annotations


def refuse_unknown(spec: Body, known: frozenset[str]) -> None:
    """Raise `ApiError` 501 for a part of a spec that the rehearsal does not act out."""
    for key, value in spec.items():
        if key not in known and value:
            raise unimplemented(f"spec.{key}")


def users_labels(metadata: Body) -> dict[str, str]:
    """Return the labels that are the user's own."""
    return {
        key: value for key, value in metadata.get("labels", {}).items() if not key.startswith(_SYSTEM_LABELS)
    }


def _of_spec(body: Made, spec: Body, annotations: Mapping[str, str]) -> None:
    aliases = Aliases(annotations.get(SECRETS, ""))
    body |= _renamed(spec, {"serviceAccountName": "serviceAccount"})
    body["containers"] = containers_to_v2(spec.get("containers", ()), aliases)
    if spec.get("volumes"):
        body["volumes"] = volumes_to_v2(spec["volumes"], aliases)
    add_instances(body, annotations)
    if spec.get("nodeSelector"):
        body["nodeSelector"] = {"accelerator": spec["nodeSelector"].get(ACCELERATOR, "")}
    try:
        needs = read_json(annotations.get(NEEDS) or "{}")
    except ValueError:
        needs = None
    needs = needs if isinstance(needs, dict) else {}
    for container in body["containers"]:
        if needs.get(container.get("name", "")):
            container["dependsOn"] = list(needs[container["name"]])


def _set_own(body: Made, metadata: Body, annotations: Mapping[str, str]) -> None:
    labels = users_labels(metadata)
    if labels:
        body["labels"] = labels
    if annotations:
        body["annotations"] = dict(annotations)


def _labels(body: Body) -> Made:
    return {"labels": dict(body["labels"])} if body.get("labels") else {}


def _target_to_v1(target: Body) -> Made:
    converted = pick(target, "percent", "tag")
    if target.get("type") == LATEST:
        return {**converted, "latestRevision": True}
    return {**converted, "revisionName": target.get("revision", "")}


def _target_to_v2(target: Body) -> Made:
    converted = pick(target, "percent", "tag")
    if target.get("latestRevision") or not target.get("revisionName"):
        return {"type": LATEST, **converted}
    return {"type": BY_REVISION, "revision": target["revisionName"], **converted}


def _renamed(body: Body, names: Mapping[str, str]) -> Made:
    return {new: body[old] for old, new in names.items() if old in body}
