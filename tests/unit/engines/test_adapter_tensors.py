"""Adapters are judged by their tensors: what vLLM would refuse when it starts, or leave out without a word."""

from __future__ import annotations

import pytest

from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.engines.vllm.adapter import trained_on
from homeport.engines.vllm.adapter_tensors import ensure_served
from homeport.errors import SpecError

QUERY = "base_model.model.model.layers.0.self_attn.q_proj.lora_"


def tensors(**shapes: tuple[int, ...]) -> list[SafetensorsTensor]:
    return [SafetensorsTensor(name, "BF16", shape, 2) for name, shape in shapes.items()]


BASE = tensors(**{
    "model.embed_tokens.weight": (2048, 128),
    "model.layers.0.self_attn.q_proj.weight": (256, 128),
    "model.layers.0.mlp.down_proj.weight": (128, 512),
})  # fmt: skip
GOOD = {f"{QUERY}A.weight": (8, 128), f"{QUERY}B.weight": (256, 8)}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"base_model.model.model.embed_tokens.lora_embedding_A": (8, 2048), "base_model.model.model.embed_tokens.lora_embedding_B": (128, 8)},
        {"base_model.model.model.embed_tokens.base_layer.weight": (2048, 128), "base_model.model.lm_head.base_layer.weight": (2048, 128)},
        {"base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_A.weight": (8, 1), "base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_B.weight": (1, 8)},
    ],
)  # fmt: skip
def test_an_adapter_of_the_model_is_taken_with_and_without_its_tensors_known(
    more: dict[str, tuple[int, ...]],
) -> None:
    ensure_served(tensors(**GOOD, **more), BASE, "x")
    ensure_served(tensors(**GOOD, **more), (), "x")


@pytest.mark.parametrize(
    ("called", "narrow", "wide", "told"),
    [
        ("model.embed_tokens", (8, 2050), (128, 8), "is for 2050 tokens, and the model has 2048"),
        ("model.embed_tokens", (8, 2046), (128, 8), "is for 2046 tokens, and the model has 2048"),
        ("model.embed_tokens", (8, 2048), (256, 8), "is for 256 numbers a token, and the model has 128"),
        ("model.embed_tokens", (8, 2048), (64, 8), "is for 64 numbers a token, and the model has 128"),
        ("model.word_embeddings", (8, 2048), (128, 8), "it changes 'word_embeddings|it changes 'model.word_embeddings"),
    ],
)  # fmt: skip
def test_an_embedding_of_another_vocabulary_width_or_model_is_refused(
    called: str, narrow: tuple[int, int], wide: tuple[int, int], told: str
) -> None:
    embedding = f"base_model.model.{called}.lora_embedding_"
    other = tensors(**GOOD, **{f"{embedding}A": narrow, f"{embedding}B": wide})
    with pytest.raises(SpecError, match=told):
        ensure_served(other, BASE, "x")
    ensure_served(other, (), "x")


@pytest.mark.parametrize(
    "name",
    [
        f"{QUERY}A.default.weight", f"{QUERY}A", f"{QUERY}A.bias", f"{QUERY}magnitude_vector",
        "base_model.model.model.embed_tokens.lora_embedding_A.weight",
        "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta",
        "base_model.model.score.base_layer.weight",
    ],
)  # fmt: skip
def test_a_tensor_that_vllm_cannot_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="which vllm does not serve"):
        ensure_served(tensors(**GOOD, **{name: (8, 128)}), BASE, "x")


@pytest.mark.parametrize(
    ("prefix", "adapters", "doubtful"),
    [
        ("model.language_", "", True),
        ("language_model.", "model.language_", False),
        ("model.language_", "model.language_", False),
        ("", "", False),
    ],
)
def test_the_text_part_of_a_model_may_stand_under_another_name_and_that_is_told(
    prefix: str, adapters: str, doubtful: bool
) -> None:
    base = [SafetensorsTensor(f"{prefix}{one.name}", one.dtype, one.shape, 2) for one in BASE]
    named = {name.replace("model.model.", f"model.{adapters}model."): shape for name, shape in GOOD.items()}
    doubt = ensure_served(tensors(**named), base, "x")
    assert ("may leave the adapter out without a word" in doubt) is doubtful


@pytest.mark.parametrize(
    "kept",
    [
        {"weight_packed": "I32", "weight_scale": "BF16", "weight_shape": "I64"},
        {"qweight": "I32", "qzeros": "I32", "scales": "F16"},
        {"weight": "U8", "weight_scale": "F8_E4M3"},
    ],
)
def test_an_adapter_of_quantized_weights_is_taken_whatever_is_kept_of_each_matrix(
    kept: dict[str, str],
) -> None:
    name = "model.layers.0.self_attn.q_proj"
    base = [SafetensorsTensor(f"{name}.{kind}", dtype, (32, 16), 2) for kind, dtype in kept.items()]
    assert ensure_served(tensors(**GOOD), base, "x") == ""
    with pytest.raises(SpecError, match="which the model does not have"):
        ensure_served(tensors(**GOOD), [SafetensorsTensor("model.norm.weight", "BF16", (8,), 2)], "x")


def test_an_adapter_says_what_it_was_trained_on_where_that_is_a_hubs() -> None:
    assert trained_on(b'{"base_model_name_or_path": "some-org/base-3"}') == "some-org/base-3"
    for other in (
        b'{"base_model_name_or_path": "/home/me/base"}',
        b'{"base_model_name_or_path": null}',
        b"[]",
        b"no",
    ):
        assert trained_on(other) == ""


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({**GOOD, "base_model.model.lm_head.weight": (2048, 128)}, "lm_head.weight', which vllm does not serve"),
        ({**GOOD, f"{QUERY}magnitude_vector": (256,)}, "magnitude_vector', which vllm does not serve"),
        ({f"{QUERY}A.weight": (8, 4096), f"{QUERY}B.weight": (4096, 8)}, "is for 4096 × 4096, and the model's is 128 × 256"),
        ({f"{QUERY}A.weight": (8, 128)}, "lora_A alone"),
        ({f"{QUERY}A.weight": (32, 128), f"{QUERY}B.weight": (256, 32)}, "has the rank 32, and its adapter_config.json makes room for 16"),
        ({f"{QUERY}A.weight": (8, 128), f"{QUERY}B.weight": (256, 4)}, "the rank 8 in lora_A and 4 in lora_B"),
        ({"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": (8, 128), "base_model.model.model.layers.9.self_attn.q_proj.lora_B.weight": (256, 8)}, "which the model does not have"),
        ({}, "holds no tensor of a LoRA adapter"),
    ],
)  # fmt: skip
def test_an_adapter_that_would_be_refused_or_ignored_is_told_before(
    shapes: dict[str, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        ensure_served(tensors(**shapes), BASE, "x", 16)
