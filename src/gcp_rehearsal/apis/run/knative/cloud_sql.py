"""Cloud SQL's instances: a volume of the v2 API, an annotation in Knative."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal.json_types import Json, JsonObject

INSTANCES = "run.googleapis.com/cloudsql-instances"
_NAME, _PLACE = "cloudsql", "/cloudsql"


def add_instances(body: JsonObject, annotations: Mapping[str, str]) -> None:
    """Give a template of the v2 API the volume that Knative's annotation stands for, in each of its containers."""
    named = [instance for instance in annotations.get(INSTANCES, "").split(",") if instance]
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
        volume["name"]: volume["cloudSqlInstance"].get("instances", ())
        for volume in template.get("volumes", ())
        if "cloudSqlInstance" in volume
    }
    if not instances:
        return dict(template), {}
    stripped = dict(template)
    stripped["volumes"] = [volume for volume in template["volumes"] if volume["name"] not in instances]
    stripped["containers"] = [_without(container, instances) for container in template.get("containers", ())]
    every = dict.fromkeys(name for names in instances.values() for name in names)
    return stripped, {INSTANCES: ",".join(every)} if every else {}


def _without(container: Mapping[str, Json], names: Mapping[str, Json]) -> JsonObject:
    if "volumeMounts" not in container:
        return dict(container)
    mounts = [mount for mount in container["volumeMounts"] if mount.get("name") not in names]
    stripped = {key: value for key, value in container.items() if key != "volumeMounts"}
    return {**stripped, "volumeMounts": mounts} if mounts else stripped
