"""
`homeport bench` of a server with known steps, over real HTTP, and what `homeport capacity` takes from it.

The steps are of an engine of Gemma 4 E4B that is slower than an L4 is thought to be. Poisson traffic of other lengths is then
sent and simulated.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median

from common import ROOT, served
from homeport import sync
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
from reaped import reaped
from scoreboard import Scoreboard, board

SEQUENCES, STEP_S, TOKEN_S, MEMORY_S = 4, 0.02, 0.0003, 0.05
LENGTHS = ((64, 24), (1000, 8))


@contextmanager
def stepped() -> Iterator[Endpoint]:
    """Yield the endpoint of a server with known steps, a process of its own."""
    port = free_port("127.0.0.1")
    program = ROOT / "tests" / "support" / "stepped_server.py"
    command = [sys.executable, str(program), *map(str, (STEP_S, TOKEN_S, SEQUENCES, 0, MEMORY_S))]
    with served(command, port, {"PORT": f"{port}"}) as url:
        yield Endpoint(name="paced", base_url=f"{url}/v1", model="gemma-4-e4b")


def measured(endpoint: Endpoint, **options: object) -> BenchResult:
    """Measure as `homeport bench` does."""
    asked = BenchOptions(**{"repetitions": 1, **options})  # type: ignore[arg-type]
    return sync.run(bench(endpoint, asked, served=Served(on="cloudrun", engine="vllm", max_instances=1)))


def unquiet(*results: BenchResult) -> str:
    """Return why nothing can be told, '' where it can: where the client itself was late, a bench is no result, and says so."""
    doubts = [one for result in results for level in result.levels for one in level.doubts]
    noise = [one for one in doubts if "the client was the bottleneck" in one or "were sent late" in one]
    if noise != doubts:
        raise RuntimeError(f"a bench of a server that does not lie has doubts: {doubts}")
    return noise[0] if noise else ""


def simulated(arrivals: Sequence[Arrival], found: MeasuredSteps, place: Fit) -> tuple[float, float]:
    """Return the median TTFT and the mean end to end of these requests with the steps that were found."""
    wanted = ServiceSettings(concurrency=SEQUENCES, least=1, most=1, scales=False, start_s=1e9)
    limits = BatchLimits(sequences=SEQUENCES, step_tokens=2048, cache_tokens=10**9)
    table = ScaledService(request_table(arrivals), wanted, found.of(place, "likely"), limits).run().traffic
    ttft = [first - at + found.way_s for first, at in zip(table.first, table.arrived, strict=True)]
    e2e = [end - at + found.way_s for end, at in zip(table.ended, table.arrived, strict=True)]
    return median(ttft), fmean(e2e)


def measure(told: Scoreboard) -> None:
    """Measure, take steps from that, send other traffic, and tell by how much the simulation of it is off."""
    with stepped() as endpoint, tempfile.TemporaryDirectory() as folder:
        served = subject("gemma-4-e4b", Path(folder)).served("vllm", Engine(context=4096, parallel=SEQUENCES))
        place = fit(served, cloud("europe-west4", "nvidia-l4")[0])
        results = [
            measured(endpoint, users=(1, 2, 4), seconds=18.0, input=prompt, output=answer)
            for prompt, answer in LENGTHS
        ]
        if why := unquiet(*results):
            for id_ in ("ttft", "e2e"):
                told.unmeasured(id_, why)
            return
        found = measured_steps(results, place)
        print(found.in_words, found.speed)
        lengths = Lengths(input=300, output=16, spread=0.5).drawn()
        arrivals = tuple(Arrival(at, *next(lengths)) for at in poisson(1.0, 60, seed=3))
        sent = measured(endpoint, open_load=OpenLoad(title="drawn", of_trace=True, arrivals=arrivals))
    why = unquiet(sent)
    (level,) = sent.levels
    if level.requests.failed:
        raise RuntimeError(f"requests failed: {level.requests.failed}")
    late = level.client.delay_p90_s
    reals = level.latency["ttft"].p50, level.latency["e2e"].mean
    for id_, is_simulated, real in zip(
        ("ttft", "e2e"), simulated(arrivals, found, place), reals, strict=True
    ):
        told.measured(id_, is_simulated / real - 1, noise=late / real, unclear=why)


def main() -> None:
    """Measure."""
    with board("steps") as told:
        measure(told)


if __name__ == "__main__":
    reaped()
    main()
