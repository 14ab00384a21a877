"""What a step takes where nobody measured it: bytes that are read against bandwidth, arithmetic against the GPU's."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from homeport.capacity.replica import BatchLimits
from homeport.capacity.step_time import StepTime
from homeport.catalog import Architecture, cloudrun
from homeport.catalog.parts import BITS, Parts
from homeport.errors import SpecError
from homeport.fit import Fit

Pace = Literal["slow", "likely", "fast"]
PACES: tuple[Pace, ...] = ("slow", "likely", "fast")
_BFLOAT16 = 2
_TWO = 2
"""A key and a value; a multiplication and an addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBytes:
    """What a step reads and computes, whatever does it."""

    weights: float
    """Bytes that every step reads."""
    experts: float
    """Bytes of all experts, of which a step reads those that its tokens pass."""
    expert_share: float
    """The share of experts that one token passes."""
    cached_token: float
    """Bytes of a token in the cache of the layers that see all of them."""
    window: float
    """Bytes of the sliding windows of one request."""
    token_flops: float
    pair_flops: float

    def read(self, tokens: int) -> float:
        """Return the bytes of weights that a step of so many tokens reads: each picks its experts, one by one."""
        return self.weights + self.experts * (1 - (1 - self.expert_share) ** tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSpeed:
    """How fast an engine is on a GPU, whatever model it serves."""

    bandwidth: float
    """Bytes a second that steps read."""
    flops: float
    """Of its arithmetic, a second."""
    overhead_s: float
    """Of each step, beside."""

    def slower(self, times: float) -> StepSpeed:
        """Return the speed at which each step takes so many times as long."""
        return StepSpeed(
            bandwidth=self.bandwidth / times,
            flops=self.flops / times,
            overhead_s=self.overhead_s * times,
        )


def step_time(fit: Fit, pace: Pace) -> StepTime:
    """
    Return how long steps take of what `fit` says, on its GPU.

    Raises `SpecError` where the architecture, the GPU or the engine is not known well enough.
    """
    stated, speed, at = stated_speed(fit), _engine(fit.what.engine), PACES.index(pace)
    return step_time_at(
        fit,
        StepSpeed(
            bandwidth=stated.bandwidth * speed["bandwidth_share"][at],
            flops=stated.flops * speed["flops_share"][at],
            overhead_s=speed["overhead_s"][len(PACES) - 1 - at],
        ),
    )


def stated_speed(fit: Fit) -> StepSpeed:
    """Return what the GPU's maker states. Raises `SpecError` where it is not known."""
    shape = fit.place.shape
    gpu = cloudrun.gpu(shape.gpu) if shape else None
    facts = _table()["gpu"].get(shape.gpu if shape else "")
    if gpu is None or facts is None:
        raise _unknown(fit)
    return StepSpeed(bandwidth=float(gpu.bandwidth), flops=float(facts["flops"]), overhead_s=0.0)


def step_time_at(fit: Fit, speed: StepSpeed, how: str = "") -> StepTime:
    """Return how long steps take of what `fit` says, at that speed. Raises `SpecError` for an unknown architecture."""
    architecture = fit.what.model.architecture
    if architecture is None:
        raise _unknown(fit)
    step, bandwidth, flops = step_bytes(fit, architecture), speed.bandwidth, speed.flops
    return StepTime(
        overhead_s=speed.overhead_s,
        weights_s=lambda tokens: step.read(tokens) / bandwidth,
        cached_token_s=step.cached_token / bandwidth,
        window_s=step.window / bandwidth,
        token_s=step.token_flops / flops,
        pair_s=step.pair_flops / flops,
        how=f"{step.read(1) / 1e9:.1f} GB at {bandwidth / 1e9:.0f} GB/s, {step.token_flops / 1e9:.1f} GFLOP a token"
        f" at {flops / 1e12:.0f} TFLOPS, {1000 * speed.overhead_s:.3g} ms a step beside{how}",
    )


def _unknown(fit: Fit) -> SpecError:
    return SpecError(
        f"how fast {fit.what.model.name} is on {fit.place.name} cannot be worked out",
        hint="its architecture or that GPU's speed is not in the catalog",
    )


def batch_limits(fit: Fit) -> BatchLimits:
    """Return what the engine of `fit` takes into one batch. Raises `SpecError` where it cannot be sized."""
    if fit.footprint is None:
        raise SpecError(f"how {fit.what.model.name} keeps its KV cache is not known, so it has no capacity")
    return BatchLimits(
        sequences=fit.what.settings.parallel,
        step_tokens=_engine(fit.what.engine)["step_tokens"],
        cache_tokens=max(fit.footprint.tokens, fit.what.settings.context),
    )


def step_bytes(fit: Fit, architecture: Architecture) -> StepBytes:
    """Return what a step of `fit` reads and computes."""
    model, weights, settings = fit.what.model, fit.what.weights, fit.what.settings
    stored = weights.parts or model.parts
    share, parameters = 1.0, weights.size * 8 / BITS.get(weights.quantization, 16.0)
    if stored is not None:
        share = _read(stored) / stored.total
        parameters = _read(model.parts or stored) / _BFLOAT16
    quantized = stored.quantized(settings.quantization) if stored and settings.quantization else None
    if quantized is not None and weights.quantization == "bfloat16":
        bytes_read = float(_read(quantized))
    else:
        bytes_read = weights.size * share
    experts = _expert_parameters(architecture) / parameters
    used = architecture.experts_used / architecture.experts if architecture.experts else 1.0
    element = 1 if settings.kv_dtype in {"fp8", "q8_0"} else 0.5 if settings.kv_dtype == "q4_0" else _BFLOAT16
    sliding, full = architecture.layers - architecture.global_layers, architecture.global_layers
    by_kind = [
        _TWO * heads * dim * element
        for heads, dim in zip(architecture.kv_heads, architecture.head_dim, strict=True)
    ]
    heads = architecture.heads or max(architecture.kv_heads)
    return StepBytes(
        weights=bytes_read * (1 - experts),
        experts=bytes_read * experts,
        expert_share=used,
        cached_token=full * by_kind[1],
        window=sliding * by_kind[0] * (architecture.sliding_window or 0),
        token_flops=_TWO * parameters * (1 - experts * (1 - used)),
        pair_flops=_TWO * _TWO * full * heads * architecture.head_dim[1],
    )


def _read(parts: Parts) -> int:
    """Return the bytes that each step reads: tables of embeddings are looked up, encoders are for images and sound."""
    return parts.matrices + parts.rest + (parts.head or parts.embedding)


def _expert_parameters(architecture: Architecture) -> float:
    width = architecture.expert_ffn or 0
    return 3.0 * architecture.layers * architecture.experts * architecture.hidden * width


def _engine(name: str) -> Mapping[str, Any]:  # Any: the values of a TOML table
    facts: Mapping[str, Any] | None = _table()["engine"].get(name)  # Any: as above
    if facts is None:
        raise SpecError(
            f"how fast {name} is on a GPU is not known",
            hint=f"it is known of {', '.join(_table()['engine'])}: name one with --engine",
        )
    return facts


@cache
def _table() -> dict[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads(
        (Path(__file__).parent.parent / "catalog" / "step_time.toml").read_text(encoding="utf-8")
    )
