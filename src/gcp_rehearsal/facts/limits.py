"""How much of Cloud Run a project may have in a region before anybody asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gcp_rehearsal.facts import cloud_run

SERVICE = "run.googleapis.com"
CPU = "CpuAllocPerProjectRegion"
MEMORY = "MemAllocPerProjectRegion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """One quota of Cloud Run's, counted in each project and region."""

    id: str
    title: str
    metric: str
    unit: str
    """What it counts, as Cloud Quotas names it."""
    default: int
    gpu: bool = False
    regions: tuple[str, ...] = ()
    """Where it is counted; () for everywhere."""


def _of_gpus() -> list[Quota]:
    quotas = []
    for gpu in cloud_run.gpu_types():
        title = f"Total {gpu.title} GPU allocation"
        milli = ", in milli GPU" if gpu.quota_unit > 1 else ""
        metric = f"{SERVICE}/{gpu.name.replace('-', '_')}_gpu_allocation"
        quotas += [
            Quota(id=gpu.quota, title=f"{title} without zonal redundancy{milli}, per project per region",
                  metric=f"{metric}_no_zonal_redundancy", unit="1", default=gpu.default_gpus * gpu.quota_unit,
                  gpu=True, regions=gpu.regions),
            Quota(id=gpu.quota_zonal, title=f"{title} with zonal redundancy{milli}, per project per region",
                  metric=metric, unit="1", default=0, gpu=True, regions=gpu.regions),
        ]  # fmt: skip
    return quotas


QUOTAS: tuple[Quota, ...] = (
    Quota(id=CPU, title="Total CPU allocation, in milli vCPU, per project per region",
          metric=f"{SERVICE}/cpu_allocation", unit="1", default=cloud_run.default_quotas().cpu_milli),
    Quota(id=MEMORY, title="Total memory allocation, in bytes, per project per region",
          metric=f"{SERVICE}/memory_allocation", unit="By", default=cloud_run.default_quotas().memory_bytes),
    *_of_gpus(),
)  # fmt: skip
"""Every quota that is rehearsed, with what a new project has."""


def quota(name: str) -> Quota | None:
    """Return the quota of this id, or None."""
    return next((known for known in QUOTAS if known.id == name), None)


def limit(quotas: Mapping[str, int], name: str, region: str) -> int:
    """
    Return how much a project may have of a quota in a region.

    What `quotas` says goes before the default: by `ID@REGION` for one region, by `ID` for all of them.
    """
    known = quota(name)
    default = known.default if known else 0
    return quotas.get(f"{name}@{region}", quotas.get(name, default))
