"""Adapters that vLLM loads."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random


def tensors_of(rank: int, value: int = 1) -> bytes:
    """The tensors of a LoRA adapter for a layer of the taught Gemma 4; every byte of its numbers is `value`."""
    header, at = {}, 0
    for half, shape in (("A", (rank, 256)), ("B", (128, rank))):
        size = 2 * shape[0] * shape[1]
        name = f"base_model.model.model.layers.0.self_attn.o_proj.lora_{half}.weight"
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": (at, at + size)}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes([value]) * at


def adapter(folder: Path, scale: float) -> Path:
    """A LoRA adapter of rank 4 as PEFT writes it, for two layers of the taught Gemma 4."""
    folder.mkdir()
    told = {"peft_type": "LORA", "r": 4, "lora_alpha": 4, "target_modules": ["o_proj"], "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    random, header, data = Random(7), {}, b""
    for layer in (0, 1):
        for half, shape in (("A", (4, 256)), ("B", (128, 4))):
            size = shape[0] * shape[1]
            values = [random.uniform(-1, 1) * (scale if half == "B" else 1.0) for _ in range(size)]
            name = f"base_model.model.model.layers.{layer}.self_attn.o_proj.lora_{half}.weight"
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (len(data), len(data) + 4 * size)}
            data += struct.pack(f"<{size}f", *values)
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    return folder
