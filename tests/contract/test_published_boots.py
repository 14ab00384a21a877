"""
What vLLM is expected to make of a GPU, held against logs that others published: nobody here has a GPU.

In each, vLLM says how much memory it had left for its KV cache, and how many requests of its context that holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from homeport import catalog
from homeport.catalog import Architecture, Model, Published
from homeport.engines.footprint import Device, Sizing
from homeport.engines.vllm import memory
from homeport.engines.vllm.loaded import loaded
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
    batched: int = 2048
    allowed: float = 0.0
    """GiB that may be promised although they were not there."""


QWEN = Architecture(
    layers=28, hidden=3584, heads=28, kv_heads=(4, 4), head_dim=(128, 128), global_layers=28,
    sliding_window=None, ffn=18_944, vocabulary=152_064,
)  # fmt: skip


def gpt_oss(layers: int, experts: int) -> Architecture:
    return Architecture(
        layers=layers, hidden=2880, heads=64, kv_heads=(8, 8), head_dim=(64, 64), global_layers=layers // 2,
        sliding_window=128, vocabulary=201_088, ffn=2880, experts=experts, experts_used=4, expert_ffn=2880,
    )  # fmt: skip


GPT_OSS_20B, GPT_OSS_120B = gpt_oss(24, 32), gpt_oss(36, 128)
LEFT = [
    Left("Qwen2.5-7B, L4, vLLM 0.28.0: 62,512 tokens", 22.04, 0.90, 14.29, 3.34, QWEN, parallel=128),
    Left("Qwen2.5-7B, A10G, vLLM 0.28.0: 62,688 tokens", 22.06, 0.90, 14.29, 3.35, QWEN, parallel=128),
    Left("Qwen2.5-7B, RTX 4090, vLLM 0.24.0", 23.52, 0.85, 14.29, 4.45, QWEN),
    Left("gemma-4-E4B w4a16, L4, vLLM 0.28.0", 22.04, 0.62, 9.81, 3.1, known("gemma-4-e4b")),
    Left("gemma-4-26B-A4B, A100 80 GB, no graphs", 79.25, 0.90, 48.5, 21.5, known("gemma-4-26b-a4b")),
    Left("gpt-oss-20b, A100 80 GB, vLLM 0.19.0, 2026-04-18", 79.25, 0.65, 13.72, 36.56, GPT_OSS_20B),
    Left(
        "gpt-oss-120b, H100, vLLM 0.10.1, 2025-08-20: it did not start",
        79.11,
        0.90,
        65.97,
        -2.14,
        GPT_OSS_120B,
        parallel=1024,
        batched=8192,
        allowed=0.2,
    ),
    # What loading took is not in what was published of it; that of the log before is assumed.
    Left(
        "gpt-oss-120b, H100, vLLM 0.11, 2025-10-31",
        79.11,
        0.95,
        65.97,
        1.71,
        GPT_OSS_120B,
        parallel=1024,
        batched=1024,
        allowed=1.1,
    ),
]
MOST_TOO_LITTLE = 2.7
"""GiB: the allowances are from the L4 that lacked most, so others have more than is promised."""


@pytest.mark.parametrize("boot", LEFT, ids=lambda boot: boot.source)
def test_what_is_promised_for_the_cache_is_near_what_vllm_found(boot: Left) -> None:
    model = catalog.models()[0]
    taken = _fixed(boot, model)
    promised = boot.gpu_gib * boot.utilization - boot.weights_gib - taken
    print(f"{boot.source}: {promised:.2f} GiB promised, {boot.left_gib} there")
    assert promised <= boot.left_gib + boot.allowed
    assert promised >= boot.left_gib - MOST_TOO_LITTLE


@dataclass(frozen=True)
class Loaded:
    """What one log says that loading the model took."""

    source: str
    architecture: Architecture
    checkpoint_gib: float
    """The tensors of the files."""
    loaded_gib: float
    context: int
    quantization: str = "bfloat16"
    within: float = 0.005


LOADED = [
    Loaded("gpt-oss-20b, A100 80 GB, vLLM 0.19.0", GPT_OSS_20B, 12.82, 13.72, 131_072, "mxfp4"),
    Loaded("gpt-oss-120b, H100, vLLM 0.10.1", GPT_OSS_120B, 60.77, 65.97, 131_072, "mxfp4"),
    # Triton's kernels, since 0.14, pad less than Marlin's, which is what is counted.
    Loaded("gpt-oss-120b, H100, vLLM 0.14.1", GPT_OSS_120B, 60.77, 64.38, 131_072, "mxfp4", within=0.03),
    Loaded("gemma-4-26B-A4B, A100 80 GB", known("gemma-4-26b-a4b"), 48.07, 48.5, 262_144),
]


@pytest.mark.parametrize("boot", LOADED, ids=lambda boot: boot.source)
def test_the_weights_take_what_vllm_logged_that_loading_took(boot: Loaded) -> None:
    sizing = Sizing(
        model=replace(
            catalog.models()[0], architecture=boot.architecture, context=boot.context, modalities=("text",)
        ),
        weights=Published(source="", size=int(boot.checkpoint_gib * GIB), quantization=boot.quantization),
        settings=Engine(),
        device=Device(name="a GPU", memory=80 * GIB, gpu=True),
    )
    assert loaded(sizing).size / GIB == pytest.approx(boot.loaded_gib, rel=boot.within)
    assert loaded(sizing).size / GIB >= boot.loaded_gib - 0.1


def _fixed(boot: Left, model: Model) -> float:
    """GiB that the arithmetic takes beside the weights."""
    sizing = Sizing(
        model=_with(model, boot),
        weights=Published(source="", size=0, quantization="bfloat16"),
        settings=Engine(parallel=boot.parallel, extra_args=("--max-num-batched-tokens", f"{boot.batched}")),
        device=Device(name="a GPU", memory=int(boot.gpu_gib * GIB), gpu=True),
    )
    budget = memory.footprint(sizing)
    assert budget is not None
    return (budget.fixed_bytes - budget.weights) / GIB


def _with(model: Model, boot: Left) -> Model:
    return replace(model, architecture=boot.architecture, modalities=boot.modalities)
