"""Pinned weights, and the LoRA adapters that are served beside a model: whether the engine will take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.engines.base import EngineModule
from homeport.errors import WeightsError
from homeport.weights.manifest import Pin, PinnedFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedModel:
    """Weights, pinned."""

    pin: Pin
    folder: Path | None
    """Where they are on this machine; None where the cloud can reach them by itself."""
    prefix: str
    """Where they lie in the bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenAdapter:
    """A LoRA adapter that is served beside the model."""

    name: str
    """What clients ask for."""
    pinned: PinnedModel
    rank: int
    """The rank that it needs room in."""


def ensure_served(
    adapter: ChosenAdapter,
    engine: EngineModule,
    base: Sequence[SafetensorsTensor],
    begin: Callable[[PinnedModel, PinnedFile, int], bytes],
) -> None:
    """
    Raise `SpecError` for an adapter whose tensors the engine refuses or ignores beside the tensors of `base`.

    Where `base` is empty, its tensors are not known, and the adapter's own alone are judged.
    """
    rank_of = engine.ADAPTER_RANK
    if rank_of is None:
        return
    from homeport.catalog.described import tensors_of

    pin = adapter.pinned.pin
    if not any(file.path == rank_of.weights for file in pin.files):
        raise WeightsError(
            f"{pin.source} has no {rank_of.weights}, and so is no LoRA adapter that can be served",
            hint="name a folder or repository that PEFT has written",
        )
    tensors = tensors_of(pin, lambda file, length: begin(adapter.pinned, file, length), only=rank_of.weights)
    rank_of.ensure_served(tensors, base, f"the adapter {adapter.name} ({pin.source})")
