"""Weights are sized as vLLM serves them, and not as they lie on the disk; what writes no text is told as such."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from homeport.catalog import Published
from homeport.catalog.inspect import from_folder
from homeport.catalog.served_for import served_for
from homeport.engines.footprint import Device, Sizing
from homeport.engines.vllm import memory
from homeport.engines.vllm.engine import COMPACT_JSON, _compact_json
from homeport.errors import SpecError, WeightsError
from homeport.spec import Engine
from homeport.verify.checks.structure import endless

LLAMA: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 32, "hidden_size": 4096,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192, "vocab_size": 128256,
    "intermediate_size": 14336,
}  # fmt: skip


def sized(tmp_path: Path, config: dict[str, Any], quantization: str, **settings: Any) -> Any:
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = from_folder(tmp_path, name="x")
    weights = Published(source="x", size=32 << 30, quantization=quantization, how="")
    device = Device(name="gpu", memory=96 << 30, gpu=True)
    return memory.footprint(Sizing(model=model, weights=weights, settings=Engine(**settings), device=device))


def test_a_float32_checkpoint_is_counted_as_vllm_serves_it(tmp_path: Path) -> None:
    assert sized(tmp_path, LLAMA, "float32").weights == 16 << 30
    assert sized(tmp_path, LLAMA, "float32", dtype="bfloat16").weights == 16 << 30
    assert sized(tmp_path, LLAMA, "float32", dtype="float32").weights == 32 << 30
    assert sized(tmp_path, LLAMA, "bfloat16").weights == 32 << 30


@pytest.mark.parametrize(
    "made",
    [
        {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"},
        {
            "quant_method": "compressed-tensors",
            "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": False},
        },
    ],
)
def test_a_cache_that_the_checkpoint_declares_as_fp8_is_half(tmp_path: Path, made: dict[str, Any]) -> None:
    plain = sized(tmp_path, LLAMA, "fp8").cache.block_bytes
    assert sized(tmp_path, {**LLAMA, "quantization_config": made}, "fp8").cache.block_bytes * 2 == plain


@pytest.mark.parametrize("kind", ["phi3", "granite", "olmo2", "qwen2_vl", "qwen2_5_vl"])
def test_plain_attention_under_other_names_is_sized(tmp_path: Path, kind: str) -> None:
    assert sized(tmp_path, {**LLAMA, "model_type": kind}, "bfloat16") is not None


@pytest.mark.parametrize("kind", ["Gemma3TextModel", "BertModel"])
def test_a_model_of_embeddings_is_told_as_one(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "architectures": [kind]}))
    found = from_folder(tmp_path, name="x")
    assert served_for(found, "embed").task == "embed"
    with pytest.raises(SpecError, match="model of embeddings: it gives vectors") as refused:
        served_for(found, "generate")
    assert 'task = "embed"' in str(refused.value.hint)


@pytest.mark.parametrize("kind", ["XLMRobertaForSequenceClassification", "BertForMaskedLM"])
def test_a_model_that_scores_is_no_model_for_either(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "architectures": [kind]}))
    with pytest.raises(WeightsError, match=f"{kind}: it scores texts"):
        from_folder(tmp_path, name="x")


def test_vllm_leaves_white_space_out_of_json_unless_the_file_says_how() -> None:
    assert _compact_json(Engine()) == ["--structured-outputs-config", json.dumps(COMPACT_JSON)]
    own = Engine(extra_args=("--structured-outputs-config", '{"backend": "guidance"}'))
    assert _compact_json(own) == []


def test_json_that_never_ends_is_known_by_its_white_space() -> None:
    assert endless('{"answer":' + " " * 40)
    assert not endless('{"answer": "yes", "su')
