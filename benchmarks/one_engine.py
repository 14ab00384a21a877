"""
One real llama.cpp on one thread against the simulation of `capacity`: Poisson requests, steps as they were measured.

Its steps are measured first, by closed loops of 1 to 4 users and prompts of three lengths, each while nothing else is asked
of it; then the same requests are sent and simulated. What is compared is the median of five such runs.

A machine that does something else besides makes steps longer, now and then: where the engine could have run and waited for a core
for more than a twentieth of its time, nothing can be told. `python benchmarks/one_engine.py 1` is one run, of which nothing is told either.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from unittest.mock import patch

from common import HOMEPORT, workspace
from homeport import connect, sync
from homeport.bench import BenchOptions, BenchResult, bench
from homeport.bench.options import OpenLoad
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.capacity.step_time import StepTime
from homeport.endpoint import Endpoint
from homeport.traffic import Arrival, Lengths, poisson
from reaped import reaped
from scoreboard import Scoreboard, board, furthest

SEQUENCES, INPUT, OUTPUT = 4, 64, 32
PROMPTS = (48, 112, 240)
"""Tokens of the prompts whose reading is measured: a token of a longer one takes longer."""
RUNS, SECONDS, BUSY = 5, 30.0, 0.5
QUIET = 0.05


def measured(endpoint: Endpoint, **options: object) -> BenchResult:
    """Measure as `homeport bench` does."""
    asked = BenchOptions(**{"input": INPUT, "output": OUTPUT, "repetitions": 1, **options})  # type: ignore[arg-type]
    return sync.run(bench(endpoint, asked))


def steps(endpoint: Endpoint) -> tuple[StepTime, float, int]:
    """Return how long its steps take, how many requests a second it gives at most, and how much of a prompt it has in its cache."""
    users = tuple(range(1, SEQUENCES + 1))
    found = measured(endpoint, users=users, seconds=6.0 * SEQUENCES)
    decode = [one.latency["itl"].p50 for one in found.levels]
    alone = [
        measured(endpoint, users=(1,), seconds=6.0, input=length, output=4).levels[0] for length in PROMPTS
    ]
    first = [one.latency["ttft"].p50 for one in alone]
    # All prompts begin with the chat template, which it keeps and does not read again.
    cached = round(alone[-1].tokens.cached / alone[-1].requests.answered)
    read = [length - cached for length in PROMPTS]
    token_s, pair_s = prompt_times(read, first)
    beside = first[0] - read[0] * token_s - read[0] ** 2 / 2 * pair_s

    def took(tokens: int) -> float:
        """Return what a step takes by the tokens in it: a few are decoded; more are a prompt, which has a part of its own beside."""
        if tokens <= SEQUENCES:
            return decode[tokens - 1] if tokens else 0.0
        return max(decode[-1], beside + token_s * tokens + pair_s * tokens**2 / 2)

    made = StepTime(
        overhead_s=0.0,
        weights_s=took,
        cached_token_s=0.0,
        window_s=0.0,
        token_s=0.0,
        pair_s=0.0,
        how="measured",
    )
    print(
        f"steps of 1 to 4: {decode}; prompts: {first}, {cached} tokens cached; a token {token_s}, a pair {pair_s}, beside {beside}"
    )
    return made, found.levels[-1].rates["requests"].mean, cached


def prompt_times(read: Sequence[int], first: Sequence[float]) -> tuple[float, float]:
    """Return the seconds of a prompt's token, and of a pair of them, by the parabola through what three lengths take."""
    (a, b, c), (x, y, z) = read, first
    slopes = (y - x) / (b - a), (z - y) / (c - b)
    bend = max(0.0, (slopes[1] - slopes[0]) / (c - a))
    return max(0.0, slopes[0] - bend * (a + b)), 2 * bend


def simulated(arrivals: Sequence[Arrival], times: StepTime) -> Mapping[str, float]:
    """Return what the simulation says of these requests."""
    wanted = ServiceSettings(concurrency=10**6, least=1, most=1, scales=False)
    limits = BatchLimits(sequences=SEQUENCES, step_tokens=512, cache_tokens=10**9)
    run = ScaledService(request_table(arrivals), wanted, times, limits).run()
    table = run.traffic
    if min(table.ended) <= 0:
        raise RuntimeError("the simulation did not answer every request")
    ttft = sorted(first - at for first, at in zip(table.first, table.arrived, strict=True))
    e2e = sorted(end - at for end, at in zip(table.ended, table.arrived, strict=True))
    found = {
        f"{name} p{p}": _at(all_of, p) for name, all_of in (("ttft", ttft), ("e2e", e2e)) for p in (50, 95)
    }
    return {**found, "tokens": sum(table.outputs) / (max(table.ended) - table.arrived[0])}


def _at(ordered: Sequence[float], percent: int) -> float:
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def waited(pid: int) -> tuple[float, float]:
    """Return the seconds that the threads of a process have run, and that they waited for a core while they could have."""
    ran = waiting = 0.0
    for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        nanoseconds = stat.read_text(encoding="ascii").split()
        ran, waiting = ran + int(nanoseconds[0]) / 1e9, waiting + int(nanoseconds[1]) / 1e9
    return ran, waiting


@contextmanager
def served() -> Iterator[tuple[Endpoint, int]]:
    """Yield SmolLM2 135M as `homeport up` serves it on one thread, and the process of its engine."""
    with workspace() as (folder, env, _):
        threads = 'extra_args = ["cpuparams.n_threads=1", "cpuparams_batch.n_threads=1"]'
        (folder / "homeport.toml").write_text(
            f'name = "mine"\nmodel = "smollm2-135m"\n[engine]\ncontext = 1024\nparallel = {SEQUENCES}\n{threads}\n[local]\nport = 0\n'
        )

        def homeport(*words: str) -> str:
            ran = subprocess.run(
                [*HOMEPORT, *words], cwd=folder, env=env, check=True, capture_output=True, text=True
            )
            return ran.stdout

        homeport("up", "--yes", "--no-verify")
        try:
            with patch.dict(os.environ, env):
                endpoint = connect("mine")
            yield endpoint, int(json.loads(homeport("status", "--json"))[0]["pid"])
        finally:
            homeport("down", "--yes")


def one_run(
    endpoint: Endpoint, times: StepTime, most: float, cached: int, number: int
) -> Mapping[str, float]:
    """Send Poisson requests and simulate them; return what each figure of the simulation is to the real one."""
    lengths = Lengths(input=INPUT, output=OUTPUT, spread=0.5).drawn(number)
    arrivals = tuple(Arrival(at, *next(lengths)) for at in poisson(BUSY * most, SECONDS, seed=number))
    result = measured(endpoint, open_load=OpenLoad(title="as simulated", of_trace=True, arrivals=arrivals))
    (level,) = result.levels
    if level.requests.failed:
        raise RuntimeError(f"requests failed: {level.requests.failed}")
    least = result.setting.template_tokens + 1
    real_lengths = [Arrival(one.seconds, max(least, one.input) - cached, one.output) for one in arrivals]
    found = simulated(real_lengths, times)
    real = {
        f"{name} p{p}": getattr(level.latency[name], f"p{p}") for name in ("ttft", "e2e") for p in (50, 95)
    }
    real["tokens"] = level.rates["output_tokens"].mean
    print({name: (round(found[name], 3), round(value, 3)) for name, value in real.items()}, flush=True)
    return {name: found[name] / value for name, value in real.items()}


def measure(told: Scoreboard, runs: int = RUNS) -> None:
    """Measure the engine's steps, then several loads, and tell by how much the simulation is off at their median."""
    with served() as (endpoint, engine):
        ran, idle = waited(engine)
        times, most, cached = steps(endpoint)
        ratios = [one_run(endpoint, times, most, cached, number) for number in range(runs)]
        ran, idle = (now - then for now, then in zip(waited(engine), (ran, idle), strict=True))
    off = {name: median(one[name] for one in ratios) - 1 for name in ratios[0]}
    unclear = (
        f"the engine waited for a core for {idle:.0f} s and ran for {ran:.0f} s"
        if idle / (ran + idle) > QUIET
        else ""
    )
    if runs < RUNS:
        unclear = unclear or f"{runs} of {RUNS} runs"
    latencies = {name: value for name, value in off.items() if name != "tokens"}
    name = furthest(told.promises["latency"], latencies, dict.fromkeys(latencies, 0.0))
    said = ", ".join(f"{one} {100 * value:+.0f}" for one, value in latencies.items())
    told.measured("latency", off[name], note=f"{said} %", unclear=unclear and f"{unclear}; {said} %")
    told.measured("tokens", off["tokens"], unclear=unclear)


def main() -> None:
    """Measure, with as many runs as are asked for."""
    with board("engine") as told:
        measure(told, *map(int, sys.argv[1:]))


if __name__ == "__main__":
    reaped()
    main()
