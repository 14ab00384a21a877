"""The body of the Cloud Run service: what is served, on which GPU, for how many, and what it may reach."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from homeport.catalog import cloudrun as limits_of
from homeport.catalog.cloudrun import Shape
from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.engines.base import Launch
from homeport.fit.cold_start import ColdStart
from homeport.json_types import JsonObject
from homeport.reconcile import Concat, Ref
from homeport.resources.google.traffic import OPEN, WITHIN
from homeport.spec import Access, CloudRun, Edge, Scaling
from homeport.targets.cloudrun.containers import CONTAINER, HttpProbe, ServiceContainer, Volume, volumes_of
from homeport.targets.cloudrun.service_labels import CACHE_LABEL, GUARD_LABEL, IAP_LABEL, edge_labels

ANNOTATION = "homeport/"
"""Begins the keys of our annotations."""
_PERIOD_S = 3
_PROBE_TIMEOUT_S = 3
_SLACK = 1.5
"""How much longer than the worst expected cold start the probe waits: worse was seen."""
_LEAST_PROBE_S = 240
_ALIVE_PERIOD_S, _ALIVE_TIMEOUT_S, _ALIVE_ATTEMPTS = 60, 30, 5
"""
Cloud Run asks started instances alone, so that nothing is woken. An engine's server answers at once, however much the
engine has to do; what has not answered for five minutes never will.
"""
_CACHE_SLACK = 1.05
_CPU_STEP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A part of the bucket at a path of the container, read-only."""

    name: str
    bucket: str
    prefix: str
    path: str
    size: int
    """Bytes of what lies there."""
    cached: bool = False
    """Whether what was read is kept in the instance's memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheUse:
    """How an engine is started with what an earlier start compiled."""

    before: tuple[str | Ref | Concat, ...]
    """What stands before its command."""
    environment: Mapping[str, str]
    volumes: tuple[Volume, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceInputs:
    """All that the body is made of."""

    name: str
    launch: Launch
    shape: Shape
    cloudrun: CloudRun
    scaling: Scaling
    access: Access
    cold_start: ColdStart
    mounts: tuple[Mount, ...]
    network: tuple[str, str]
    """Network and subnetwork, by name."""
    own_network: bool
    runner: str
    """The id of the service account's resource."""
    marks: Mapping[str, Any]  # Any: text, or a Ref
    """Identities that every revision carries as annotations, by the word behind `MARK`."""
    beside: tuple[ServiceContainer, ...] = ()
    """What runs in each instance beside the engine."""
    moment: datetime | None = None
    """When it is wanted: warm hours may be on. None for outside of them."""
    guarded: bool = False
    """Whether Model Armor screens what is said."""
    edge: Edge | None = None
    """Its load balancer, which says from where requests come; None where it has none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Those that say what of it Google keeps an eye on, and in which further regions it is."""
    cache: CacheUse | None = None
    """What an earlier start compiled; None where starts compile again."""


def service_spec(wanted: ServiceInputs) -> dict[str, Any]:  # Any: JSON, and Refs
    """Return what Cloud Run is asked for. See the field names in the discovery document run.v2."""
    access = wanted.access
    labels = edge_labels(wanted.edge.kind) if wanted.edge else {}
    labels |= wanted.labels
    labels |= {GUARD_LABEL: "model-armor"} if wanted.guarded else {}
    labels |= {IAP_LABEL: "service"} if access.iap else {}
    labels |= {CACHE_LABEL: "auto"} if wanted.cache else {}
    body: JsonObject = {
        **({"labels": labels} if labels else {}),
        **({"ingress": ingress(access)} if access.isolated or not wanted.edge else {}),
        "invokerIamDisabled": access.public,
        "iapEnabled": bool(access.iap),
        "scaling": {"minInstanceCount": wanted.scaling.least(wanted.moment)},
        "template": _template(wanted),
    }
    if access.isolated and not wanted.edge:
        # Of an isolated one nothing else tells that it was closed.
        body["defaultUriDisabled"] = False
    audiences = [
        audience for audience in (wanted.edge.address if wanted.edge else "", access.audience) if audience
    ]
    if audiences:
        body["customAudiences"] = audiences
    if (gpu := limits_of.gpu(wanted.shape.gpu)) is not None and gpu.status != "ga":
        # A preview's GPU is refused below this stage. It may be GA by now (`unconfirmed` of cloudrun.toml): BETA allows
        # what GA does, and Google then reads back GA.
        body["launchStage"] = "BETA"
    return body


def ingress(access: Access) -> str:
    """Return from where requests are let in, as Cloud Run names it."""
    return WITHIN if access.isolated else OPEN


def engine_size(shape: Shape, beside: Iterable[ServiceContainer]) -> CpuAndMemory:
    """
    Return what the engine has of an instance: all of its shape, unless that and what stands before the engine are more
    than the GPU's largest shape, which bounds an instance. Then it gives up as much as is taken, in steps that Cloud Run has.
    """
    gpu, front = limits_of.gpu(shape.gpu), [other.size for other in beside if other.port is not None]
    full, in_front = CpuAndMemory(cpu=shape.cpu, memory_gib=shape.memory_gib), sum(front, CpuAndMemory())
    if not front or gpu is None:
        return full
    most = gpu.shapes[-1]
    cpu, memory = full.cpu, full.memory_gib
    while cpu + in_front.cpu > most.cpu:
        cpu -= _CPU_STEP
    while memory + in_front.memory_gib > most.memory_gib:
        memory -= 1
    return CpuAndMemory(cpu=cpu, memory_gib=memory)


def beside_size(shape: Shape, beside: Iterable[ServiceContainer]) -> CpuAndMemory:
    """Return what other containers add to an instance of a shape: what they have, without what the engine gives up for them."""
    every = tuple(beside)
    own = engine_size(shape, every)
    change = CpuAndMemory(cpu=own.cpu - shape.cpu, memory_gib=own.memory_gib - shape.memory_gib)
    return sum((container.size for container in every), change)


def network_interface(network: tuple[str, str], *, own: bool) -> dict[str, Any]:  # Any: text, or Refs
    """Return how instances are in a network and subnetwork, which are resources of ours where they are our `own`."""
    name, subnetwork = network
    if not own:
        return {"network": name, "subnetwork": subnetwork}
    return {
        "network": Ref(f"network/{name}", "name"),
        "subnetwork": Ref(f"subnetwork/{subnetwork}", "name"),
    }


def probe_seconds(cold_start: ColdStart) -> int:
    """Return how long a new instance may take to answer: as this model needs, and within Cloud Run's limit."""
    seconds = max(_LEAST_PROBE_S, cold_start.high * _SLACK)
    return min(limits_of.limits().startup_s, math.ceil(seconds / _PERIOD_S) * _PERIOD_S)


def _template(inputs: ServiceInputs) -> dict[str, Any]:  # Any: JSON, and Refs
    chosen = inputs.cloudrun
    interface = network_interface(inputs.network, own=inputs.own_network)
    containers = (_engine(inputs), *inputs.beside)
    template = {
        "annotations": {f"{ANNOTATION}{key}": value for key, value in sorted(inputs.marks.items())},
        "serviceAccount": Ref(inputs.runner, "email"),
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "maxInstanceRequestConcurrency": inputs.launch.parallel,
        "timeout": f"{chosen.timeout_s}s",
        "scaling": _revision_scaling(inputs.scaling),
        "nodeSelector": {"accelerator": inputs.shape.gpu},
        "gpuZonalRedundancyDisabled": not chosen.zonal_redundancy,
        "vpcAccess": {"egress": "ALL_TRAFFIC", "networkInterfaces": [interface]},
        "containers": [container.body() for container in containers],
    }
    volumes = volumes_of(containers, mounted(inputs.mounts))
    if volumes:
        template["volumes"] = volumes
    key = inputs.access.key_in(chosen.region)
    if key:
        template["encryptionKey"] = key
    return template


def _revision_scaling(scaling: Scaling) -> JsonObject:
    """Return how a revision scales; what the file does not set is left to Cloud Run, which then is less exact."""
    settings: dict[str, int | float] = {"maxInstanceCount": scaling.max}
    if scaling.target_concurrency is not None:
        settings["concurrencyUtilization"] = scaling.target_concurrency
    if scaling.target_cpu is not None:
        settings["cpuUtilization"] = scaling.target_cpu
    return dict(settings)


def _engine(inputs: ServiceInputs) -> ServiceContainer:
    launch, size, cache = inputs.launch, engine_size(inputs.shape, inputs.beside), inputs.cache
    command = (*(cache.before if cache else ()), *launch.command)
    return ServiceContainer(
        name=CONTAINER,
        image=Ref("image/serving", "reference"),
        command=command[:1],
        args=command[1:],
        environment={**launch.environment, **(cache.environment if cache else {})},
        # Cloud Run sends requests to one container: where another takes them, the engine's port leads nowhere.
        port=None if any(container.port for container in inputs.beside) else launch.port,
        limits={"cpu": f"{size.cpu:g}", "memory": f"{size.memory_gib:g}Gi", "nvidia.com/gpu": "1"},
        boosted=True,
        startup=HttpProbe(
            path=launch.health_path,
            port=launch.ready_port or launch.port,
            period_s=_PERIOD_S,
            timeout_s=_PROBE_TIMEOUT_S,
            attempts=probe_seconds(inputs.cold_start) // _PERIOD_S,
        ),
        alive=HttpProbe(
            path=launch.health_path,
            port=launch.port,
            period_s=_ALIVE_PERIOD_S,
            timeout_s=_ALIVE_TIMEOUT_S,
            attempts=_ALIVE_ATTEMPTS,
        ),
        mounts={mount.name: mount.path for mount in inputs.mounts},
        volumes=cache.volumes if cache else (),
    )


def mounted(mounts: Iterable[Mount]) -> list[JsonObject]:
    """Return the volumes of folders of the bucket, as Cloud Run takes them."""
    volumes: list[JsonObject] = []
    for mount in mounts:
        options = [f"only-dir={mount.prefix}", "implicit-dirs=true", "metadata-cache-ttl-secs=-1"]
        if mount.cached:
            cache = f"{mount.name}-cache"
            options += [
                f"cache-dir=cr-volume:{cache}",
                "file-cache-max-size-mb=-1",
                "file-cache-cache-file-for-range-read=true",
                "file-cache-enable-parallel-downloads=true",
            ]
            size = math.ceil(mount.size * _CACHE_SLACK / 2**20)
            volumes.append({"name": cache, "emptyDir": {"medium": "MEMORY", "sizeLimit": f"{size}Mi"}})
        else:
            options.append("enable-buffered-read=true")
        gcs = {"bucket": mount.bucket, "readOnly": True, "mountOptions": options}
        volumes.append({"name": mount.name, "gcs": gcs})
    return volumes
