"""What Cloud Run's GPUs are, where they are, and which rules they come with: `cloudrun.toml`, dated and sourced."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One size of instance: a GPU with the CPU and memory beside it."""

    gpu: str
    """As Cloud Run names it, such as `nvidia-l4`."""
    cpu: int
    memory_gib: int
    unconfirmed: bool = False
    """Seen in use, but not in Google's own documents."""

    @property
    def text(self) -> str:
        """Describe the shape in words, such as `nvidia-l4, 8 CPU, 32 GiB`."""
        return f"{self.gpu}, {self.cpu} CPU, {self.memory_gib} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunGpu:
    """A GPU that Cloud Run offers. One instance has one."""

    name: str
    title: str
    memory: int
    """Bytes that an engine sees, which is less than the nominal size."""
    bandwidth: int
    """Bytes a second of its memory, as its maker states it."""
    status: str
    """`ga` or `preview`."""
    shapes: tuple[Shape, ...]
    """Allowed ones, smallest first."""
    regions: tuple[str, ...]
    disputed: tuple[str, ...]
    """Those of `regions` that one copy of Google's page marks as by invitation, and others do not."""
    quota: Mapping[str, str]
    """Ids of its quotas, by `zonal` and `no-zonal` (redundancy)."""
    quota_unit: int
    """What one GPU counts in the quota: 1, or 1000 where it counts in thousandths."""
    default_quota: int
    """GPUs that a new project may use in a region, without zonal redundancy."""
    given_at_first: int = 0
    """GPUs without zonal redundancy that a project which has none is given when its first deployment is made."""
    unconfirmed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def min_shape(self) -> Shape:
        """Return the smallest allowed shape."""
        return self.shapes[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What Cloud Run allows any service with a GPU."""

    startup_s: int
    """Seconds that a startup probe may take in all."""
    request_timeout_s: int
    """Seconds after which any request is ended."""
    request_bytes: int
    """Of a request's body over HTTP/1."""
    max_concurrency: int
    idle_s: int
    """Seconds that an instance with a GPU may live, and cost, after its last request."""
    billed_minimum_s: int
    cpu_quota_milli: int
    """The default quota of CPU in a region, in thousandths."""
    memory_quota: int
    """The default quota of memory in a region, in bytes."""
    unconfirmed: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@cache
def gpus() -> tuple[CloudRunGpu, ...]:
    """Return every GPU that Cloud Run is known to offer, smallest first."""
    return tuple(_gpu(name, dict(entry)) for name, entry in _table()["gpu"].items())


def gpu(name: str) -> CloudRunGpu | None:
    """Return the GPU of this name, or None."""
    return next((cloud_gpu for cloud_gpu in gpus() if cloud_gpu.name == name), None)


@cache
def limits() -> Limits:
    """Return the limits of a service with a GPU."""
    return Limits(**{key: _frozen(value) for key, value in _table()["limits"].items()})


def regions() -> tuple[str, ...]:
    """Return the names of all regions with a GPU, sorted."""
    return tuple(sorted({region for cloud_gpu in gpus() for region in cloud_gpu.regions}))


def problems(shape: Shape, region: str) -> list[str]:
    """Return which of Cloud Run's rules `shape` breaks in `region`, each as a sentence; empty where it is allowed."""
    cloud_gpu = gpu(shape.gpu)
    if cloud_gpu is None:
        return [f"Cloud Run has no GPU {shape.gpu}; it has {', '.join(listed.name for listed in gpus())}"]
    wrong = []
    if region not in cloud_gpu.regions:
        wrong.append(f"{region} has no {shape.gpu}; it is in {', '.join(cloud_gpu.regions)}")
    smallest = cloud_gpu.min_shape
    if shape.cpu < smallest.cpu or shape.memory_gib < smallest.memory_gib:
        wrong.append(f"{shape.gpu} wants at least {smallest.cpu} CPU and {smallest.memory_gib} GiB")
    elif all((size.cpu, size.memory_gib) != (shape.cpu, shape.memory_gib) for size in cloud_gpu.shapes):
        allowed = ", ".join(f"{size.cpu} CPU with {size.memory_gib} GiB" for size in cloud_gpu.shapes)
        wrong.append(f"{shape.cpu} CPU with {shape.memory_gib} GiB is not a size of {shape.gpu}: {allowed}")
    return wrong


def _gpu(name: str, entry: dict[str, Any]) -> CloudRunGpu:  # Any: the values of a TOML table
    sizes = [Shape(gpu=name, **size) for size in entry.pop("shapes")]
    fields = {key: _frozen(value) for key, value in entry.items()}
    return CloudRunGpu(name=name, shapes=tuple(sizes), **fields)


def _frozen(value: Any) -> Any:  # Any: the values of a TOML table
    return tuple(value) if isinstance(value, list) else value


@cache
def _table() -> dict[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads((Path(__file__).parent / "cloudrun.toml").read_text(encoding="utf-8"))
