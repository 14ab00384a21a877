"""What a model is, from headers alone: damaged ones are told, whole ones add up."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.catalog import described, gguf_header, safetensors_header, tensors
from homeport.catalog.partial_read import NeedsMore
from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.catalog.untrusted import Table
from homeport.errors import WeightsError
from made_headers import CONFIG, EVERY_LAYER, WIDTH, header_of, packed
from places import TAUGHT

LAYOUT: dict[str, tuple[str, tuple[int, ...]]] = {
    "model.language_model.embed_tokens.weight": ("BF16", (1000, 8)),
    "model.language_model.embed_tokens_per_layer.weight": ("BF16", (1000, 4)),
    "model.language_model.layers.0.self_attn.q_proj.weight": ("BF16", (16, 8)),
    "model.language_model.layers.0.self_attn.k_norm.weight": ("BF16", (8,)),
    "model.language_model.layers.0.mlp.down_proj.weight_packed": ("I32", (8, 2)),
    "model.language_model.layers.0.mlp.down_proj.weight_scale": ("BF16", (8, 1)),
    "model.language_model.layers.0.router.per_expert_scale": ("BF16", (8,)),
    "model.language_model.layers.0.experts.gate_up_proj": ("BF16", (4, 4, 8)),
    "model.vision_tower.encoder.layers.0.self_attn.q_proj.linear.weight": ("BF16", (8, 8)),
    "model.embed_vision.embedding_projection.weight": ("BF16", (8, 8)),
    "model.audio_tower.layers.0.self_attn.post.linear.weight": ("BF16", (8, 4)),
    "lm_head.weight": ("BF16", (1000, 8)),
}


def test_tensors_are_told_apart_by_their_names() -> None:
    begin, size = header_of(LAYOUT)
    parts = tensors.of_safetensors(safetensors_header.parse(begin, size, "x"))
    assert parts.embedding == 16_000
    assert parts.per_layer_embedding == 8_000
    assert parts.head == 16_000
    assert parts.matrices == 2 * 16 * 8 + 8 * 2 * 4 + 8 * 2 + 2 * 4 * 4 * 8
    assert parts.rest == 16 + 16
    assert parts.vision == 2 * 2 * 64
    assert parts.audio == 2 * 32
    assert parts.total == size - len(begin)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("language_model.model.embed_tokens.weight", "embedding"),
        ("model.layers.3.block_sparse_moe.experts.0.w1.weight", "matrices"),
        ("model.layers.3.mlp.experts.gate_up_proj_blocks", "matrices"),
        ("model.layers.3.self_attn.o_proj.qzeros", "matrices"),
        ("visual.blocks.0.attn.qkv.weight", "vision"),
        ("vision_tower.vision_model.embeddings.patch_embedding.weight", "vision"),
        ("multi_modal_projector.mm_input_projection_weight", "vision"),
        ("audio_tower.conformer.0.attention.attn.q_proj.weight", "audio"),
        ("model.norm.weight", "rest"),
        ("model.vision_tower.patch_embedder.position_embedding_table", "vision"),
        ("model.embed_vision.multimodal_embedder.embedding_projection.weight", "vision"),
        ("model.embed_vision.pos_embedding", "vision"),
        ("model.visual.merger.mlp.0.weight", "vision"),
        ("model.multi_modal_projector.patch_merger.merging_layer.weight", "vision"),
        ("model.audio_tower.subsample_conv_projection.layer0.conv.weight", "audio"),
        ("model.audio_tower.layers.0.self_attn.per_dim_scale", "audio"),
        ("model.embed_audio.embedding_projection.weight", "audio"),
        ("model.language_model.per_layer_model_projection.weight", "matrices"),
        ("model.language_model.layers.0.per_layer_input_gate.weight", "matrices"),
        ("model.layers.3.mlp.shared_expert.down_proj.weight", "matrices"),
        ("model.layers.3.self_attn.o_proj.weight_scale_inv", "matrices"),
        ("language_model.lm_head.weight", "head"),
        ("lm_head.weight_packed", "head"),
        ("lm_head.weight_scale", "head"),
        ("lm_head.qweight", "head"),
        ("model.embed_tokens.weight_scale", "embedding"),
        ("model.layers.3.self_attn.sinks", "rest"),
        ("model.language_model.layers.0.layer_scalar", "rest"),
    ],
)
def test_the_names_of_other_families_are_known_too(name: str, part: str) -> None:
    dimensions = (4,) if part == "rest" else (4, 4)
    parts = tensors.of_safetensors([SafetensorsTensor(name=name, dtype="BF16", shape=dimensions, size=32)])
    assert getattr(parts, part) == 32


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=40),
        st.tuples(st.sampled_from(sorted(WIDTH)), st.lists(st.integers(0, 50), max_size=4).map(tuple)),
        max_size=20,
    )
)
def test_the_parts_always_add_up_to_the_file(layout: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    layout.pop("__metadata__", None)
    begin, size = header_of(layout)
    assert tensors.of_safetensors(safetensors_header.parse(begin, size, "x")).total == size - len(begin)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=6).map(list),
    st.integers(0, 5),
    st.integers(0, 1),
    st.sampled_from([-3, -1, 1, 3]),
)
def test_tensors_that_do_not_fill_the_file_are_told(sizes: list[int], which: int, end: int, by: int) -> None:
    begin, size = header_of({str(at): ("F8_E4M3", (length,)) for at, length in enumerate(sizes)})
    table = json.loads(begin[8:])
    table[str(which % len(sizes))]["data_offsets"][end] += by
    with pytest.raises(WeightsError):
        safetensors_header.parse(*packed(table, size - len(begin)), "x")


@pytest.mark.parametrize(
    ("entry", "more", "said"),
    [
        ({"dtype": "I8", "shape": [2, 5], "data_offsets": [0, 10.0]}, 0, "a length that is none"),
        ({"dtype": "I8", "shape": [2, True], "data_offsets": [0, 10]}, 0, "a length that is none"),
        ({"dtype": "I8", "shape": [-2, -5], "data_offsets": [0, 10]}, 0, "a length that is none"),
        ({"dtype": "I8", "shape": "25", "data_offsets": [0, 10]}, 0, "no type or no shape"),
        ({"dtype": "BF16", "shape": [2, 5], "data_offsets": [0, 10]}, 0, "has 10 bytes, by its shape it needs 20"),
        ({"dtype": "I8", "shape": [2, 5], "data_offsets": [0, 10]}, 3, "announces 10 bytes of tensors, the file has 13"),
    ],
)  # fmt: skip
def test_lengths_are_checked_before_they_are_believed(entry: dict[str, Any], more: int, said: str) -> None:
    with pytest.raises(WeightsError, match=said):
        safetensors_header.parse(*packed({"t": entry}, 10 + more), "x")


def test_a_gap_does_not_make_up_for_an_overlap() -> None:
    spans = ([0, 10], [5, 15], [20, 25])
    table = {
        str(at): {"dtype": "I8", "shape": [end - begin], "data_offsets": [begin, end]}
        for at, (begin, end) in enumerate(spans)
    }
    with pytest.raises(WeightsError, match="overlap, or leave gaps"):
        safetensors_header.parse(*packed(table, 25), "x")


def test_a_type_that_is_newer_than_homeport_is_believed() -> None:
    table = {"t": {"dtype": "F3_NEW", "shape": [8], "data_offsets": [0, 3]}}
    (tensor,) = safetensors_header.parse(*packed(table, 3), "x")
    assert (tensor.dtype, tensor.size) == ("F3_NEW", 3)


@given(st.integers(0, 400))
def test_of_a_prefix_it_is_said_how_much_more_is_needed(length: int) -> None:
    begin, size = header_of(LAYOUT)
    length = min(length, len(begin) - 1)
    with pytest.raises(NeedsMore) as needs:
        safetensors_header.parse(begin[:length], size, "x")
    assert length < needs.value.at_least <= len(begin)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_are_a_crash(data: bytes) -> None:
    with pytest.raises((WeightsError, NeedsMore)):
        safetensors_header.parse(data, len(data), "x")
    with pytest.raises((WeightsError, NeedsMore)):
        gguf_header.parse(data, len(data), "x")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda begin, size: (b"<!DOCTYPE html><html>", 21), "not a safetensors file"),
        (lambda begin, size: (b"version https://git-lfs", 23), "not a safetensors file"),
        (lambda begin, size: (begin, size - 1), "cut short: its header announces"),
        (lambda begin, size: (begin[:30], 30), "cut short: it ends inside its own header"),
        (lambda begin, size: (begin[:8] + b"x" * (len(begin) - 8), size), "is damaged"),
        (lambda begin, size: (struct.pack("<Q", 200_000_000) + begin[8:], 1 << 40), "announces a header of 200,000,000"),
        (lambda begin, size: (begin.replace(b"[0, 16000]", b"[0, 15000]"), size), "overlap, or leave gaps"),
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_told(spoil: Any, said: str) -> None:
    begin, size = spoil(*header_of(LAYOUT))
    with pytest.raises(WeightsError, match=said):
        safetensors_header.parse(begin, size, "model.safetensors")


@pytest.mark.parametrize(
    ("config", "dtype", "word"),
    [
        ({}, "BF16", "bfloat16"),
        ({}, "F8_E4M3", "fp8"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized"}}, "I32", "w4a16"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}}, "I32", "nvfp4"),
        ({"quantization_config": {"quant_method": "awq"}}, "I32", "awq"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "I32", "gptq"),
        ({"quantization_config": {"quant_method": "fp8"}}, "F8_E4M3", "fp8"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "float-quantized"}}, "F8_E4M3", "fp8"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized"}}, "I8", "int8"),
        ({"quantization_config": {"format": "pack-quantized", "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}}, "I32", "w8a16"),
        ({"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}}, "U8", "nvfp4"),
        ({"compression_config": {"format": "pack-quantized"}}, "I32", "w4a16"),
        ({"text_config": {"quantization_config": {"quant_method": "awq"}}}, "I32", "awq"),
    ],
)  # fmt: skip
def test_how_weights_are_stored_is_said_in_a_word(config: dict[str, Any], dtype: str, word: str) -> None:
    assert (
        tensors.quantization(Table(config, "config.json"), [SafetensorsTensor("a.weight", dtype, (4, 4), 32)])
        == word
    )


def test_a_gguf_is_read_from_as_much_as_its_header_needs() -> None:
    whole = TAUGHT.read_bytes()
    length, found = 1024, None
    while found is None:
        try:
            found = gguf_header.parse(whole[:length], len(whole), "x")
        except NeedsMore as more:
            length = max(more.at_least, 2 * length)
    assert found == gguf_header.read(TAUGHT)
    assert tensors.of_gguf(found).total == found.tensor_bytes


def test_the_parts_of_a_gguf_show_what_stays_beside_the_gpu(real_weights: Mapping[str, Path]) -> None:
    found = described.of_path(real_weights["gemma-3-270m-pt"], name="x")
    assert found.quantization == "Q4_K_M"
    assert found.parts.embedding > found.parts.matrices > 0
    assert found.bytes == found.parts.total


def test_a_folder_is_described_by_its_config_and_headers(tmp_path: Path) -> None:
    begin, size = header_of({**LAYOUT, **EVERY_LAYER})
    (tmp_path / "model.safetensors").write_bytes(begin + bytes(size - len(begin)))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    found = described.of_path(tmp_path, name="mine")
    assert (found.format, found.quantization, found.bytes) == ("safetensors", "bfloat16", size - len(begin))
    assert found.model.architecture is not None
    assert found.model.architecture.head_dim == (16, 32)


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds no safetensors and no GGUF"):
        described.of_path(tmp_path, name="x")
