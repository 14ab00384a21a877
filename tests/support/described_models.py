"""Models of a hub that are described by their headers alone."""

from __future__ import annotations

import json

from homeport.catalog.described import Described, of_hub
from homeport.weights.sources.hub import HubSource
from made_headers import CONFIG, EVERY_LAYER, header_of

ROWS = 500_000

LAYERS: dict[str, tuple[str, tuple[int, ...]]] = {
    **EVERY_LAYER,
    "model.embed_tokens.weight": ("BF16", (1000, 8)),
    "model.layers.0.mlp.up_proj.weight": ("BF16", (ROWS, 8)),
}

MORE: dict[str, tuple[str, tuple[int, ...]]] = {"model.layers.1.mlp.up_proj.weight": ("BF16", (ROWS, 8))}

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def whole(layout: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    begin, size = header_of(layout)
    return begin + bytes(size - len(begin))


def repository() -> dict[str, bytes]:
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": b"{}" * 1_000_000,
        "generation_config.json": b'{"temperature": 0.5}',
        "README.md": b"# a model",
        SHARDS[0]: whole(LAYERS),
        SHARDS[1]: whole(MORE),
    }


def ask(file: str | None = None) -> Described:
    source = HubSource(repo="org/model", file=file)
    return of_hub(source, "gguf" if file else "safetensors", name="hf:org/model")
