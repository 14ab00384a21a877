"""Pinned weights, and the LoRA adapters that are served beside a model: whether the engine will take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.engines.base import EngineModule
from homeport.errors import WeightsError
from homeport.targets.trained_on import another_base
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
    trained_on: str = ""
    """The repository of the model that it says it was trained on; '' where it names none."""
    doubts: tuple[str, ...] = ()
    """What may go wrong with it all the same, each as a sentence."""


def judged(
    adapter: ChosenAdapter,
    engine: EngineModule,
    base: Sequence[SafetensorsTensor],
    source: str,
    begin: Callable[[PinnedModel, PinnedFile, int], bytes],
) -> ChosenAdapter:
    """
    Return the adapter with what is doubtful of it beside the tensors of `base`, which lie at `source`.

    Raises `SpecError` for one whose tensors the engine refuses or ignores.

    Where `base` is empty, its tensors are not known, and the adapter's own alone are judged.
    """
    rank_of = engine.ADAPTER_RANK
    if rank_of is None:
        return adapter
    from homeport.catalog.described import tensors_of

    pin = adapter.pinned.pin
    if not any(file.path == rank_of.weights for file in pin.files):
        raise WeightsError(
            f"{pin.source} has no {rank_of.weights}, and so is no LoRA adapter that can be served",
            hint="name a folder or repository that PEFT has written",
        )
    tensors = tensors_of(pin, lambda file, length: begin(adapter.pinned, file, length), only=rank_of.weights)
    where = f"the adapter {adapter.name} ({pin.source})"
    doubt = rank_of.ensure_served(tensors, base, where, adapter.rank)
    if adapter.pinned.folder is not None:
        rank_of.ensure_trained(adapter.pinned.folder / rank_of.weights, where)
    return replace(
        adapter, doubts=tuple(filter(None, (doubt, another_base(adapter.trained_on, source, where))))
    )
