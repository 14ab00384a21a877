"""What Cloud Run allows: the table `cloud_run.toml`, of Google's own pages and of nobody who uses the rehearsal."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_NOTES = ("read", "sources", "unconfirmed")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceSize:
    """CPU and memory of an instance."""

    cpu: int
    memory_gib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuType:
    """A GPU that Cloud Run offers. One instance has one."""

    name: str
    title: str
    stage: str
    """The launch stage that a service must declare at least: `GA` or `BETA`."""
    least: InstanceSize
    most: InstanceSize
    regions: tuple[str, ...]
    quota: str
    """The id of its quota without zonal redundancy."""
    quota_zonal: str
    quota_unit: int
    """What one GPU counts in its quotas: 1, or 1000 where they count thousandths."""
    default_gpus: int
    """How many a new project has in a region, without zonal redundancy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """What a service may be."""

    default_concurrency: int
    largest_concurrency: int
    longest_request_s: int
    largest_request_bytes: int
    """Of a request's body over HTTP/1."""
    idle_s: int
    """For how long an instance stays after its last request, at most."""
    idle_gpu_s: int
    default_instances: int
    largest_containers: int
    """The most instances where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLimits:
    """How long probes may take in all, in seconds."""

    startup_s: int
    startup_gpu_s: int
    other_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """How long a task of a job may take, in seconds."""

    longest_task_s: int
    longest_task_gpu_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultQuotas:
    """What a new project has in a region."""

    cpu_milli: int
    memory_bytes: int


@cache
def gpu_types() -> tuple[GpuType, ...]:
    """Return every GPU that Cloud Run offers, smallest first."""
    return tuple(_gpu(name, dict(entry)) for name, entry in _table()["gpu"].items())


def gpu_type(name: str) -> GpuType | None:
    """Return the GPU of this name, or None."""
    return next((known for known in gpu_types() if known.name == name), None)


@cache
def service_limits() -> ServiceLimits:
    """Return the limits of services."""
    return ServiceLimits(**_facts("service"))


@cache
def probe_limits() -> ProbeLimits:
    """Return the limits of probes."""
    return ProbeLimits(**_facts("probe"))


@cache
def job_limits() -> JobLimits:
    """Return the limits of jobs."""
    return JobLimits(**_facts("job"))


@cache
def default_quotas() -> DefaultQuotas:
    """Return the quotas of CPU and memory that a new project has."""
    return DefaultQuotas(**_facts("quota"))


@cache
def memory_of_cpus() -> Mapping[int, tuple[int, int]]:
    """Return the least and the most memory in bytes by thousandths of a CPU, for instances without a GPU."""
    return {
        size["cpu"] * 1000: (size["least_mib"] * 2**20, size["most_mib"] * 2**20) for size in _table()["size"]
    }


def _facts(name: str) -> dict[str, int]:
    return {key: value for key, value in _table()[name].items() if key not in _NOTES}


def _gpu(name: str, entry: dict[str, Any]) -> GpuType:  # Any: the values of a TOML table
    least, most = InstanceSize(**entry.pop("least")), InstanceSize(**entry.pop("most"))
    regions = tuple(entry.pop("regions"))
    facts = {key: value for key, value in entry.items() if key not in _NOTES}
    return GpuType(name=name, regions=regions, least=least, most=most, **facts)


@cache
def _table() -> dict[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads((Path(__file__).parent / "cloud_run.toml").read_text(encoding="utf-8"))
