"""What headers say of weights before an engine here is started with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import NetworkError
from homeport.weights.manifest import Format
from homeport.weights.sources.file import FileSource
from homeport.weights.sources.hub import HubSource
from homeport.weights.sources.registry import parse

if TYPE_CHECKING:
    from homeport.catalog.described import Described
    from homeport.engines.base import EngineModule


def described(source: str, wanted: Format, base: Path, *, name: str) -> Described | None:
    """
    Return what the headers of `source` say, where it is the user's own or a hub's; None where nobody can tell yet.

    Raises `WeightsError` for what an engine that loads `wanted` could not load.
    """
    from homeport.catalog.described import of_hub, of_path

    parsed = parse(source, base=base)
    if isinstance(parsed, HubSource):
        try:
            return of_hub(parsed, wanted, name=name)
        except NetworkError:
            return None  # `up` will say so, should it need the network.
    if not isinstance(parsed, FileSource):
        return None
    pin = parsed.pin(wanted)
    folder = parsed.folder(Path(), pin)
    return of_path(folder / pin.files[0].path if wanted == "gguf" else folder, name=name)


def adapter_rank(engine: EngineModule, adapters: Sequence[Path], base: Path) -> int:
    """
    Return the rank that all adapters have room in; 0 for an engine to which it makes no difference.

    Raises `SpecError` for an adapter that the engine would refuse, or that does not belong to the weights at `base`.
    """
    rank_of = engine.ADAPTER_RANK
    if rank_of is None or not adapters:
        return 0
    from homeport.catalog import safetensors_header

    shards = sorted(base.glob("*.safetensors")) if base.is_dir() else []
    tensors = [tensor for shard in shards for tensor in safetensors_header.read(shard)]
    ranks = []
    for folder in adapters:
        config = (folder / rank_of.config).read_bytes()
        ranks.append(rank_of.of(config, str(folder)))
        rank_of.ensure_served(safetensors_header.read(folder / rank_of.weights), tensors, str(folder))
    return max(ranks)
