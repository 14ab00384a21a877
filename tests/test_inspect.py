"""Models that the catalog does not know are read from their own files, which may be damaged."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import catalog
from homeport.catalog import Architecture, Model
from homeport.catalog.gguf_header import read
from homeport.catalog.inspect import from_folder, from_gguf
from homeport.errors import WeightsError

Values = Mapping[str, Any]

LLAMA: Values = {
    "context_length": 8192,
    "block_count": 30,
    "embedding_length": 576,
    "feed_forward_length": 1536,
    "attention.head_count": 9,
    "attention.head_count_kv": 3,
}
GEMMA_3: Values = {
    "context_length": 32768,
    "block_count": 18,
    "embedding_length": 640,
    "feed_forward_length": 2048,
    "attention.head_count": 4,
    "attention.head_count_kv": 1,
    "attention.key_length": 256,
    "attention.sliding_window": 512,
}
GEMMA_4_E2B: Values = {
    "context_length": 131072,
    "block_count": 35,
    "embedding_length": 1536,
    "feed_forward_length": [6144] * 15 + [12288] * 20,
    "attention.head_count": 8,
    "attention.head_count_kv": 1,
    "attention.key_length": 512,
    "attention.key_length_swa": 256,
    "attention.sliding_window": 512,
    "attention.sliding_window_pattern": [layer % 5 != 4 for layer in range(35)],
    "attention.shared_kv_layers": 20,
    "embedding_length_per_layer_input": 256,
}
GEMMA_4_26B: Values = {
    "context_length": 262144,
    "block_count": 30,
    "embedding_length": 2816,
    "feed_forward_length": 2112,
    "attention.head_count": 16,
    "attention.head_count_kv": [2 if layer % 6 == 5 else 8 for layer in range(30)],
    "attention.key_length": 512,
    "attention.key_length_swa": 256,
    "attention.sliding_window": 1024,
    "attention.sliding_window_pattern": [layer % 6 != 5 for layer in range(30)],
    "attention.shared_kv_layers": 0,
    "expert_count": 128,
    "expert_used_count": 8,
    "expert_feed_forward_length": 704,
}
# As published: what transformers saves again is made of it below.
E2B_CONFIG: Values = {
    "model_type": "gemma4_text",
    "hidden_size": 1536,
    "intermediate_size": 6144,
    "num_hidden_layers": 35,
    "num_attention_heads": 8,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_global_key_value_heads": None,
    "attention_k_eq_v": False,
    "num_kv_shared_layers": 20,
    "hidden_size_per_layer_input": 256,
    "use_double_wide_mlp": True,
    "sliding_window": 512,
    "layer_types": ["full_attention" if layer % 5 == 4 else "sliding_attention" for layer in range(35)],
    "max_position_embeddings": 131072,
    "vocab_size": 262144,
    "num_experts": None,
}
MOE_CONFIG: Values = {
    "model_type": "gemma4_text",
    "hidden_size": 2816,
    "intermediate_size": 2112,
    "num_hidden_layers": 30,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "num_global_key_value_heads": 2,
    "head_dim": 256,
    "global_head_dim": 512,
    "attention_k_eq_v": True,
    "sliding_window": 1024,
    "max_position_embeddings": 262144,
    "vocab_size": 262144,
    "num_experts": 128,
    "top_k_experts": 8,
    "moe_intermediate_size": 704,
}


def write_gguf(  # a GGUF of `kind` whose values are named without their family
    path: Path, kind: str, values: Values, *, tokens: int = 300, general: Values | None = None, k_eq_v: bool = False
) -> Path:
    writer = gguf.GGUFWriter(path, kind)
    add_values(writer, {f"{kind}.{key}": value for key, value in values.items()})
    add_values(writer, {"general.file_type": 15, **(general or {})})
    writer.add_token_list([f"token {number}" for number in range(tokens)])
    writer.add_token_scores([0.0] * tokens)
    add_tensors(writer, values, k_eq_v=k_eq_v)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_values(writer: gguf.GGUFWriter, values: Values) -> None:
    for key, value in values.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_uint32(key, value)


def add_tensors(writer: gguf.GGUFWriter, values: Values, *, k_eq_v: bool) -> None:
    pattern = values.get("attention.sliding_window_pattern", [True] * 100)
    writer.add_tensor("token_embd.weight", np.zeros((32, 64), dtype=np.float16))
    writer.add_tensor(
        "output.weight", np.zeros((2, 18), dtype=np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q4_0
    )
    for layer in range(values["block_count"]):
        for part in ("attn_k",) if k_eq_v and not pattern[layer] else ("attn_k", "attn_v"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", np.zeros(8, dtype=np.float32))


def write_folder(path: Path, config: Values, **files: Values) -> Path:
    path.mkdir(exist_ok=True)
    for name, content in {"config": config, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def catalogs(name: str, **changes: Any) -> Architecture:
    model = catalog.find(name)
    assert model is not None
    assert model.architecture is not None
    return replace(model.architecture, **changes)


def without(values: Values, *keys: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}


# ---------------------------------------------------------------- GGUF


def test_a_llama_gguf_gives_what_sizing_needs(tmp_path: Path) -> None:
    general = {"general.name": "Small", "general.license": "apache-2.0", "tokenizer.chat_template": "{{ messages }}"}
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", LLAMA, general=general), name="file:m.gguf")
    assert model.architecture == catalogs("smollm2-135m", vocabulary=300)
    assert (model.name, model.title, model.family) == ("file:m.gguf", "Small", "llama")
    assert (model.context, model.instruct, model.licence) == (8192, True, "apache-2.0")
    assert (model.quantization, model.weights) == ("Q4_K_M", {"llamacpp": "file:m.gguf"})
    assert model.note == ""


def test_a_gguf_without_a_template_is_not_an_instruct_model(tmp_path: Path) -> None:
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", LLAMA), name="m")
    assert not model.instruct
    assert "no chat template" in model.note


def test_a_gemma_3_gguf_has_five_sliding_layers_to_a_global_one(tmp_path: Path) -> None:
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "gemma3", GEMMA_3), name="m")
    assert model.architecture == catalogs("gemma-3-270m", vocabulary=300)


def test_a_gemma_3_gguf_may_name_another_period(tmp_path: Path) -> None:
    values = {**GEMMA_3, "attention.sliding_window_pattern": 3}
    architecture = from_gguf(write_gguf(tmp_path / "m.gguf", "gemma3", values), name="m").architecture
    assert architecture is not None
    assert architecture.global_layers == 6


def test_a_gemma_4_gguf_gives_shared_layers_and_both_widths(tmp_path: Path) -> None:
    general = {"tokenizer.chat_template": "{{ messages }}"}
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "gemma4", GEMMA_4_E2B, general=general), name="m")
    assert model.architecture == catalogs("gemma-4-e2b", vocabulary=300)
    assert (model.tool_parser, model.reasoning_parser) == ("gemma4", "gemma4")


def test_a_gemma_4_gguf_gives_heads_of_each_layer_experts_and_k_as_v(tmp_path: Path) -> None:
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "gemma4", GEMMA_4_26B, k_eq_v=True), name="m")
    assert model.architecture == catalogs("gemma-4-26b-a4b", vocabulary=300)


def test_a_qwen_3_mixture_of_experts_gguf_is_read(tmp_path: Path) -> None:
    values = {**LLAMA, "attention.key_length": 128, "expert_count": 64, "expert_used_count": 4}
    architecture = from_gguf(write_gguf(tmp_path / "m.gguf", "qwen3moe", values), name="m").architecture
    assert architecture is not None
    assert (architecture.head_dim, architecture.experts, architecture.experts_used) == ((128, 128), 64, 4)


def test_a_window_that_llama_cpp_ignores_is_ignored(tmp_path: Path) -> None:
    values = {**LLAMA, "attention.sliding_window": 4096}
    architecture = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", values), name="m").architecture
    assert architecture is not None
    assert (architecture.global_layers, architecture.sliding_window) == (30, None)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("mamba9", LLAMA),
        ("llama", {**LLAMA, "attention.head_count_kv": [3] * 29 + [1]}),
        ("llama", {**LLAMA, "attention.head_count_kv": [0] * 30}),
        ("gemma4", without(GEMMA_4_E2B, "attention.sliding_window_pattern")),
        ("gemma4", without(GEMMA_4_E2B, "attention.sliding_window")),
    ],
)
def test_what_the_code_does_not_understand_is_not_sized(tmp_path: Path, kind: str, values: Values) -> None:
    model = from_gguf(write_gguf(tmp_path / "m.gguf", kind, values), name="m")
    assert model.architecture is None
    assert "cannot be sized" in model.note
    assert model.context == values["context_length"]


def test_sampling_in_a_gguf_is_found(tmp_path: Path) -> None:
    general = {"general.sampling.temp": 0.5, "general.sampling.top_k": 40}
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", LLAMA, general=general), name="m")
    assert model.sampling == {"temperature": 0.5, "top_k": 40.0}


def test_parameters_are_counted_where_nobody_wrote_them(tmp_path: Path) -> None:
    model = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", LLAMA), name="m")
    assert model.parameters == "2.59K"  # 32*64 and 2*32, and 8 for K and V of 30 layers each


@pytest.mark.parametrize(
    ("kind", "general", "found"),
    [
        ("clip", {}, "an encoder of images"),
        ("llama", {"general.type": "adapter"}, "an adapter"),
        ("llama", {"split.no": 1, "split.count": 3}, "part 2 of 3"),
    ],
)
def test_a_gguf_that_is_no_model_is_refused(tmp_path: Path, kind: str, general: Values, found: str) -> None:
    path = write_gguf(tmp_path / "m.gguf", kind, LLAMA, general=general)
    with pytest.raises(WeightsError, match=found) as caught:
        from_gguf(path, name="m")
    assert caught.value.hint


# ---------------------------------------------------------------- damaged GGUF


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    path = tmp_path_factory.mktemp("whole") / "m.gguf"
    return iter([write_gguf(path, "gemma4", GEMMA_4_26B, tokens=40).read_bytes()])
