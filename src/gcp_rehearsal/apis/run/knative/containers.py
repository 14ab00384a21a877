"""Containers and volumes of Cloud Run, as the v2 API has them and as Knative writes them: there and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import NAMESPACE_URL, uuid5

from gcp_rehearsal.errors import unimplemented
from gcp_rehearsal.json_types import Json, JsonObject

Body = Mapping[str, Json]
Made = JsonObject

GCSFUSE = "gcsfuse.run.googleapis.com"
_ALIKE = (
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "startupProbe",
    "livenessProbe",
    "readinessProbe",
)
_IN_V1 = frozenset((*_ALIKE, "env", "resources", "volumeMounts"))
_PROBE = frozenset(("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold", "successThreshold",
                    "httpGet", "tcpSocket", "grpc"))  # fmt: skip
_MEDIA = {"MEMORY": "Memory", "DISK": "Disk"}
_MOUNT = ("name", "mountPath", "subPath")


class Aliases:
    """Short names for secrets of other projects, as Knative needs them: the annotation `run.googleapis.com/secrets`."""

    def __init__(self, annotation: str = "") -> None:
        pairs = (pair.partition(":")[::2] for pair in annotation.split(",") if pair)
        self._paths: dict[str, str] = dict(pairs)

    @property
    def annotation(self) -> str:
        """Return all aliases, as the annotation has them; '' for none."""
        return ",".join(f"{alias}:{path}" for alias, path in self._paths.items())

    def short(self, secret: str) -> str:
        """Return the name by which a secret goes in Knative."""
        if "/" not in secret:
            return secret
        alias = f"secret-{uuid5(NAMESPACE_URL, secret)}"
        self._paths[alias] = secret
        return alias

    def whole(self, name: str) -> str:
        """Return the secret that goes by a name in Knative."""
        return self._paths.get(name, name)


def containers_to_v1(containers: Iterable[Body], aliases: Aliases) -> list[Made]:
    """Return containers as Knative has them, without what it has as annotations."""
    return [_container_to_v1(container, aliases) for container in containers]


def containers_to_v2(containers: Iterable[Body], aliases: Aliases) -> list[Made]:
    """Return containers as the v2 API has them. Raises `ApiError` 501 for what the rehearsal does not act out."""
    return [_container_to_v2(container, aliases) for container in containers]


def volumes_to_v1(volumes: Iterable[Body], aliases: Aliases) -> list[Made]:
    """Return volumes as Knative has them."""
    return [{"name": volume.get("name", ""), **_source_to_v1(volume, aliases)} for volume in volumes]


def volumes_to_v2(volumes: Iterable[Body], aliases: Aliases) -> list[Made]:
    """Return volumes as the v2 API has them. Raises `ApiError` 501 for what the rehearsal does not act out."""
    return [{"name": volume.get("name", ""), **_source_to_v2(volume, aliases)} for volume in volumes]


def pick(body: Body, *keys: str) -> Made:
    """Return those of the keys that are there."""
    return {key: body[key] for key in keys if key in body}


def _container_to_v1(container: Body, aliases: Aliases) -> Made:
    converted = pick(container, *_ALIKE)
    if "env" in container:
        converted["env"] = [_env_to_v1(variable, aliases) for variable in container["env"]]
    limits = container.get("resources", {}).get("limits")
    if limits:
        converted["resources"] = {"limits": dict(limits)}
    if "volumeMounts" in container:
        converted["volumeMounts"] = [pick(mount, *_MOUNT) for mount in container["volumeMounts"]]
    return converted


def _container_to_v2(container: Body, aliases: Aliases) -> Made:
    for key, value in container.items():
        if key not in _IN_V1 and value:
            raise unimplemented(f"spec.containers[].{key}")
    converted = {key: value for key, value in pick(container, *_ALIKE).items() if value != ""}
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if kind in container:
            converted[kind] = _probe_to_v2(container[kind])
    if "ports" in container:
        converted["ports"] = [pick(port, "name", "containerPort") for port in container["ports"]]
    if "env" in container:
        converted["env"] = [_env_to_v2(variable, aliases) for variable in container["env"]]
    limits = container.get("resources", {}).get("limits")
    converted["resources"] = {"limits": dict(limits)} if limits else {}
    if "volumeMounts" in container:
        converted["volumeMounts"] = [pick(mount, *_MOUNT) for mount in container["volumeMounts"]]
    return converted


def _probe_to_v2(probe: Body) -> Made:
    if set(probe) - _PROBE or probe.get("successThreshold", 1) > 1:
        raise unimplemented("probes other than Cloud Run's")
    converted = pick(probe, *(_PROBE - {"successThreshold", "httpGet", "tcpSocket"}))
    if "httpGet" in probe:
        converted["httpGet"] = pick(probe["httpGet"], "path", "port", "httpHeaders")
    if "tcpSocket" in probe:
        converted["tcpSocket"] = pick(probe["tcpSocket"], "port")
    return converted


def _env_to_v1(variable: Body, aliases: Aliases) -> Made:
    converted = pick(variable, "name", "value")
    source = variable.get("valueSource", {}).get("secretKeyRef")
    if source is not None:
        version = {"key": source["version"]} if "version" in source else {}
        converted["valueFrom"] = {
            "secretKeyRef": {"name": aliases.short(source.get("secret", "")), **version}
        }
    return converted


def _env_to_v2(variable: Body, aliases: Aliases) -> Made:
    converted = pick(variable, "name", "value")
    if "valueFrom" in variable:
        source = variable["valueFrom"].get("secretKeyRef")
        if source is None:
            raise unimplemented("spec.containers[].env[].valueFrom other than secretKeyRef")
        version = {"version": source["key"]} if "key" in source else {}
        converted["valueSource"] = {
            "secretKeyRef": {"secret": aliases.whole(source.get("name", "")), **version}
        }
    return converted


def _source_to_v1(volume: Body, aliases: Aliases) -> Made:
    if "gcs" in volume:
        return {"csi": _gcs_to_v1(volume["gcs"])}
    if "secret" in volume:
        source = volume["secret"]
        secret = {"secretName": aliases.short(source.get("secret", "")), **pick(source, "defaultMode")}
        if "items" in source:
            secret["items"] = [
                _renamed(file, {"version": "key", "path": "path", "mode": "mode"}) for file in source["items"]
            ]
        return {"secret": secret}
    if "emptyDir" in volume:
        source = volume["emptyDir"]
        medium = {"medium": _MEDIA[source["medium"]]} if source.get("medium") in _MEDIA else {}
        return {"emptyDir": {**medium, **pick(source, "sizeLimit")}}
    return pick(volume, "nfs", "filestore")


def _source_to_v2(volume: Body, aliases: Aliases) -> Made:
    if "csi" in volume:
        if volume["csi"].get("driver") != GCSFUSE:
            raise unimplemented(f"the CSI driver {volume['csi'].get('driver', '')}")
        return {"gcs": _gcs_to_v2(volume["csi"])}
    if "secret" in volume:
        source = volume["secret"]
        secret = {"secret": aliases.whole(source.get("secretName", "")), **pick(source, "defaultMode")}
        if "items" in source:
            secret["items"] = [
                _renamed(file, {"key": "version", "path": "path", "mode": "mode"}) for file in source["items"]
            ]
        return {"secret": secret}
    if "emptyDir" in volume:
        source = volume["emptyDir"]
        named = {short: name for name, short in _MEDIA.items()}
        medium = {"medium": named[source["medium"]]} if source.get("medium") in named else {}
        return {"emptyDir": {**medium, **pick(source, "sizeLimit")}}
    if "configMap" in volume:
        raise unimplemented("volumes[].configMap")
    return pick(volume, "nfs", "filestore")


def _gcs_to_v1(source: Body) -> Made:
    attributes = {"bucketName": source.get("bucket", "")}
    if source.get("mountOptions"):
        attributes["mountOptions"] = ",".join(source["mountOptions"])
    return {"driver": GCSFUSE, **pick(source, "readOnly"), "volumeAttributes": attributes}


def _gcs_to_v2(source: Body) -> Made:
    attributes = source.get("volumeAttributes", {})
    converted = {"bucket": attributes.get("bucketName", ""), **pick(source, "readOnly")}
    if attributes.get("mountOptions"):
        converted["mountOptions"] = attributes["mountOptions"].split(",")
    return converted


def _renamed(body: Body, names: Mapping[str, str]) -> Made:
    return {new: body[old] for old, new in names.items() if old in body}
