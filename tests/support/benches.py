"""Results of benches that were not run, of an engine whose steps are known."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from homeport.bench.figures import Percentiles, estimate
from homeport.bench.level import ClientCost, LevelResult, Requests, TokenCounts
from homeport.bench.result import BenchResult, Setting, WarmUp
from homeport.capacity.closed_loop import closed_loop
from homeport.capacity.replica import BatchLimits
from homeport.capacity.step_time import StepTime


def bench_of(
    times: StepTime,
    limits: BatchLimits,
    *,
    users: Sequence[int] = (1, 2, 4),
    lengths: tuple[int, int] = (256, 64),
    way_s: float = 0.0,
    noise: float = 0.0,
    engine: str = "vllm",
    model: str = "gemma-4-e4b",
    max_instances: int | None = 1,
    rehearsed: bool | None = False,
    doubts: tuple[str, ...] = (),
) -> BenchResult:
    """What a bench of an engine with these steps says, each figure off by up to `noise`."""
    chance = random.Random(1)

    def levels() -> Iterator[LevelResult]:
        for count in users:
            found = closed_loop(count, lengths, times, limits)
            figures = {"ttft": found.ttft_s + way_s, "e2e": found.e2e_s + way_s}
            yield _level(
                count,
                {name: one * (1 + chance.uniform(-noise, noise)) for name, one in figures.items()},
                doubts,
            )

    setting = Setting(
        endpoint="home", model=model, on="cloudrun", engine=engine, engine_version="", max_instances=max_instances,
        machine="", homeport="0", input=lengths[0], output=lengths[1], template_tokens=0, exact_prompts=True,
        ignores_eos=True, shared=0, slo="", seed=0, started_at="2026-11-29T12:00:00+00:00", rehearsed=rehearsed,
    )  # fmt: skip
    warm_up = WarmUp(requests=0, first_ttft_s=None, last_ttft_s=None)
    return BenchResult(
        version=1, setting=setting, warm_up=warm_up, levels=tuple(levels()), knee=None, engine_metrics={}
    )


def _level(users: int, seconds: dict[str, float], doubts: tuple[str, ...]) -> LevelResult:
    rates = ("output_tokens", "total_tokens", "requests", "goodput")
    return LevelResult(
        load=f"{users} users", users=users, rate=None, seconds=1.0,
        requests=Requests(answered=1, failed={}, unfinished=0, late=0, unsent=0, reconnected=0, first_failure=""),
        tokens=TokenCounts(input=1, output=1, chunks=1, counted=True, input_exact=1, cached=0),
        rates={name: estimate([1.0]) for name in rates},
        latency={name: _alike(one) for name, one in seconds.items()},
        by_repetition={},
        client=ClientCost(cpu_share=0, cpu_s_per_1000_requests=0, delay_p90_s=0, delay_p99_s=0, delay_max_s=0),
        over_time=(), doubts=doubts, notes=(),
    )  # fmt: skip


def _alike(value: float) -> Percentiles:
    return Percentiles(
        formula="", count=1, mean=value, p50=value, p90=value, p95=value, p99=value, max=value, histogram=""
    )
