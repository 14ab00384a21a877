"""
How vLLM shares out memory.

Derived from vLLM 0.32.0: `vllm/v1/core/kv_cache_utils.py` (`get_kv_cache_groups`, `unify_kv_cache_spec_page_size`,
`_get_kv_cache_groups_uniform_page_size`, `get_max_concurrency_for_kv_cache_config`),
`vllm/v1/kv_cache_interface.py` (`max_memory_usage_bytes` of its specs), `vllm/v1/worker/gpu_worker.py`
(`determine_available_memory`) and `vllm/engine/arg_utils.py` (defaults). `make test-vllm` compares it with what real
vLLM logs. Other versions may differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from homeport.catalog import Architecture
from homeport.engines.footprint import Footprint, KvCache, MemoryTerm, Sizing, gib, no_cache
from homeport.engines.vllm import limits
from homeport.engines.vllm.adapter import USUAL_RANK
from homeport.engines.vllm.loaded import ELEMENT_BYTES, loaded, quantized
from homeport.engines.vllm.memory_flags import UTILIZATION, MemoryFlags, memory_flags
from homeport.spec import Engine
from homeport.task import Task
from homeport.words import counted

_GPU_BLOCK, _CPU_BLOCK = 16, 128
_RATIO_OF_ONE_GROUP = 1.5
_GRAPHS = 600 * 2**20
"""vLLM logged 0.53 GiB (RTX 4090, Qwen2.5 7B, 0.24), 0.67 (H100, 0.10.2) and 0.27 (Gemma 4 31B, issue 41789)."""
_ENCODER = 512 * 2**20
_BESIDE = 1126 * 2**20
"""
What an L4 and an A10G with Qwen2.5 7B (vLLM 0.28, 128 sequences) had less for the cache than the other terms say:
62,512 and 62,688 tokens. An RTX 4090 had 1.3 GiB more than this leaves, so it errs to the safe side.
"""
_LOGIT_BYTES = 24
"""
A logit as float32, what is sorted of it with its place, its probability and their sum. 16 bytes promised 1.9 GiB too much
of an H100 with gpt-oss-120b (0.10.1, 1,024 sequences).
"""
_CPU_SERVER = 4 * 2**30


@dataclass(frozen=True, slots=True)
class _Kind:
    """Layers whose KV cache is alike."""

    layers: int
    token_bytes: int
    """Of one layer."""
    window: int | None


def footprint(sizing: Sizing) -> Footprint | None:
    """Return what vLLM takes on the device; None where the architecture is not known."""
    architecture = sizing.model.architecture
    if architecture is None:
        return None
    settings, device = sizing.settings, sizing.device
    arguments = memory_flags(settings, sizing.model.task)
    cache = kv_cache(
        architecture,
        context=settings.context,
        element_bytes=1 if _cache_is_fp8(sizing) else ELEMENT_BYTES[settings.dtype],
        block=_GPU_BLOCK if device.gpu else _CPU_BLOCK,
        in_flight=arguments.batched * (arguments.batches if device.gpu else 1),
    )
    weights = loaded(sizing)
    unknown: tuple[str, ...] = ()
    if settings.quantization not in {None, sizing.weights.quantization} and quantized(sizing) is None:
        unknown = (
            f"what {settings.quantization} makes of the weights is not known: they count as published",
        )
    if sizing.weights.quantization == "nvfp4":
        unknown += (
            "nvfp4 is for Blackwell; on an older GPU vLLM computes with it weight-only, which is slower",
        )
    if arguments.unreckoned:
        unknown += (f"engine.extra_args are not reckoned with: {' '.join(arguments.unreckoned)}",)
    if not device.gpu:
        usable = MemoryTerm("memory of the machine", device.memory, "all of it")
        server = MemoryTerm(
            "the server", _CPU_SERVER, "three processes with PyTorch: 4.1 GB were seen on a CPU, 2026-11-23"
        )
        return Footprint(
            usable=usable, fixed=(weights, server), weights=weights.size, cache=cache, unknown=unknown
        )
    usual = ", vLLM's default" if arguments.utilization == UTILIZATION else ""
    usable = MemoryTerm(
        "usable memory of the GPU",
        int(device.memory * arguments.utilization),
        f"{arguments.utilization:.0%} (--gpu-memory-utilization{usual}) of {gib(device.memory)}",
    )
    fixed = (weights, *_beside_weights(sizing, architecture, arguments))
    return Footprint(usable=usable, fixed=fixed, weights=weights.size, cache=cache, unknown=unknown)


def flags(settings: Engine) -> dict[str, str]:
    """Return what `vllm serve` is told on a GPU, so that it shares out memory as is reckoned here."""
    arguments = memory_flags(settings, "generate")
    options = {
        "--max-model-len": f"{settings.context}",
        "--max-num-seqs": f"{settings.parallel}",
        "--max-num-batched-tokens": f"{arguments.batched}",
        "--gpu-memory-utilization": f"{arguments.utilization:g}",
    }
    if settings.kv_dtype != "auto":
        options["--kv-cache-dtype"] = settings.kv_dtype
    if settings.quantization is not None:
        options["--quantization"] = settings.quantization
    if settings.dtype != "auto":
        options["--dtype"] = settings.dtype
    return options


def pooling_flags(settings: Engine, task: Task) -> dict[str, str]:
    """
    Return what `vllm serve` is told beside `flags` for vectors; nothing for text.

    All tokens of a text are pooled together, in one batch. A model that writes text is converted: its own default
    takes the state of the last token.
    """
    if task == "generate":
        return {}
    return {
        "--runner": "pooling",
        "--convert": "embed",
        "--max-num-batched-tokens": f"{memory_flags(settings, task).batched}",
    }


def kv_cache(
    architecture: Architecture, *, context: int, element_bytes: int, block: int, in_flight: int
) -> KvCache:
    """
    Return the blocks of vLLM for sequences of `context` tokens.

    `block` is the tokens of one block in the layer with the largest page, `in_flight` the tokens that may be
    scheduled and not settled: those behind a sliding window are kept so long.
    """
    if architecture.encoder:
        return no_cache(architecture.hidden, context)
    kinds = _kinds(architecture, element_bytes)
    largest = max(kind.token_bytes for kind in kinds) * block
    group = _layers_of_a_group(kinds)
    steps, blocks = [], 0
    for kind in kinds:
        page = kind.token_bytes * block
        # A layer with a smaller page gets longer blocks, where they come out even; else its pages are padded.
        tokens = block * (largest // page) if largest % page == 0 else block
        groups = _over(kind.layers, group)
        each = _blocks(kind, context, tokens, in_flight)
        blocks += groups * each
        name = f"layers with a window of {kind.window}" if kind.window else "global layers"
        steps.append(
            f"{kind.layers} {name} in {counted(groups, 'group')}, {each} blocks of {tokens} tokens each"
        )
    wide = f"a block is {counted(group, 'layer')} wide, {largest // 1024} KiB a layer"
    return KvCache(
        context=context,
        block_bytes=group * largest,
        blocks_per_sequence=blocks,
        spare_blocks=1,
        how=f"{'; '.join(steps)}; {wide}",
    )


def _cache_is_fp8(sizing: Sizing) -> bool:
    """Return True where the file says so, or the checkpoint and the file leaves it to that."""
    kv_dtype = sizing.settings.kv_dtype
    return kv_dtype == "fp8" or (kv_dtype == "auto" and sizing.model.kv_dtype == "fp8")


def _beside_weights(sizing: Sizing, architecture: Architecture, arguments: MemoryFlags) -> list[MemoryTerm]:
    # vllm/v1/worker/gpu_model_runner.py profiles with as many requests as it may have, each with a token.
    batched = arguments.batched
    rows = 0 if sizing.model.task == "embed" else min(batched, sizing.settings.parallel)
    widest = max(architecture.ffn or 4 * architecture.hidden, architecture.ffn_shared or 0)
    expert = architecture.experts_used * (architecture.expert_ffn or 0)
    layer = batched * 2 * (6 * architecture.hidden + 3 * (widest + expert))
    sampling = rows * architecture.vocabulary * _LOGIT_BYTES
    terms = [
        MemoryTerm(
            "activations",
            layer + sampling,
            f"{batched} tokens through the widest layer, and {rows} × {architecture.vocabulary:,} logits "
            "as float32 and sorted",
        ),
        MemoryTerm("CUDA graphs", 0, "none, as --enforce-eager says")
        if arguments.eager
        else MemoryTerm("CUDA graphs", _GRAPHS, "an allowance: 0.3 to 0.7 GiB were logged"),
        MemoryTerm(
            "CUDA's libraries and the rest", _BESIDE, "an allowance, from what an L4 was seen to lack"
        ),
    ]
    if limits.read(sizing.settings, sizing.model):
        terms.append(
            MemoryTerm(
                "encoders at work",
                _ENCODER,
                "an allowance, nobody's figure: images and sound while they are read",
            )
        )
    if sizing.settings.lora:
        terms.append(_adapters(architecture, len(sizing.settings.lora), sizing.adapter_rank or USUAL_RANK))
    return terms


def _adapters(architecture: Architecture, count: int, rank: int) -> MemoryTerm:
    """Return the room that vLLM sets aside for `--max-loras` adapters of `--max-lora-rank` on every matrix."""
    wide = architecture.heads or 1
    qkv = architecture.hidden + (wide + 2 * max(architecture.kv_heads)) * max(architecture.head_dim)
    ffn = 3 * (architecture.hidden + (architecture.ffn or 4 * architecture.hidden))
    size = count * architecture.layers * rank * (2 * qkv + ffn) * 2
    return MemoryTerm("LoRA", size, f"room for {counted(count, 'adapter')} of rank {rank} on every matrix")


def _kinds(architecture: Architecture, element_bytes: int) -> list[_Kind]:
    """Return the layers that own a KV cache. Layers with K=V store both, as vLLM does."""
    windows = (architecture.sliding_window, None)
    return [
        _Kind(layers=layers, token_bytes=2 * heads * width * element_bytes, window=window)
        for layers, heads, width, window in zip(
            architecture.kv_layers, architecture.kv_heads, architecture.head_dim, windows, strict=True
        )
        if layers
    ]


def _layers_of_a_group(kinds: list[_Kind]) -> int:
    counts = [kind.layers for kind in kinds]
    return max(counts) if max(counts) < _RATIO_OF_ONE_GROUP * min(counts) else min(counts)


def _blocks(kind: _Kind, context: int, tokens: int, in_flight: int) -> int:
    if kind.window is None:
        return _over(context, tokens)
    # One more, because a window may begin in the middle of a block.
    return _over(min(kind.window - 1 + in_flight, context), tokens) + 1


def _over(count: int, size: int) -> int:
    return -(-count // size)
