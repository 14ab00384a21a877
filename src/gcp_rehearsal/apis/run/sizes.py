"""CPU, memory and GPUs of what runs on Cloud Run: quantities as Kubernetes writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gcp_rehearsal.json_types import Json

GPU = "nvidia.com/gpu"
DEFAULT_CPU, DEFAULT_MEMORY = "1000m", "512Mi"
_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_QUANTITY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[kMGT]i?|Ki|)")
_CPU = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<milli>m?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one instance takes."""

    cpu: int = 0
    """In thousandths."""
    memory: int = 0
    gpus: int = 0


def milli(text: str) -> int | None:
    """Return thousandths of a CPU: 500 for `0.5` and `500m`; None for what is no quantity."""
    match = _CPU.fullmatch(text)
    if match is None:
        return None
    return round(float(match["number"]) * (1 if match["milli"] else 1000))


def bytes_of(text: str) -> int | None:
    """Return bytes: 536870912 for `512Mi`; None for what is no quantity."""
    match = _QUANTITY.fullmatch(text)
    return round(float(match["number"]) * _UNITS[match["unit"]]) if match else None


def limits(container: Mapping[str, Json]) -> Mapping[str, str]:
    """Return the limits of a container, those that Google sets included."""
    own: Mapping[str, str] = container.get("resources", {}).get("limits", {})
    return {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY, **own}


def size_of(containers: Iterable[Mapping[str, Json]]) -> Size:
    """Return what all containers of an instance take together."""
    cpu = memory = gpus = 0
    for container in containers:
        has = limits(container)
        cpu += milli(has["cpu"]) or 0
        memory += bytes_of(has["memory"]) or 0
        gpus += int(has[GPU]) if has.get(GPU, "").isdigit() else 0
    return Size(cpu=cpu, memory=memory, gpus=gpus)


def shown(memory: int) -> str:
    """Format bytes as `512Mi` or `4Gi`."""
    return f"{memory >> 30}Gi" if memory % 2**30 == 0 else f"{memory >> 20}Mi"


def seconds(text: str | None, default: float = 0.0) -> float:
    """Return the seconds of a duration such as `300s`; `default` for none."""
    return float(text.removesuffix("s")) if text else default
