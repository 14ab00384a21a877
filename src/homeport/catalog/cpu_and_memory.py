"""CPU and memory of an instance: what its containers have together, read as Kubernetes writes amounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_GIB = 2**30
_UNITS = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
DEFAULT_LIMITS: Mapping[str, str] = {"cpu": "1", "memory": "512Mi"}
"""What a container has of which it is not said: Cloud Run's documents, on CPU and memory limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuAndMemory:
    """CPU and memory, without a GPU."""

    cpu: float = 0
    memory_gib: float = 0

    @classmethod
    def of(cls, limits: Mapping[str, str]) -> CpuAndMemory:
        """Return the size that a container's `limits` give it. Raises `ValueError` for an amount that is none."""
        amounts = {**DEFAULT_LIMITS, **limits}
        return cls(cpu=_cpu(amounts["cpu"]), memory_gib=_bytes(amounts["memory"]) / _GIB)

    @classmethod
    def of_all(cls, containers: Iterable[Mapping[str, Any]]) -> CpuAndMemory:  # Any: JSON
        """Return what all containers of a live template have together. Raises `ValueError` as `of` does."""
        sizes = (cls.of(container.get("resources", {}).get("limits", {})) for container in containers)
        return sum(sizes, cls())

    def __add__(self, other: CpuAndMemory) -> CpuAndMemory:
        """Return both together."""
        return CpuAndMemory(cpu=self.cpu + other.cpu, memory_gib=self.memory_gib + other.memory_gib)


NOTHING = CpuAndMemory()


def _cpu(amount: str) -> float:
    """Return CPUs: `2`, `0.5` or `500m`."""
    return float(amount.removesuffix("m")) / 1000 if amount.endswith("m") else float(amount)


def _bytes(amount: str) -> float:
    """Return bytes: `512Mi`, `1.5Gi`, `1G` or a bare number."""
    unit = amount.lstrip("0123456789.")
    if unit not in _UNITS:
        raise ValueError(f"{amount!r} is no amount of memory")
    return float(amount.removesuffix(unit)) * _UNITS[unit]
