"""What this machine has: cores, memory, GPUs, free disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from homeport.child_environment import inherited

_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as its driver names it."""

    name: str
    memory: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What engines may use here."""

    cores: int
    """Those this process may run on, which a container may limit."""
    memory: int
    """Bytes, the smaller of the machine's and the container's limit."""
    memory_available: int
    """Bytes that can be had without swapping."""
    gpus: tuple[Gpu, ...] = ()


def this_machine(*, gpus: bool = True) -> Machine:
    """Return this machine, as it is now. With `gpus=False` the GPUs' driver is not asked, which can take a second."""
    import psutil

    memory = psutil.virtual_memory()
    limit = min([memory.total, *_container_limits()])
    return Machine(
        cores=_cores(),
        memory=limit,
        memory_available=min(memory.available, limit),
        gpus=_nvidia_gpus() if gpus else (),
    )


def free_disk(path: Path) -> int:
    """Return the bytes free where `path` is, or will be."""
    return shutil.disk_usage(_standing(path)).free


def disk_of(path: Path) -> int:
    """Return what tells the disk on which `path` is, or will be, from others."""
    return _standing(path).stat().st_dev


def _standing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _cores() -> int:
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_CPU.read_text().split()
        return max(1, min(here, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return here


def _container_limits() -> list[int]:
    limits = []
    for path in _CGROUP_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return limits


def _nvidia_gpus() -> tuple[Gpu, ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(
            query, env=inherited(()), capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = (line.rsplit(",", 1) for line in listing.splitlines() if "," in line)
    # Some drivers say "[N/A]" for memory that a GPU shares with the machine.
    return tuple(
        Gpu(name=name.strip(), memory=int(mib) * 2**20) for name, mib in rows if mib.strip().isdecimal()
    )
