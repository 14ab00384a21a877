"""Families of models: whose attention is plain, whose layers slide in turns, and what their config.json leaves out."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.catalog.untrusted import Table

UNIFORM = frozenset(
    {
        *("llama", "mistral", "mistral3", "mixtral", "gemma", "smollm3"),
        *("phi3", "phimoe", "phi4mm", "granite", "granitemoe", "olmo2", "olmoe"),
        *("glm4", "internlm2", "stablelm", "ernie4_5"),
        *("qwen2", "qwen2moe", "qwen2_moe", "qwen2vl", "qwen2_vl_text", "qwen2_5_vl_text"),
        *("qwen2_vl", "qwen2_5_vl"),  # as they were published first, without a text_config
        *("qwen3", "qwen3moe", "qwen3_moe", "qwen3vl", "qwen3vlmoe", "qwen3_vl_text", "qwen3_vl_moe_text"),
    }
)
"""Families whose layers all see the whole context, or all the same window. Each was looked up in vLLM 0.32's own code."""
ENCODERS = frozenset(
    {
        *("bert", "roberta", "xlm-roberta", "camembert", "modernbert", "nomic_bert"),
        *("distilbert", "albert", "gte"),
        *(
            "modern-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "jina-bert-v2",
            "jina-bert-v3",
        ),  # as a GGUF calls them
    }
)
"""Families that see a text at once: vLLM and llama.cpp keep no keys and values for them."""
COUNTED_FROM = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Families whose positions begin behind the one of padding, so that some of those in their config.json hold no token."""
PERIODS = {
    "gemma-embedding": 6,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gemma4": 6,
    "gemma4_text": 6,
    "gemma4_unified_text": 6,
    "gpt_oss": 2,
}
"""Families with sliding windows: of so many layers, the last one is global."""
DEFAULTS: Mapping[str, Mapping[str, int | None]] = {
    "gemma3_text": {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262_208,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    },
    "llama": {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_attention_heads": 32,
        "vocab_size": 32_000,
        "max_position_embeddings": 2048,
    },
    "mistral": {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32_000,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
    },
    "qwen2": {
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 22_016,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 151_936,
        "max_position_embeddings": 32_768,
    },
    "phi3": {
        "num_hidden_layers": 32,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_attention_heads": 32,
        "vocab_size": 32_064,
        "max_position_embeddings": 4096,
    },
}
"""
What the classes of transformers fill in, by `model_type`: a config.json of a larger model, such as LLaVA's, holds of its
language model what differs from these. `make test-vllm` compares them with transformers.
"""
_ALONE = frozenset({"gemma3_text"})
"""Families whose own config.json leaves its defaults out, too; of any other one that lacks them is damaged."""


_SPELLED: Mapping[str, Mapping[str, str]] = {
    "nomic_bert": {
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings",
    },
    "distilbert": {
        "dim": "hidden_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "hidden_dim": "intermediate_size",
    },
}
"""Families whose published config.json calls it otherwise."""


_BY_TRANSFORMERS = "vLLM 0.32 has no class of its own for it and falls back to that of transformers, which was not tried here."
NOTES: Mapping[str, str] = {
    "distilbert": _BY_TRANSFORMERS,
    "albert": _BY_TRANSFORMERS,
}
"""What is to be known of how a family is served, by its `model_type`: from vLLM 0.32's own registry of models."""


def filled(text: Table, kind: str, *, part: bool) -> Table:
    """Return the settings of a language model with the defaults of its family; `part` where they are a part of a config.json."""
    text = text.renamed({**_SPELLED.get(kind, {})})
    return text.over(DEFAULTS.get(kind, {})) if part or kind in _ALONE else text
