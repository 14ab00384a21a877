"""An adapter whose weights are zeros is told before an engine starts with it, by its own file alone."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest

from homeport.engines.llamacpp.adapter import ensure_applied
from homeport.engines.vllm.adapter_tensors import ensure_trained
from homeport.errors import SpecError

ZEROS = r"x changes nothing: its weights are zeros, as they are before the first step"
LIVE = [{"A": 1.0, "B": 1e-30}, {"A": 1.0, "B": 0.0}]
DEAD = [[{"A": 1.0, "B": 0.0}], [{"A": 0.0, "B": 1.0}], [{"A": 1.0, "B": 0.0}, {"A": 0.0, "B": 1.0}]]


def safetensors(path: Path, modules: list[dict[str, float]]) -> Path:
    header, data = {}, b""
    for at, both in enumerate(modules):
        for side, value in both.items():
            name = f"base_model.model.model.layers.{at}.self_attn.q_proj.lora_{side}.weight"
            header[name] = {"dtype": "F32", "shape": (8, 8), "data_offsets": (len(data), len(data) + 256)}
            data += np.full(64, value, dtype=np.float32).tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def ggufs(path: Path, modules: list[dict[str, float]], kind: gguf.GGMLQuantizationType | None = None) -> Path:
    writer = gguf.GGUFWriter(path, "gemma4")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    for at, both in enumerate(modules):
        for side, value in both.items():
            numbers = np.full((32, 32), value, dtype=np.float32)
            packed = numbers if kind is None else gguf.quantize(numbers, kind)
            writer.add_tensor(f"blk.{at}.attn_q.weight.lora_{side.lower()}", packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("modules", DEAD)
def test_an_adapter_that_adds_nothing_to_any_module_is_refused(
    modules: list[dict[str, float]], tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=ZEROS) as told:
        ensure_trained(safetensors(tmp_path / "x", modules), "x")
    assert "saved after its training" in told.value.hint
    for kind in (None, gguf.GGMLQuantizationType.Q8_0):
        with pytest.raises(SpecError, match=ZEROS):
            ensure_applied(ggufs(tmp_path / "x", modules, kind), None)


def test_an_adapter_that_adds_anything_to_one_module_is_taken(tmp_path: Path) -> None:
    for modules in (LIVE, LIVE[::-1]):
        ensure_trained(safetensors(tmp_path / "x", modules), "x")
        ensure_applied(ggufs(tmp_path / "x", modules), None)


def test_an_adapter_that_differs_from_zeros_in_its_last_byte_alone_is_taken(tmp_path: Path) -> None:
    file = safetensors(tmp_path / "x", [{"A": 1.0, "B": 0.0}])
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    ensure_trained(file, "x")


def test_what_nobody_here_knows_the_length_of_is_not_called_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = ggufs(tmp_path / "x", DEAD[0])
    monkeypatch.setattr("homeport.catalog.gguf_header.block_sizes", dict)
    ensure_applied(file, None)
