"""Where a model may run: the shapes of Cloud Run, and this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeport.engines.footprint import Device, MemoryTerm
from homeport.engines.registry import module
from homeport.hardware import Machine

if TYPE_CHECKING:
    from homeport.catalog.cloudrun import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One machine that a model may run on."""

    name: str
    device: Device
    host_memory: int
    """Bytes of the machine or container beside the GPU; the device's own where there is no GPU."""
    shape: Shape | None = None
    """None for this machine."""

    def host(self, engine: str) -> tuple[MemoryTerm, ...]:
        """Return what is taken of the container's memory; nothing is known of machines that are not Cloud Run's."""
        return () if self.shape is None else module(engine).HOST_MEMORY


def cloud(region: str | None = None, gpu: str = "auto") -> tuple[Place, ...]:
    """Return the confirmed shapes of Cloud Run, in `region` or anywhere, with `gpu` or any, smallest first."""
    from homeport.catalog import cloudrun

    return tuple(
        of_shape(shape)
        for cloud_gpu in cloudrun.gpus()
        if gpu in {"auto", cloud_gpu.name} and (region is None or region in cloud_gpu.regions)
        for shape in cloud_gpu.shapes
        if not shape.unconfirmed
    )


def of_shape(shape: Shape) -> Place:
    """Return the place that a shape of Cloud Run is. Raises `KeyError` for a GPU that it does not have."""
    from homeport.catalog import cloudrun

    cloud_gpu = cloudrun.gpu(shape.gpu)
    if cloud_gpu is None:
        raise KeyError(shape.gpu)
    device = Device(name=cloud_gpu.title, memory=cloud_gpu.memory, gpu=True)
    return Place(
        name=f"{shape.gpu} {shape.cpu} CPU {shape.memory_gib} GiB",
        device=device,
        host_memory=shape.memory_gib * 2**30,
        shape=shape,
    )


def this(machine: Machine, engine: str) -> Place:
    """Return this machine, as `engine` uses it: on its first GPU, where both want it; else in its memory."""
    gpu = machine.gpus[0] if machine.gpus and module(engine).USES_GPU else None
    device = Device(
        name=gpu.name if gpu else "this machine",
        memory=gpu.memory if gpu else machine.memory,
        gpu=gpu is not None,
    )
    return Place(name="this machine", device=device, host_memory=machine.memory)
