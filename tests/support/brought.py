"""What people bring that is not as it should be, made in a test from the small model of the tests."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gguf import GGUFReader, GGUFValueType, GGUFWriter

from made_headers import packed
from places import TAUGHT, TAUGHT_FOLDER

INDEX = "model.safetensors.index.json"
_NO_VALUE = "GGUF."
"""What a reader shows as values, and what is none in the file."""


def gguf_with(
    path: Path,
    *,
    values: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
    architecture: str = "",
    split: tuple[int, int] = (0, 1),
) -> Path:
    """
    The model as a GGUF with other `values`, `without` some of them and of its tensors, by their names.

    With `split` it is the part of that number of so many, numbered as llama.cpp's own splitter does it.
    """
    reader = GGUFReader(TAUGHT)
    changed = {**(values or {})}
    writer = GGUFWriter(path, architecture or reader.fields["general.architecture"].contents())
    number, count = split
    for key, field in reader.fields.items():
        if key.startswith(_NO_VALUE) or key == "general.architecture" or key in without or number:
            continue
        kind = field.types[0]
        of = field.types[-1] if kind == GGUFValueType.ARRAY else None
        key_here = key.replace("gemma4.", f"{architecture}.") if architecture else key
        writer.add_key_value(key_here, changed.pop(key, None) or field.contents(), kind, sub_type=of)
    kept = [tensor for tensor in reader.tensors if tensor.name not in without]
    if count > 1:
        each = -(-len(kept) // count)
        writer.add_key_value("split.no", number, GGUFValueType.UINT16)
        writer.add_key_value("split.count", count, GGUFValueType.UINT16)
        writer.add_key_value("split.tensors.count", len(kept), GGUFValueType.INT32)
        kept = kept[number * each : (number + 1) * each]
    assert not changed, f"the model has no {changed}"
    for tensor in kept:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_parts(folder: Path, count: int) -> list[Path]:
    """The model in so many parts, under the names that parts have."""
    return [
        gguf_with(folder / f"m-{number + 1:05d}-of-{count:05d}.gguf", split=(number, count))
        for number in range(count)
    ]


def checkpoint(folder: Path, *, files: int = 1) -> Path:
    """The model as a folder of safetensors; in several files with an index that names them."""
    shutil.copytree(TAUGHT_FOLDER, folder)
    if files == 1:
        return folder
    whole = folder / "model.safetensors"
    data = whole.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    table = {name: one for name, one in json.loads(data[8 : 8 + length]).items() if name != "__metadata__"}
    body, each, file_of = data[8 + length :], -(-len(table) // files), {}
    for number in range(files):
        name = f"model-{number + 1:05d}-of-{files:05d}.safetensors"
        part, at, content = {}, 0, b""
        for tensor in [*table][number * each : (number + 1) * each]:
            begin, end = table[tensor]["data_offsets"]
            part[tensor] = {**table[tensor], "data_offsets": [at, at + end - begin]}
            at, content, file_of[tensor] = at + end - begin, content + body[begin:end], name
        (folder / name).write_bytes(packed(part, at)[0] + content)
    whole.unlink()
    write_index(folder, file_of)
    return folder


def write_index(folder: Path, file_of: Mapping[str, str]) -> None:
    """The index that says in which file each tensor is."""
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": file_of}))


def index_of(folder: Path) -> dict[str, str]:
    """The file of each tensor by the index."""
    return dict(json.loads((folder / INDEX).read_text())["weight_map"])


def adapter(folder: Path, shapes: Mapping[str, tuple[int, int]], **config: Any) -> Path:
    """A LoRA adapter as PEFT writes it; every byte of its numbers is 1."""
    folder.mkdir()
    told = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "bias": "none",
        "base_model_name_or_path": "some-org/base", "target_modules": ["q_proj"], **config,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(told))
    table, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * shape[1]
        table[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    (folder / "adapter_model.safetensors").write_bytes(packed(table, at)[0] + b"\x01" * at)
    return folder
