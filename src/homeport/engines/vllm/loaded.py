"""
What vLLM's log calls "Model loading took": the weights as they are in memory, and what is built beside them.

Derived from vLLM 0.32.0: `model_executor/layers/rotary_embedding/base.py` (tables of positions),
`model_executor/layers/fused_moe/oracle/mxfp4.py` (`mxfp4_round_up_hidden_size_and_intermediate_size`),
`model_executor/models/gemma4.py` (K in the place of V) and `gemma4_mm.py` (the buffer of per-layer embeddings).
"""

from __future__ import annotations

from homeport.catalog import Architecture
from homeport.catalog.parts import Parts
from homeport.engines.footprint import MemoryTerm, Sizing, gib
from homeport.engines.vllm import limits
from homeport.engines.vllm.memory_flags import memory_flags

ELEMENT_BYTES = {"auto": 2, "bfloat16": 2, "float16": 2, "float32": 4}
_MXFP4_BITS = 4.25
"""Four bits, and a scale of eight for 32 of them."""
_HIDDEN_STEP, _EXPERT_STEP = 256, 128
"""What Marlin pads to, which vLLM takes on an L4 and an A100. Kernels for newer GPUs pad less or as much."""


def loaded(sizing: Sizing) -> MemoryTerm:
    """Return the weights as they are in memory: vLLM keeps every tensor on the GPU, per-layer embeddings, too."""
    term = _without_encoders(_weights(sizing), sizing)
    beside = {name: size for name, size in _beside(sizing).items() if size}
    if not beside:
        return term
    also = ", ".join(f"{gib(size)} of {name}" for name, size in beside.items())
    return MemoryTerm(term.what, term.size + sum(beside.values()), f"{term.how}; beside them {also}")


def _without_encoders(term: MemoryTerm, sizing: Sizing) -> MemoryTerm:
    """Return the weights less the encoders that are not loaded, since no prompt may hold what they read."""
    parts, served = sizing.weights.parts, limits.read(sizing.settings, sizing.model)
    if parts is None:
        return term
    away = {"image": parts.vision, "audio": parts.audio}
    size = sum(
        size
        for modality, size in away.items()
        if modality in sizing.model.modalities and modality not in served
    )
    if not size or sizing.model.task == "embed":
        return term
    return MemoryTerm(term.what, term.size - size, f"{term.how}; {gib(size)} of encoders are left out")


def quantized(sizing: Sizing) -> Parts | None:
    """Return the parts as vLLM quantizes them while loading; None where it does not, or nobody here knows how."""
    weights, quantization = sizing.weights, sizing.settings.quantization
    if quantization is None or quantization == weights.quantization or weights.parts is None:
        return None
    return weights.parts.quantized(quantization) if weights.quantization == "bfloat16" else None


def _weights(sizing: Sizing) -> MemoryTerm:
    weights, quantization = sizing.weights, sizing.settings.quantization
    requantized = quantized(sizing)
    if (
        requantized is None
        and sizing.settings.dtype == "float32"
        and weights.quantization in {"bfloat16", "float16"}
    ):
        return MemoryTerm(
            "weights", 2 * weights.size, f"as float32, twice {weights.quantization}: {weights.how}"
        )
    if requantized is None and weights.quantization == "float32" and sizing.settings.dtype != "float32":
        how = f"as bfloat16 or float16, half of float32, as vLLM's dtype {sizing.settings.dtype} makes of it: {weights.how}"
        return MemoryTerm("weights", weights.size // 2, how)
    if requantized is None or weights.parts is None:
        return MemoryTerm("weights", weights.size, f"{weights.quantization or 'as published'}: {weights.how}")
    as_they_are = gib(requantized.total - requantized.matrices)
    how = f"{gib(weights.parts.matrices)} of matrices become {gib(requantized.matrices)} as {quantization}, {as_they_are} stay"
    return MemoryTerm("weights", requantized.total, how)


def _beside(sizing: Sizing) -> dict[str, int]:
    """Return the bytes of what vLLM makes while it loads, by what it is."""
    architecture = sizing.model.architecture
    if architecture is None:
        return {}
    width = ELEMENT_BYTES[sizing.settings.dtype]
    batched = memory_flags(sizing.settings, sizing.model.task).batched
    beside_text = set(sizing.model.modalities) - {"text"}
    return {
        "positions": sizing.model.context * width * sum(_rotated(architecture)),
        "keys that stand for values": _copied_keys(architecture) * width if architecture.k_eq_v else 0,
        "room for per-layer embeddings": batched * architecture.layers * architecture.per_layer_embedding * width
        if beside_text
        else 0,
        "padding of mxfp4": _padding(architecture) if sizing.weights.quantization == "mxfp4" else 0,
    }  # fmt: skip


def _rotated(architecture: Architecture) -> list[int]:
    """Return the width of each table of cosines and sines: one for each kind of layers, as long as the model's own context."""
    counts = (architecture.layers - architecture.global_layers, architecture.global_layers)
    return [width for count, width in zip(counts, architecture.head_dim, strict=True) if count]


def _copied_keys(architecture: Architecture) -> int:
    own = architecture.kv_layers[1]
    return own * architecture.hidden * architecture.kv_heads[1] * architecture.head_dim[1]


def _padding(architecture: Architecture) -> int:
    """Return what is added to experts in mxfp4, whose sides are rounded up for the kernel."""
    hidden, inner = architecture.hidden, architecture.expert_ffn or architecture.ffn or 0
    padded = _up(hidden, _HIDDEN_STEP) * _up(inner, _EXPERT_STEP) - hidden * inner
    return int(architecture.layers * architecture.experts * 3 * padded * _MXFP4_BITS / 8)


def _up(size: int, step: int) -> int:
    return -(-size // step) * step
