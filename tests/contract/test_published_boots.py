"""
What vLLM is expected to make of a GPU, held against logs that others published: nobody here has a GPU.

In each, vLLM says how much memory it had left for its KV cache, and how many requests of its context that holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from homeport import catalog
from homeport.catalog import Architecture, Model, Published
from homeport.engines.footprint import Device, Sizing
from homeport.engines.vllm import memory
from homeport.spec import Engine

GIB = 2**30
ASYNCHRONOUS = 2
"""Batches in flight with asynchronous scheduling, as the logs of 0.28 and later have it; older ones fit one batch."""


def plain(layers: int, kv_heads: int, head_dim: int = 128, *, hidden: int = 4096) -> Architecture:
    """Layers that are all alike, as in Llama, Mistral and Qwen."""
    return Architecture(
        layers=layers,
        hidden=hidden,
        heads=None,
        kv_heads=(kv_heads, kv_heads),
        head_dim=(head_dim, head_dim),
        global_layers=layers,
        sliding_window=None,
    )


def known(name: str) -> Architecture:
    found = catalog.find(name)
    assert found is not None
    assert found.architecture is not None
    return found.architecture


@dataclass(frozen=True)
class Boot:
    """What one log says."""

    source: str
    architecture: Architecture
    context: int
    cache_gib: float
    concurrency: float
    batched: int = 2048
    batches: int = ASYNCHRONOUS
    element_bytes: int = 2


BOOTS = [
    Boot("gemma-4-E4B-it w4a16, L4, vLLM 0.28.0, 2026-09-14", known("gemma-4-e4b"), 32_768, 3.1, 4.58),
    Boot("the same with a longer context", known("gemma-4-e4b"), 131_072, 3.1, 1.43),
    Boot(
        "Gemma-4-26B-A4B NVFP4 with fp8 keys, RTX 5090, vLLM 0.20.2, 2026-05-14",
        known("gemma-4-26b-a4b"), 256_000, 4.58, 1.12, batched=16_384, batches=1, element_bytes=1,
    ),
    Boot(
        "gemma-4-26B-A4B NVFP4 with fp8 keys, vLLM 0.19.2rc1, 2026-04-19",
        known("gemma-4-26b-a4b"), 98_304, 8.29, 6.73, batches=1, element_bytes=1,
    ),
    Boot("gemma-3-27b-it, an AMD GPU, vLLM 0.11.0rc2", known("gemma-3-27b"), 4096, 109.86, 50.05, batched=8192),
    Boot("a model of Llama 3.1 8B's shape, 80 GB, vLLM 0.30", plain(32, 8), 131_072, 56.21, 3.51),
    Boot("llava-v1.6-mistral-7b, 80 GB, vLLM 0.10.2, 2025-09-23", plain(32, 8), 4096, 55.15, 110.29),
    Boot("Qwen3-8B, A100 40 GB, vLLM 0.9.2, 2026-06-10", plain(36, 8), 40_960, 18.69, 3.32),
    Boot("Qwen2.5-7B, RTX 4090, vLLM 0.24.0, 2026-07-06", plain(28, 4), 2048, 4.45, 40.71),
    Boot("Qwen2.5-0.5B, the same", plain(24, 2, 64), 2048, 18.08, 771.39),
]  # fmt: skip


@pytest.mark.parametrize("boot", BOOTS, ids=lambda boot: boot.source)
def test_the_cache_holds_what_vllm_logged_on_a_gpu(boot: Boot) -> None:
    cache = memory.kv_cache(
        boot.architecture,
        context=boot.context,
        element_bytes=boot.element_bytes,
        block=16,
        in_flight=boot.batched * boot.batches,
    )
    assert cache.concurrency(int(boot.cache_gib * GIB)) == pytest.approx(boot.concurrency, rel=0.01)


@dataclass(frozen=True)
class Left:
    """What one log says was left for the KV cache, and of how much."""

    source: str
    gpu_gib: float
    utilization: float
    weights_gib: float
    left_gib: float
    architecture: Architecture
    parallel: int = 256
    modalities: tuple[str, ...] = ("text",)


QWEN = Architecture(
    layers=28, hidden=3584, heads=28, kv_heads=(4, 4), head_dim=(128, 128), global_layers=28,
    sliding_window=None, ffn=18_944, vocabulary=152_064,
)  # fmt: skip
LEFT = [
    Left("Qwen2.5-7B, L4, vLLM 0.28.0: 62,512 tokens", 22.04, 0.90, 14.29, 3.34, QWEN, parallel=128),
    Left("Qwen2.5-7B, A10G, vLLM 0.28.0: 62,688 tokens", 22.06, 0.90, 14.29, 3.35, QWEN, parallel=128),
    Left("Qwen2.5-7B, RTX 4090, vLLM 0.24.0", 23.52, 0.85, 14.29, 4.45, QWEN),
    Left("gemma-4-E4B w4a16, L4, vLLM 0.28.0", 22.04, 0.62, 9.81, 3.1, known("gemma-4-e4b")),
    Left("gemma-4-26B-A4B, A100 80 GB, no graphs", 79.25, 0.90, 48.5, 21.5, known("gemma-4-26b-a4b")),
]
MOST_TOO_LITTLE = 2.5
"""GiB: the allowances are from the L4 that lacked most, so others have more than is promised."""


@pytest.mark.parametrize("boot", LEFT, ids=lambda boot: boot.source)
def test_no_more_is_promised_for_the_cache_than_vllm_found(boot: Left) -> None:
    model = catalog.models()[0]
    taken = _fixed(boot, model)
    promised = boot.gpu_gib * boot.utilization - boot.weights_gib - taken
    assert promised <= boot.left_gib
    assert promised >= boot.left_gib - MOST_TOO_LITTLE


def _fixed(boot: Left, model: Model) -> float:
    """GiB that the arithmetic takes beside the weights."""
    sizing = Sizing(
        model=_with(model, boot),
        weights=Published(source="", size=0, quantization="bfloat16"),
        settings=Engine(parallel=boot.parallel),
        device=Device(name="a GPU", memory=int(boot.gpu_gib * GIB), gpu=True),
    )
    budget = memory.footprint(sizing)
    assert budget is not None
    return budget.fixed_bytes / GIB


def _with(model: Model, boot: Left) -> Model:
    from dataclasses import replace

    return replace(model, architecture=boot.architecture, modalities=boot.modalities)
