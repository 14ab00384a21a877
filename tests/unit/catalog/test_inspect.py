"""Models that the catalog does not know are read from their own files, which may be damaged."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import catalog
from homeport.catalog import Architecture
from homeport.catalog.gguf_header import read
from homeport.catalog.inspect import from_folder, from_gguf
from homeport.catalog.made_for import task_of
from homeport.catalog.untrusted import Table
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


def write_gguf(
    path: Path,
    kind: str,
    values: Values,
    *,
    tokens: int = 300,
    general: Values | None = None,
    k_eq_v: bool = False,
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
    general = {
        "general.name": "Small",
        "general.license": "apache-2.0",
        "tokenizer.chat_template": "{{ messages }}",
    }
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
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    return write_gguf(folder / "whole.gguf", "gemma4", GEMMA_4_26B, tokens=40).read_bytes()


def refusal(path: Path, content: bytes) -> WeightsError:
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        from_gguf(path, name="m")
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_a_gguf_cut_in_half_says_how_much_is_missing(folder: Path, whole: bytes) -> None:
    error = refusal(folder / "half.gguf", whole[:-200])
    assert "is cut short: its header announces 6,080 bytes of tensors, the file has 5,880" in str(error)


def test_a_gguf_cut_anywhere_is_refused(folder: Path, whole: bytes) -> None:
    for length in range(0, len(whole), 7):
        refusal(folder / "cut.gguf", whole[:length])
    refusal(folder / "cut.gguf", whole[:-1])


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_gguf_is_read_or_refused_and_nothing_else(
    folder: Path, whole: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(1, 4))):
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    path = folder / "damaged.gguf"
    path.write_bytes(damaged)
    try:
        model = from_gguf(path, name="m")
    except WeightsError:
        return
    assert model.context > 0


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_what_only_begins_like_a_gguf_is_refused(folder: Path, content: bytes) -> None:
    refusal(folder / "fake.gguf", b"GGUF" + content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"GG", "is not a GGUF file"),
        (b"<!DOCTYPE html><html>", "is not a GGUF file: it is a web page"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 0x1"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "is a big-endian GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0), "announces 1,152,921,504,606,846,976 tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "values"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "bytes of text"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 99), "type 99"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 1),
            "a list is of type 9",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 1 << 50),
            "values in one list",
        ),
    ],
)
def test_what_is_no_gguf_is_said_to_be_none(folder: Path, content: bytes, said: str) -> None:
    assert said in str(refusal(folder / "none.gguf", content))


def test_a_gguf_that_is_not_there_is_a_weights_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        from_gguf(tmp_path / "none.gguf", name="m")
    with pytest.raises(WeightsError, match="cannot be read"):
        from_gguf(tmp_path, name="m")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0),
        ("block_count", 1 << 31),
        ("block_count", "thirty"),
        ("context_length", 0),
        ("attention.head_count_kv", [3] * 7),
        ("attention.key_length", 2.5),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(tmp_path: Path, key: str, value: object) -> None:
    path = write_gguf(tmp_path / "m.gguf", "llama", LLAMA)
    header = read(path)
    assert f"llama.{key}" in header.values or key == "attention.key_length"
    writer = gguf.GGUFWriter(path, "llama")
    add_values(writer, {f"llama.{name}": old for name, old in {**LLAMA, key: value}.items()})
    add_tensors(writer, LLAMA, k_eq_v=False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(WeightsError, match=key):
        from_gguf(path, name="m")


def test_tensors_of_an_unknown_type_leave_the_length_unchecked_and_say_so(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", "llama", LLAMA)
    content = path.read_bytes()
    name = b"token_embd.weight"
    at = content.index(name) + len(name) + 4 + 2 * 8
    path.write_bytes(content[:at] + struct.pack("<I", 999) + content[at + 4 :])
    assert "tensors of type [999] are not known" in from_gguf(path, name="m").note


# ---------------------------------------------------------------- a folder with a config.json


def test_a_published_gemma_4_config_is_read(tmp_path: Path) -> None:
    template = {"chat_template": "{{ messages }}"}
    generation = {"temperature": 1.0, "top_p": 0.95, "top_k": 64, "do_sample": True}
    write_folder(tmp_path, E2B_CONFIG, tokenizer_config=template, generation_config=generation)
    model = from_folder(tmp_path, name="hf:me/mine")
    assert model.architecture == catalogs("gemma-4-e2b")
    assert (model.instruct, model.tool_parser, model.context) == (True, "gemma4", 131072)
    assert model.sampling == {"temperature": 1.0, "top_p": 0.95, "top_k": 64.0}
    assert model.weights == {"vllm": "hf:me/mine"}


@pytest.mark.parametrize("form", ["{}", "{:02}"])
def test_a_gemma_4_config_that_transformers_saved_is_read(tmp_path: Path, form: str) -> None:
    own = {form.format(layer): {"head_dim": 512} for layer in range(35) if layer % 5 == 4}
    saved = {**without(E2B_CONFIG, "global_head_dim", "num_global_key_value_heads"), "per_layer_config": own}
    assert from_folder(write_folder(tmp_path, saved), name="m").architecture == catalogs("gemma-4-e2b")


def test_heads_and_experts_of_a_saved_gemma_4_config_are_read(tmp_path: Path) -> None:
    own = {f"{layer:02}": {"head_dim": 512, "num_key_value_heads": 2} for layer in range(5, 30, 6)}
    saved = {**without(MOE_CONFIG, "global_head_dim", "num_global_key_value_heads"), "per_layer_config": own}
    for number, config in enumerate((MOE_CONFIG, saved)):
        folder = write_folder(tmp_path / str(number), config)
        assert from_folder(folder, name="m").architecture == catalogs("gemma-4-26b-a4b")


def test_a_multimodal_config_holds_its_text_in_a_part(tmp_path: Path) -> None:
    config = {
        "model_type": "gemma4",
        "text_config": E2B_CONFIG,
        "vision_config": {"a": 1},
        "audio_config": None,
    }
    model = from_folder(write_folder(tmp_path, config), name="m")
    assert model.architecture == catalogs("gemma-4-e2b")
    assert model.modalities == ("text", "image")


def test_a_gemma_3_config_may_leave_out_its_defaults(tmp_path: Path) -> None:
    text = {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "sliding_window": 1024,
    }
    config = {"model_type": "gemma3", "text_config": text, "vision_config": {"a": 1}}
    model = from_folder(write_folder(tmp_path, config), name="m")
    assert model.architecture == catalogs("gemma-3-4b", vocabulary=262_208)
    assert model.context == 131072


def plain(kind: str, **more: object) -> dict[str, object]:
    config = {"model_type": kind, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32}
    return {**config, "num_key_value_heads": 8, "max_position_embeddings": 32768, "vocab_size": 32000, **more}


@pytest.mark.parametrize(
    ("config", "global_layers", "window"),
    [
        (plain("llama"), 32, None),
        (plain("mistral", sliding_window=None), 32, None),
        (plain("mistral", sliding_window=4096), 0, 4096),
        (plain("qwen2", sliding_window=4096, use_sliding_window=False, max_window_layers=28), 32, None),
        (plain("qwen2", sliding_window=4096, use_sliding_window=True, max_window_layers=28), 28, 4096),
        (plain("qwen3", sliding_window=None, layer_types=["full_attention"] * 32), 32, None),
        (plain("gemma2", sliding_window=4096), 16, 4096),
    ],
)
def test_windows_of_other_families_are_understood(
    tmp_path: Path, config: Values, global_layers: int, window: int | None
) -> None:
    architecture = from_folder(write_folder(tmp_path, config), name="m").architecture
    assert architecture is not None
    assert (architecture.global_layers, architecture.sliding_window) == (global_layers, window)
    assert (architecture.kv_heads, architecture.head_dim) == ((8, 8), (128, 128))


@pytest.mark.parametrize("spelling", ["num_local_experts", "num_experts"])
def test_experts_have_two_spellings(tmp_path: Path, spelling: str) -> None:
    config = plain("mixtral", num_experts_per_tok=2, moe_intermediate_size=1408, **{spelling: 8})
    architecture = from_folder(write_folder(tmp_path, config), name="m").architecture
    assert architecture is not None
    assert (architecture.experts, architecture.experts_used, architecture.expert_ffn) == (8, 2, 1408)


@pytest.mark.parametrize(
    "config",
    [
        plain("brand_new"),
        plain("qwen3", sliding_window=512, layer_types=["linear_attention"] * 32),
        plain("qwen3", sliding_window=512, layer_types=["full_attention"] * 3),
        plain("gemma4_text"),
        {**E2B_CONFIG, "per_layer_config": {"4": {"head_dim": 1024}}},
    ],
)
def test_a_config_that_the_code_does_not_understand_is_not_sized(tmp_path: Path, config: Values) -> None:
    model = from_folder(write_folder(tmp_path, config), name="m")
    assert model.architecture is None
    assert "cannot be sized" in model.note


def test_a_template_in_a_file_of_its_own_counts(tmp_path: Path) -> None:
    write_folder(tmp_path, plain("llama"))
    assert not from_folder(tmp_path, name="m").instruct
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    assert from_folder(tmp_path, name="m").instruct


def test_how_weights_are_stored_is_found(tmp_path: Path) -> None:
    assert (
        from_folder(write_folder(tmp_path, plain("llama", torch_dtype="float16")), name="m").quantization
        == "float16"
    )
    config = plain("llama", dtype="bfloat16", quantization_config={"quant_method": "compressed-tensors"})
    assert from_folder(write_folder(tmp_path, config), name="m").quantization == "compressed-tensors"


def test_parameters_are_read_from_the_index_of_the_weights(tmp_path: Path) -> None:
    index = {"metadata": {"total_parameters": 5_104_297_504}, "weight_map": {}}
    write_folder(tmp_path, plain("llama"), **{"model.safetensors.index": index})
    assert from_folder(tmp_path, name="m").parameters == "5.1B"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("{", "is cut short"),
        ("[" * 100_000, "is nested too deep"),
        ("[]", "holds no table"),
        ("{}", "max_position_embeddings"),
        (json.dumps(plain("llama", num_hidden_layers="many")), "num_hidden_layers is 'many'"),
        (json.dumps(plain("llama", num_hidden_layers=10**9)), "num_hidden_layers is 1000000000"),
        (json.dumps(plain("llama", num_attention_heads=0)), "num_attention_heads is 0"),
        (json.dumps(plain("llama", hidden_size=None)), "hidden_size is missing"),
        (json.dumps(plain("llama", max_position_embeddings=-1)), "max_position_embeddings is -1"),
        (json.dumps(plain("llama", text_config=[])), "text_config"),
        (json.dumps({**E2B_CONFIG, "per_layer_config": {"4": 512}}), "per_layer_config"),
    ],
)
def test_a_config_that_is_wrong_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=said) as caught:
        from_folder(tmp_path, name="m")
    assert caught.value.hint


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        from_folder(tmp_path, name="m")


# ---------------------------------------------------------------- real weights


def test_real_weights_are_what_the_catalog_says(real_weights: Mapping[str, Path]) -> None:
    for name, path in real_weights.items():
        known = catalog.find(name)
        assert known is not None
        found = from_gguf(path, name="m")
        assert (found.architecture, found.context) == (known.architecture, known.context)
        assert (found.parameters, found.instruct) == (known.parameters, known.instruct)
        assert path.stat().st_size == known.sizes["llamacpp"]


def test_real_weights_cut_in_half_are_refused(real_weights: Mapping[str, Path], tmp_path: Path) -> None:
    path = real_weights["smollm2-135m"]
    half = tmp_path / "half.gguf"
    with path.open("rb") as file:
        half.write_bytes(file.read(path.stat().st_size // 2))
    with pytest.raises(WeightsError, match="is cut short: its header announces"):
        from_gguf(half, name="m")


@pytest.mark.parametrize(
    "kind",
    [
        "BlenderbotForConditionalGeneration",
        "BlenderbotSmallForConditionalGeneration",
        "LEDForConditionalGeneration",
        "VitsModel",
        "ViTForImageClassification",
        "Dinov2Model",
        "Siglip2Model",
        "T5ForConditionalGeneration",
        "MT5ForConditionalGeneration",
        "MBartForConditionalGeneration",
        "M2M100ForConditionalGeneration",
        "MarianMTModel",
        "PegasusXForConditionalGeneration",
        "WhisperForConditionalGeneration",
        "Wav2Vec2ForCTC",
        "SpeechT5ForTextToSpeech",
        "CLIPModel",
        "BarkModel",
    ],
)
def test_what_has_another_part_than_a_decoder_is_refused_by_the_name_that_transformers_gives_it(
    kind: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=f"is a {kind}, which homeport does not serve"):
        task_of(tmp_path, Table({"architectures": [kind]}, str(tmp_path)))
