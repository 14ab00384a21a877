"""A container of a Cloud Run service, with its volumes: the engine's, and whatever stands beside it in its instances."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject
from homeport.reconcile import Concat, Ref

CONTAINER = "serving"
"""The name of the engine's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProbe:
    """What Cloud Run asks a container for, how often, and how many failures in a row are too many."""

    path: str
    port: int
    period_s: int
    timeout_s: int
    attempts: int

    def body(self) -> JsonObject:
        """Return it as Cloud Run takes it."""
        return {
            "httpGet": {"path": self.path, "port": self.port},
            "initialDelaySeconds": 0,
            "periodSeconds": self.period_s,
            "timeoutSeconds": self.timeout_s,
            "failureThreshold": self.attempts,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of the instance that a container sees at a path. Containers that name the same one share it."""

    name: str
    path: str
    source: Mapping[str, Any]  # Any: JSON, and Refs
    """Where it comes from, as Cloud Run's API has it: `emptyDir`, `gcs`, `secret`, `nfs`."""

    def body(self) -> dict[str, Any]:  # Any: JSON, and Refs
        """Return it as Cloud Run takes it."""
        return {"name": self.name, **self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceContainer:
    """One container of each instance. They share loopback, and each is known by its name."""

    name: str
    image: str | Ref
    command: tuple[str | Ref | Concat, ...] = ()
    """The image's own where it is empty."""
    args: tuple[str | Ref | Concat, ...] = ()
    environment: Mapping[str, str | Ref] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Variables by the secrets whose newest version they hold."""
    port: int | None = None
    """The one that requests go to, which a single container of a service has."""
    limits: Mapping[str, str]
    boosted: bool = False
    """Whether it gets more CPU while it starts."""
    startup: HttpProbe | None = None
    alive: HttpProbe | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    """Paths by the names of volumes that the service has anyway."""
    volumes: tuple[Volume, ...] = ()
    """Its own."""
    after: tuple[str, ...] = ()
    """Containers whose startup probes have succeeded before it is started."""

    @property
    def size(self) -> CpuAndMemory:
        """Return its CPU and memory."""
        return CpuAndMemory.of(self.limits)

    def body(self) -> dict[str, Any]:  # Any: JSON, and Refs
        """Return it as Cloud Run takes it; its CPU is there between requests, too."""
        body: dict[str, Any] = {"name": self.name, "image": self.image}  # Any: JSON, and Refs
        if self.command:
            body["command"] = list(self.command)
        if self.args:
            body["args"] = list(self.args)
        if self.environment or self.secrets:
            variables = [{"name": name, "value": value} for name, value in sorted(self.environment.items())]
            secrets = [
                (name, {"secret": secret, "version": "latest"})
                for name, secret in sorted(self.secrets.items())
            ]
            body["env"] = [
                *variables,
                *({"name": name, "valueSource": {"secretKeyRef": reference}} for name, reference in secrets),
            ]
        if self.port is not None:
            body["ports"] = [{"name": "http1", "containerPort": self.port}]
        body["resources"] = {"limits": dict(self.limits), "cpuIdle": False}
        if self.boosted:
            body["resources"]["startupCpuBoost"] = True
        if self.startup is not None:
            body["startupProbe"] = self.startup.body()
        if self.alive is not None:
            body["livenessProbe"] = self.alive.body()
        mounts = {**self.mounts, **{volume.name: volume.path for volume in self.volumes}}
        if mounts:
            body["volumeMounts"] = [{"name": name, "mountPath": path} for name, path in mounts.items()]
        if self.after:
            body["dependsOn"] = list(self.after)
        return body


def volumes_of(containers: Iterable[ServiceContainer], others: Iterable[JsonObject] = ()) -> list[JsonObject]:
    """Return the volumes of a service: `others`, and those of its containers. Raises `SpecError` where two have one name."""
    volumes: dict[str, JsonObject] = {volume["name"]: volume for volume in others}
    for container in containers:
        for volume in container.volumes:
            body = volume.body()
            if volumes.setdefault(volume.name, body) != body:
                raise SpecError(
                    f"the container {container.name} has a volume {volume.name}, and another volume is called so",
                    hint="give it another name; containers share a volume where they say the same of it",
                )
    return list(volumes.values())


def own_container(template: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return the engine's container of a live template: by its name, or, of a service of others, that which serves."""
    containers = template.get("containers", ()) or [{}]
    named = (container for container in containers if container.get("name") == CONTAINER)
    own: Mapping[str, Json] = next(
        named, next((container for container in containers if container.get("ports")), containers[0])
    )
    return own


def secrets_of(template: Mapping[str, Json]) -> Iterator[str]:
    """Yield the secrets that a template or a revision of Cloud Run's names: those of its volumes, and of its variables."""
    yield from dict.fromkeys(secret for secret, _ in secret_versions_of(template))


def secret_versions_of(template: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Yield them with the versions that are read, by their numbers, aliases, or `latest`."""
    body: Mapping[str, Any] = template  # Any: JSON
    for volume in body.get("volumes", ()):
        if "secret" in volume:
            for item in volume["secret"].get("items") or [{}]:
                yield str(volume["secret"].get("secret", "")), str(item.get("version") or "latest")
    for container in body.get("containers", ()):
        for variable in container.get("env", ()):
            if "secretKeyRef" in variable.get("valueSource", {}):
                source = variable["valueSource"]["secretKeyRef"]
                yield str(source.get("secret", "")), str(source.get("version") or "latest")
