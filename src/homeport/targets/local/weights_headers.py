"""What headers say of weights before an engine here is started with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import WeightsError
from homeport.resources.local.weights import Weights
from homeport.targets.local.weights import path_of
from homeport.targets.trained_on import another_base
from homeport.weights.manifest import Format
from homeport.weights.sources.registry import parse

if TYPE_CHECKING:
    from homeport.catalog import Model
    from homeport.catalog.described import Described
    from homeport.catalog.safetensors_header import SafetensorsTensor
    from homeport.engines.base import AdapterRank, EngineModule


def described(source: str, wanted: Format, base: Path, *, name: str) -> Described | None:
    """
    Return what the headers of `source` say, where it is the user's own or a hub's; None where nobody can tell yet.

    Raises `WeightsError` for what an engine that loads `wanted` could not load, `NetworkError` where the hub was not reached.
    """
    from homeport.catalog.described import of_hub, of_path
    from homeport.weights.sources.file import FileSource
    from homeport.weights.sources.hub import HubSource

    parsed = parse(source, base=base)
    if isinstance(parsed, HubSource):
        return of_hub(parsed, wanted, name=name)
    if not isinstance(parsed, FileSource):
        return None
    pin = parsed.pin(wanted)
    folder = parsed.folder(Path(), pin)
    return of_path(folder / pin.files[0].path if wanted == "gguf" else folder, name=name)


def model_in(weights: Path, *, name: str) -> Model:
    """Return the model in a folder or GGUF file, called `name`, as its own files say. Raises `WeightsError`."""
    from homeport.catalog import inspect

    return (inspect.from_folder if weights.is_dir() else inspect.from_gguf)(weights, name=name)


def model_if_read(weights: Path, *, name: str) -> Model | None:
    """Return what `model_in` does; None for what it cannot read, of which an engine may know more."""
    try:
        return model_in(weights, name=name)
    except WeightsError:
        return None


def adapter_rank(engine: EngineModule, adapters: Sequence[Path], base: Path) -> int:
    """
    Return the rank that all adapters have room in; 0 for an engine to which it makes no difference.

    Raises `SpecError` for an adapter that the engine would refuse, or that does not belong to the weights at `base`.
    """
    rank_of = engine.ADAPTER_RANK
    if rank_of is None or not adapters:
        return 0
    tensors = _tensors(base)
    return max(_judged(rank_of, folder, tensors)[0] for folder in adapters)


def ensure_adapters(
    engine: EngineModule, adapters: Sequence[Weights], model: Weights | None, base: Path
) -> list[str]:
    """
    Return what may go wrong with the adapters all the same, each as a sentence.

    Raises `WeightsError` or `SpecError` for one that the engine would refuse, or that is not for the model. Those that are
    on this machine are judged, beside the model where it is; a source that is relative starts at `base`.
    """
    weights = here(model, base) if adapters and model else None
    tensors = _tensors(weights) if engine.ADAPTER_RANK is not None else []
    doubts = []
    for adapter in adapters:
        path = here(adapter, base)
        if path is None:
            continue
        if engine.ENSURE_ADAPTER is not None:
            engine.ENSURE_ADAPTER(path, weights)
        elif engine.ADAPTER_RANK is not None:
            _ensure_files(path, engine.ADAPTER_RANK)
            _, doubt = _judged(engine.ADAPTER_RANK, path, tensors)
            trained_on = engine.ADAPTER_RANK.trained_on((path / engine.ADAPTER_RANK.config).read_bytes())
            doubts += [doubt, another_base(trained_on, model.source if model else "", str(path))]
    return list(filter(None, doubts))


def _tensors(base: Path | None) -> list[SafetensorsTensor]:
    """Return the tensors of the model at `base`; none where they are not known."""
    from homeport.catalog import safetensors_header

    shards = sorted(base.glob("*.safetensors")) if base and base.is_dir() else []
    return [tensor for shard in shards for tensor in safetensors_header.read(shard)]


def _judged(rank_of: AdapterRank, folder: Path, tensors: Sequence[SafetensorsTensor]) -> tuple[int, str]:
    """Return the rank of an adapter, and what is doubtful of it. Raises `SpecError` for one that would be refused."""
    from homeport.catalog import safetensors_header

    rank = rank_of.of((folder / rank_of.config).read_bytes(), str(folder))
    header = safetensors_header.read(folder / rank_of.weights)
    doubt = rank_of.ensure_served(header, tensors, str(folder), rank)
    rank_of.ensure_trained(folder / rank_of.weights, str(folder))
    return rank, doubt


def here(weights: Weights, base: Path) -> Path | None:
    """Return the file or folder that an engine would load; None where it is not on this machine yet."""
    manifest = weights.store.manifest(weights.source, weights.format)
    if manifest is not None:
        return path_of(manifest)
    from homeport.weights.sources.file import FileSource

    source = parse(weights.source, base=base)
    if not isinstance(source, FileSource):
        return None
    pin = source.pin(weights.format)
    folder = source.folder(Path(), pin)
    return folder / pin.files[0].path if weights.format == "gguf" else folder


def _ensure_files(folder: Path, rank_of: AdapterRank) -> None:
    """Raise `WeightsError` for a folder that lacks what PEFT writes."""
    for name in (rank_of.config, rank_of.weights):
        if not (folder / name).is_file():
            raise WeightsError(
                f"{folder} has no {name}, and so is no LoRA adapter that can be served",
                hint="name a folder or repository that PEFT has written",
            )
