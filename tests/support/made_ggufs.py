"""Small GGUF files, made in a test."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def parts_of(folder: Path, count: int) -> list[Path]:
    """A model of so many tensors, split into so many parts, numbered as llama.cpp's own splitter does it."""
    paths = [folder / f"m-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    for number, path in enumerate(paths):
        writer = gguf.GGUFWriter(path, "llama")
        if number == 0:
            writer.add_context_length(1024)
            writer.add_block_count(1)
            writer.add_embedding_length(8)
            writer.add_head_count(2)
        writer.add_key_value("split.no", number, gguf.GGUFValueType.UINT16)
        writer.add_key_value("split.count", count, gguf.GGUFValueType.UINT16)
        writer.add_key_value("split.tensors.count", count, gguf.GGUFValueType.INT32)
        writer.add_tensor(f"blk.0.tensor_{number}.weight", np.zeros((4, 8), dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return paths
