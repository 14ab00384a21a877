"""
`homeport bench` of a server with known steps, over real HTTP, and what `homeport capacity` takes from it.

The steps are of an engine of Gemma 4 E4B that is slower than an L4 is thought to be. Poisson traffic of other lengths is then
sent and simulated.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

import httpx2
import pytest

from homeport import sync
from homeport.backoff import Backoff
from homeport.bench import BenchOptions, BenchResult, bench
from homeport.bench.bench import Served
from homeport.bench.options import OpenLoad
from homeport.capacity.measured_steps import MeasuredSteps, measured_steps
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.endpoint import Endpoint
from homeport.fit import Fit, fit
from homeport.fit.devices import cloud
from homeport.fit.subject import subject
from homeport.free_ports import free_port
from homeport.spec import Engine
from homeport.traffic import Arrival, Lengths, poisson
from noise import judge
from places import ROOT

pytestmark = pytest.mark.bench
SEQUENCES, STEP_S, TOKEN_S, MEMORY_S = 4, 0.02, 0.0003, 0.05
LENGTHS = ((64, 24), (1000, 8))
WITHIN = 0.1


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    port = free_port("127.0.0.1")
    program = ROOT / "tests" / "support" / "stepped_server.py"
    command = [sys.executable, str(program), *map(str, (STEP_S, TOKEN_S, SEQUENCES, 0, MEMORY_S))]
    with subprocess.Popen(command, env={**os.environ, "PORT": f"{port}"}) as server:
        wait = Backoff(what="the stepped server", within=180, first=0.05)
        while wait.sleep():
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False, verify=False)
                break
            except httpx2.TransportError:
                continue
        yield Endpoint(name="paced", base_url=f"http://127.0.0.1:{port}/v1", model="gemma-4-e4b")
        server.terminate()


def measured(endpoint: Endpoint, **options: object) -> BenchResult:
    asked = BenchOptions(**{"repetitions": 1, **options})  # type: ignore[arg-type]
    return sync.run(bench(endpoint, asked, served=Served(on="cloudrun", engine="vllm", max_instances=1)))


def ensure_quiet(*results: BenchResult) -> None:
    """Skip where the client itself was late: then a bench is no result, and says so."""
    doubts = [one for result in results for level in result.levels for one in level.doubts]
    noise = [one for one in doubts if "the client was the bottleneck" in one or "were sent late" in one]
    assert noise == doubts
    if noise:
        pytest.skip(f"cannot tell: {noise[0]}")


def simulated(arrivals: Sequence[Arrival], found: MeasuredSteps, place: Fit) -> tuple[float, float]:
    wanted = ServiceSettings(concurrency=SEQUENCES, least=1, most=1, scales=False, start_s=1e9)
    limits = BatchLimits(sequences=SEQUENCES, step_tokens=2048, cache_tokens=10**9)
    table = ScaledService(request_table(arrivals), wanted, found.of(place, "likely"), limits).run().traffic
    ttft = [first - at + found.way_s for first, at in zip(table.first, table.arrived, strict=True)]
    e2e = [end - at + found.way_s for end, at in zip(table.ended, table.arrived, strict=True)]
    return median(ttft), fmean(e2e)


def test_traffic_of_other_lengths_takes_what_steps_from_a_bench_say(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    served = subject("gemma-4-e4b", tmp_path).served("vllm", Engine(context=4096, parallel=SEQUENCES))
    place = fit(served, cloud("europe-west4", "nvidia-l4")[0])
    results = [
        measured(endpoint, users=(1, 2, 4), seconds=18.0, input=prompt, output=answer)
        for prompt, answer in LENGTHS
    ]
    ensure_quiet(*results)
    found = measured_steps(results, place)
    print(found.in_words, found.speed)
    lengths = Lengths(input=300, output=16, spread=0.5).drawn()
    arrivals = tuple(Arrival(at, *next(lengths)) for at in poisson(1.0, 60, seed=3))
    sent = measured(endpoint, open_load=OpenLoad(title="drawn", arrivals=arrivals))
    ensure_quiet(sent)
    (level,) = sent.levels
    assert level.requests.failed == {}
    ttft, e2e = simulated(arrivals, found, place)
    real = level.latency["ttft"].p50, level.latency["e2e"].mean
    off = {"ttft p50": ttft / real[0] - 1, "e2e mean": e2e / real[1] - 1}
    print({name: f"{value:+.1%}" for name, value in off.items()}, real)
    late = level.client.delay_p90_s
    judge(off, {"ttft p50": late / real[0], "e2e mean": late / real[1]}, dict.fromkeys(off, WITHIN))
