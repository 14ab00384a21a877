"""Adapters are judged by their tensors: what vLLM would refuse when it starts, or leave out without a word."""

from __future__ import annotations

import pytest

from homeport.catalog.safetensors_header import SafetensorsTensor
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
        {"base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_A.weight": (8, 1), "base_model.model.model.layers.0.mlp.experts.3.up_proj.lora_B.weight": (1, 8)},
    ],
)  # fmt: skip
def test_an_adapter_of_the_model_is_taken_with_and_without_its_tensors_known(
    more: dict[str, tuple[int, ...]],
) -> None:
    ensure_served(tensors(**GOOD, **more), BASE, "x")
    ensure_served(tensors(**GOOD, **more), (), "x")


def test_the_text_part_of_a_model_may_stand_under_another_name() -> None:
    base = [SafetensorsTensor(f"model.language_{one.name}", one.dtype, one.shape, 2) for one in BASE]
    ensure_served(tensors(**GOOD), base, "x")


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({**GOOD, "base_model.model.lm_head.weight": (2048, 128)}, "lm_head.weight', which vllm does not serve"),
        ({**GOOD, f"{QUERY}magnitude_vector": (256,)}, "magnitude_vector', which vllm does not serve"),
        ({f"{QUERY}A.weight": (8, 4096), f"{QUERY}B.weight": (4096, 8)}, "is for 4096 × 4096, and the model's is 128 × 256"),
        ({f"{QUERY}A.weight": (8, 128)}, "lora_A alone"),
        ({f"{QUERY}A.weight": (8, 128), f"{QUERY}B.weight": (256, 4)}, "the rank 8 in lora_A and 4 in lora_B"),
        ({"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": (8, 128), "base_model.model.model.layers.9.self_attn.q_proj.lora_B.weight": (256, 8)}, "which the model does not have"),
        ({}, "holds no tensor of a LoRA adapter"),
    ],
)  # fmt: skip
def test_an_adapter_that_would_be_refused_or_ignored_is_told_before(
    shapes: dict[str, tuple[int, ...]], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        ensure_served(tensors(**shapes), BASE, "x")
