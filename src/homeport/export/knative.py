"""The services as Knative has them: `service.yaml` for `gcloud run services replace`, and one more for each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from homeport.export import encryption
from homeport.export.fields import Fields
from homeport.export.graph import OF_EDGE, ResourceKind, Things
from homeport.export.text import head, listed, to_yaml
from homeport.json_types import Json, JsonObject
from homeport.reconcile import Ref
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.service import Service

KNOWS: frozenset[str] = frozenset(ResourceKind) - OF_EDGE
"""All but a load balancer: the service alone would be put in place with an open door."""
_RUN, _SCALE = "run.googleapis.com", "autoscaling.knative.dev"
_INGRESS = {
    "INGRESS_TRAFFIC_ALL": "all",
    "INGRESS_TRAFFIC_INTERNAL_ONLY": "internal",
    "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing",
    "INGRESS_TRAFFIC_NONE": "none",
}
_EGRESS = {"ALL_TRAFFIC": "all-traffic", "PRIVATE_RANGES_ONLY": "private-ranges-only"}
_ENVIRONMENTS = {"EXECUTION_ENVIRONMENT_GEN1": "gen1", "EXECUTION_ENVIRONMENT_GEN2": "gen2"}
_MODES = {"AUTOMATIC": "automatic", "MANUAL": "manual"}
_MEDIA = {"MEMORY": "Memory", "DISK": "Disk"}
_LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"

Body = Mapping[str, Json]
Made = JsonObject


def files(things: Things) -> dict[str, str]:
    """
    Return `service.yaml`, and a file for each other service of the endpoint.

    An image that is not built yet stands in it by its tag; one that is live by its digest.
    """
    return {file_of(things, service): _file(things, service) for service in things.services}


def file_of(things: Things, service: Service, middle: str = "") -> str:
    """Return the name of a service's file: `service.yaml` for the model's, else with its own name."""
    name = "" if service is things.service else f"-{service.own_name}"
    return f"service{name}{middle}.yaml"


def _file(things: Things, cloud_service: Service) -> str:
    tagged: list[str] = []
    variables: dict[str, str] = {}

    def by_tag(ref: Ref) -> str:
        thing = things.by_id(ref.id)
        if isinstance(thing, ContainerImage) and ref.path == "reference":
            tagged.append(f"{thing.package}:{thing.tag}")
            return f"{thing.reference}:{thing.tag}"
        if isinstance(thing, MirroredImage) and ref.path == "reference":
            return thing.tagged
        if isinstance(thing, Service):
            mark = f"__URL_OF_{thing.own_name.upper().replace('-', '_')}__"
            variables[mark] = thing.own_name
            return mark
        return ""  # A mark that only apply can write.

    body, file = service(things, cloud_service, by_tag), file_of(things, cloud_service)
    others = [
        kind for kind in things.kinds() if kind not in {ResourceKind.SERVICE, ResourceKind.REGISTRY_ENTRY}
    ]
    notes = [
        f"Apply it with: gcloud run services replace {file} --region={cloud_service.region} --project={things.project}",
        (
            f"It holds the service alone. Knative has no words for the {listed(others)}, which must be there before: "
            "`homeport up --on cloudrun` or the script of `homeport export gcloud` makes them."
        ),
    ]
    if ResourceKind.REGISTRY_ENTRY in things.kinds():
        notes.append(
            "The registry entry, by which others find the agent, is made once that serves: the same two make it."
        )
    if tagged:
        notes.append(
            f"The image {listed(dict.fromkeys(tagged))} goes by its tag here, since its digest is known when it is built."
        )
    notes += [
        f"Put in place of {mark} what `gcloud run services describe {name} --region={cloud_service.region} --format='value(status.url)'` "
        "says once that service is there."
        for mark, name in variables.items()
    ]
    return head("knative", *notes, *encryption.notes(things)) + to_yaml(body)


def service(things: Things, one: Service, unknown: Callable[[Ref], str]) -> Made:
    """Return a service, with what `unknown` says for each reference whose value is not known before; '' leaves it out."""
    body = Fields(things.filled(one.wanted, unknown), one.id)
    annotations = dict(body.take("annotations", {}))
    put = _Notes(annotations)
    put.text(f"{_RUN}/ingress", _word(_INGRESS, body.take("ingress")))
    put.text(f"{_RUN}/description", body.take("description"))
    put.text(f"{_RUN}/client-name", body.take("client"))
    put.text(f"{_RUN}/client-version", body.take("clientVersion"))
    put.text(f"{_RUN}/launch-stage", body.take("launchStage"))
    put.json(f"{_RUN}/custom-audiences", body.take("customAudiences"))
    put.flag(f"{_RUN}/default-url-disabled", body.take("defaultUriDisabled"))
    put.flag(f"{_RUN}/invoker-iam-disabled", body.take("invokerIamDisabled"))
    put.flag(f"{_RUN}/iap-enabled", body.take("iapEnabled"))
    scaling = Fields(body.take("scaling", {}), "the service's scaling")
    put.text(f"{_RUN}/minScale", scaling.take("minInstanceCount"))
    put.text(f"{_RUN}/maxScale", scaling.take("maxInstanceCount"))
    put.text(f"{_RUN}/manualInstanceCount", scaling.take("manualInstanceCount"))
    put.text(f"{_RUN}/scalingMode", _word(_MODES, scaling.take("scalingMode")))
    scaling.done()
    metadata: Made = {"name": one.own_name, "labels": dict(body.take("labels", {}))}
    if annotations:
        metadata["annotations"] = annotations
    spec: Made = {"template": _template(body.take("template"))}
    traffic = body.take("traffic")
    if traffic:
        spec["traffic"] = [_target(target) for target in traffic]
    body.done()
    return {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": metadata, "spec": spec}


def _template(template: Body) -> Made:
    body = Fields(template, "the template")
    annotations = {key: value for key, value in body.take("annotations", {}).items() if value}
    put = _Notes(annotations)
    scaling = Fields(body.take("scaling", {}), "the template's scaling")
    put.text(f"{_SCALE}/minScale", scaling.take("minInstanceCount"))
    put.text(f"{_SCALE}/maxScale", scaling.take("maxInstanceCount"))
    put.text(f"{_RUN}/scaling-concurrency-target", scaling.take("concurrencyUtilization"))
    put.text(f"{_RUN}/scaling-cpu-target", scaling.take("cpuUtilization"))
    scaling.done()
    network = Fields(body.take("vpcAccess", {}), "vpcAccess")
    put.json(f"{_RUN}/network-interfaces", network.take("networkInterfaces"))
    put.text(f"{_RUN}/vpc-access-egress", _word(_EGRESS, network.take("egress")))
    put.text(f"{_RUN}/vpc-access-connector", network.take("connector"))
    network.done()
    put.text(f"{_RUN}/execution-environment", _word(_ENVIRONMENTS, body.take("executionEnvironment")))
    put.flag(f"{_RUN}/gpu-zonal-redundancy-disabled", body.take("gpuZonalRedundancyDisabled"))
    put.flag(f"{_RUN}/sessionAffinity", body.take("sessionAffinity"))
    put.flag(f"{_RUN}/health-check-disabled", body.take("healthCheckDisabled"))
    put.text(f"{_RUN}/encryption-key", body.take("encryptionKey"))
    secrets = _Secrets()
    containers = body.take("containers")
    spec: Made = {}
    for key, name in (("maxInstanceRequestConcurrency", "containerConcurrency"), ("serviceAccount", "serviceAccountName")):  # fmt: skip
        spec |= {name: value} if (value := body.take(key)) is not None else {}
    timeout = body.take("timeout")
    spec |= {"timeoutSeconds": int(float(timeout.removesuffix("s")))} if timeout else {}
    selector = body.take("nodeSelector")
    spec |= {"nodeSelector": {f"{_RUN}/accelerator": selector["accelerator"]}} if selector else {}
    spec["containers"] = [_container(container, secrets) for container in containers]
    volumes = body.take("volumes")
    spec |= {"volumes": [_volume(volume, secrets) for volume in volumes]} if volumes else {}
    _of_containers(put, containers)
    put.text(f"{_RUN}/secrets", ",".join(f"{alias}:{path}" for alias, path in secrets.paths.items()) or None)
    metadata: Made = {}
    labels, revision = body.take("labels"), body.take("revision")
    metadata |= {"name": revision} if revision else {}
    metadata |= {"labels": labels} if labels else {}
    metadata |= {"annotations": annotations} if annotations else {}
    body.done()
    return {"metadata": metadata, "spec": spec}


def _of_containers(put: _Notes, containers: list[Body]) -> None:
    """Write what Knative says of containers in annotations of the template."""
    resources = [container.get("resources", {}) for container in containers]
    if not any(resource.get("cpuIdle") for resource in resources):
        put.flag(f"{_RUN}/cpu-throttling", False)
    if any(resource.get("startupCpuBoost") for resource in resources):
        put.flag(f"{_RUN}/startup-cpu-boost", True)
    needs = {
        container["name"]: container["dependsOn"] for container in containers if container.get("dependsOn")
    }
    put.json(f"{_RUN}/container-dependencies", needs or None)


def _container(container: Body, secrets: _Secrets) -> Made:
    body = Fields(container, f"container {container.get('name', '')}")
    exported = body.taken("name", "image", "command", "args", "workingDir", "ports")
    body.take("dependsOn")
    env = body.take("env")
    if env:
        exported["env"] = [_variable(variable, secrets) for variable in env]
    resources = Fields(body.take("resources", {}), "resources")
    limits = resources.take("limits")
    resources.take("cpuIdle"), resources.take("startupCpuBoost")
    resources.done()
    if limits:
        exported["resources"] = {"limits": limits}
    exported |= body.taken("startupProbe", "livenessProbe", "readinessProbe", "volumeMounts")
    body.done()
    return exported


def _variable(variable: Body, secrets: _Secrets) -> Made:
    body = Fields(variable, "env")
    exported = body.taken("name", "value")
    source = Fields(body.take("valueSource", {}), "valueSource")
    ref = source.take("secretKeyRef")
    source.done()
    if ref:
        exported["valueFrom"] = {
            "secretKeyRef": {"key": ref.get("version", "latest"), "name": secrets.alias(ref["secret"])}
        }
    body.done()
    return exported


def _volume(volume: Body, secrets: _Secrets) -> Made:
    body = Fields(volume, f"volume {volume['name']}")
    exported = body.taken("name", "nfs")
    if bucket := body.take("gcs"):
        exported["csi"] = _bucket(Fields(bucket, "gcs"))
    if memory := body.take("emptyDir"):
        source = Fields(memory, "emptyDir")
        exported["emptyDir"] = {
            "medium": _word(_MEDIA, source.take("medium", "MEMORY")),
            **source.taken("sizeLimit"),
        }
        source.done()
    if secret := body.take("secret"):
        source = Fields(secret, "secret")
        exported["secret"] = {
            "secretName": secrets.alias(source.take("secret")),
            **source.taken("defaultMode"),
        }
        items = [{"key": file["version"], **{k: v for k, v in file.items() if k != "version"}} for file in source.take("items", ())]  # fmt: skip
        exported["secret"] |= {"items": items} if items else {}
        source.done()
    body.done()
    return exported


def _bucket(source: Fields) -> Made:
    attributes = {"bucketName": source.take("bucket")}
    if options := source.take("mountOptions"):
        attributes["mountOptions"] = ",".join(options)
    exported = {
        "driver": "gcsfuse.run.googleapis.com",
        **source.taken("readOnly"),
        "volumeAttributes": attributes,
    }
    source.done()
    return exported


def _target(target: Body) -> Made:
    body = Fields(target, "traffic")
    exported = body.taken("percent", "tag")
    kind, revision = body.take("type"), body.take("revision")
    body.done()
    return {**exported, "latestRevision": True} if kind == _LATEST else {**exported, "revisionName": revision}


def _word(words: Mapping[str, str], value: str | None) -> str | None:
    if value is None:
        return None
    if value not in words:
        raise TypeError(f"Knative has no word for {value}")
    return words[value]


class _Secrets:
    """Short names for secrets that are named with their project, which Knative cannot have in their place."""

    def __init__(self) -> None:
        self.paths: dict[str, str] = {}

    def alias(self, secret: str) -> str:
        """Return the name of a secret in Knative."""
        if "/" not in secret:
            return secret
        short = f"secret-{uuid5(NAMESPACE_URL, secret)}"
        self.paths[short] = secret
        return short


class _Notes:
    """Writes annotations, whose values are texts; what is None is not written."""

    def __init__(self, into: dict[str, Any]) -> None:  # Any: text
        self._into = into

    def text(self, key: str, value: Any | None) -> None:  # Any: a scalar
        if value is not None:
            self._into[key] = str(value)

    def flag(self, key: str, value: bool | None) -> None:
        if value is not None:
            self._into[key] = "true" if value else "false"

    def json(self, key: str, value: Json | None) -> None:
        if value is not None:
            self._into[key] = json.dumps(value, separators=(",", ":"))
