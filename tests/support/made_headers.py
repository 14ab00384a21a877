"""Headers of weights, made in a test."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

WIDTH = {"BF16": 2, "F32": 4, "F8_E4M3": 1, "I32": 4}


def header_of(layout: Mapping[str, tuple[str, tuple[int, ...]]]) -> tuple[bytes, int]:
    """The beginning of a safetensors file with these tensors, and how long the whole file is."""
    table: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, (dtype, shape) in layout.items():
        size = WIDTH[dtype]
        for length in shape:
            size *= length
        table[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return packed(table, at)


def packed(table: Mapping[str, Any], data: int) -> tuple[bytes, int]:
    """The beginning of a file with this header and `data` bytes behind it, and how long the whole file is."""
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text, 8 + len(text) + data


EVERY_LAYER: dict[str, tuple[str, tuple[int, ...]]] = {
    f"model.layers.{at}.mlp.gate_proj.weight": ("BF16", (1, 1)) for at in range(6)
}

"""So that no layer of CONFIG is missing: twelve bytes."""

CONFIG = {
    "model_type": "gemma4_text",
    "num_hidden_layers": 6,
    "hidden_size": 8,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "global_head_dim": 32,
    "sliding_window": 512,
    "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    "max_position_embeddings": 8192,
    "vocab_size": 1000,
    "intermediate_size": 16,
}
