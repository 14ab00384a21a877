"""Cloud SQL's instances: a volume of the v2 API, an annotation in Knative."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal.json_types import Json, JsonObject

INSTANCES = "run.googleapis.com/cloudsql-instances"
_NAME, _PLACE = "cloudsql", "/cloudsql"


def add_instances(body: JsonObject, annotations: Mapping[str, str]) -> None:
    """Give a template of the v2 API the volume that Knative's annotation stands for, in each of its containers."""
    named = [one for one in annotations.get(INSTANCES, "").split(",") if one]
    if not named:
        return
    body["volumes"] = [
        *body.get("volumes", ()),
        {"name": _NAME, "cloudSqlInstance": {"instances": named}},
    ]
    for container in body["containers"]:
        mounts = container.get("volumeMounts", ())
        container["volumeMounts"] = [*mounts, {"name": _NAME, "mountPath": _PLACE}]


def take_instances(template: Mapping[str, Json]) -> tuple[JsonObject, dict[str, str]]:
    """Return a template without the volumes of Cloud SQL, and the annotation that stands for them."""
    instances = {
        one["name"]: one["cloudSqlInstance"].get("instances", ())
        for one in template.get("volumes", ())
        if "cloudSqlInstance" in one
    }
    if not instances:
        return dict(template), {}
    rest = dict(template)
    rest["volumes"] = [one for one in template["volumes"] if one["name"] not in instances]
    rest["containers"] = [_without(one, instances) for one in template.get("containers", ())]
    every = dict.fromkeys(name for names in instances.values() for name in names)
    return rest, {INSTANCES: ",".join(every)} if every else {}


def _without(container: Mapping[str, Json], names: Mapping[str, Json]) -> JsonObject:
    if "volumeMounts" not in container:
        return dict(container)
    kept = [one for one in container["volumeMounts"] if one.get("name") not in names]
    rest = {key: value for key, value in container.items() if key != "volumeMounts"}
    return {**rest, "volumeMounts": kept} if kept else rest
