"""
The `[model.parts]` tables of models.toml, from the catalog's own architectures.

Builds every model that has weights for vLLM without memory (torch's meta device) with the transformers of the vLLM
environment, and adds up the tensors that it announces, at two bytes each. What the catalog does not hold of encoders
stands here with its source. Run with `.venv-vllm/bin/python scripts/model_parts.py`; it prints, and writes nothing.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

import torch
from transformers.models.gemma3 import configuration_gemma3 as gemma3
from transformers.models.gemma3 import modeling_gemma3
from transformers.models.gemma4 import configuration_gemma4 as gemma4
from transformers.models.gemma4 import modeling_gemma4
from transformers.models.llama import LlamaConfig, LlamaForCausalLM
from transformers.models.siglip import SiglipVisionConfig

from homeport.catalog import Architecture, Model, models

ELEMENT_BYTES = 2
# gh:google-deepmind/gemma gemma/gm/nn/gemma4: 16 layers of 768 (~150M) in E2B and E4B, 27 of 1152 (~550M) in the larger.
SMALL_EYE = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 16,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
    "use_clipped_linears": True,
}
LARGE_EYE = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 72,
}
# hf:google/gemma-3-4b-it config.json: SigLIP so400m at 896 pixels.
SIGLIP = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "image_size": 896,
    "patch_size": 14,
    "vision_use_head": False,
}
PREFIXES = {"vision": ("vision", "embed_vision", "multi_modal"), "audio": ("audio", "embed_audio")}


def main() -> None:
    """Print a table for every model."""
    for model in models():
        if "vllm" not in model.weights or model.architecture is None:
            continue
        with torch.device("meta"):
            network = build(model, model.architecture)
        parts: Counter[str] = Counter()
        for name, tensor in network.named_parameters():
            parts[part(name, tensor)] += tensor.numel() * ELEMENT_BYTES
        print(f"# {model.name}: {sum(parts.values()):,} bytes\n[model.parts]")
        print("\n".join(f"{key} = {parts[key]:_}" for key in ORDER if parts[key]) + "\n")


ORDER = ("embedding", "head", "per_layer_embedding", "matrices", "rest", "vision", "audio")


def part(name: str, tensor: torch.Tensor) -> str:
    """Which field of `Parts` a tensor belongs to."""
    for kind, prefixes in PREFIXES.items():
        if any(piece.startswith(prefixes) for piece in name.split(".")):
            return kind
    if "embed_tokens_per_layer" in name:
        return "per_layer_embedding"
    if "embed_tokens" in name:
        return "embedding"
    if "lm_head" in name:
        return "head"
    return "matrices" if tensor.dim() > 1 else "rest"


def build(model: Model, architecture: Architecture) -> torch.nn.Module:
    """Return the network, without weights."""
    if model.family == "gemma-4":
        return _gemma4(model, architecture)
    if model.family == "gemma-3":
        return _gemma3(model, architecture)
    text = _common(architecture) | {"num_key_value_heads": architecture.kv_heads[1]}
    return LlamaForCausalLM(LlamaConfig(**text, tie_word_embeddings=True))


def _gemma4(model: Model, architecture: Architecture) -> torch.nn.Module:
    small = architecture.per_layer_embedding > 0
    text = gemma4.Gemma4TextConfig(
        **_common(architecture),
        num_key_value_heads=architecture.kv_heads[0],
        head_dim=architecture.head_dim[0],
        global_head_dim=architecture.head_dim[1],
        num_global_key_value_heads=architecture.kv_heads[1] if architecture.k_eq_v else None,
        attention_k_eq_v=architecture.k_eq_v,
        layer_types=_types(architecture),
        num_kv_shared_layers=architecture.kv_shared_layers,
        use_double_wide_mlp=architecture.ffn_shared is not None,
        hidden_size_per_layer_input=architecture.per_layer_embedding,
        enable_moe_block=architecture.experts > 0,
        num_experts=architecture.experts or None,
        top_k_experts=architecture.experts_used or None,
        moe_intermediate_size=architecture.expert_ffn,
    )
    if model.name == "gemma-4-12b":  # Without encoders; its few projections are not in this sum.
        return modeling_gemma4.Gemma4ForCausalLM(text)
    config = gemma4.Gemma4Config(
        text_config=text,
        vision_config=gemma4.Gemma4VisionConfig(**(SMALL_EYE if small else LARGE_EYE)),
        audio_config=gemma4.Gemma4AudioConfig() if "audio" in model.modalities else None,
    )
    return modeling_gemma4.Gemma4ForConditionalGeneration(config)


def _gemma3(model: Model, architecture: Architecture) -> torch.nn.Module:
    text = gemma3.Gemma3TextConfig(
        **_common(architecture),
        num_key_value_heads=architecture.kv_heads[0],
        head_dim=architecture.head_dim[0],
    )
    if "image" not in model.modalities:
        return modeling_gemma3.Gemma3ForCausalLM(text)
    config = gemma3.Gemma3Config(text_config=text, vision_config=SiglipVisionConfig(**SIGLIP))
    return modeling_gemma3.Gemma3ForConditionalGeneration(config)


def _common(architecture: Architecture) -> dict[str, Any]:  # Any: arguments of configurations
    return {
        "hidden_size": architecture.hidden,
        "intermediate_size": architecture.ffn,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "vocab_size": architecture.vocabulary,
    }


def _types(architecture: Architecture) -> list[str]:
    period = architecture.layers // architecture.global_layers
    return [
        "full_attention" if at % period == period - 1 else "sliding_attention"
        for at in range(architecture.layers)
    ]


if __name__ == "__main__":
    main()
