"""
How fast the simulation of capacity is: seconds of one core for a million requests of one engine that takes 16 at once,
and for a day of 50 instances at 20 requests a second.

Lengths are lognormal with the means of Azure's conversations of 2023 (1,155 tokens in, 211 out). Processor seconds, so
that other programs count less; two programs on one core still slow each other.
"""

from __future__ import annotations

import sys
import time

from common import header
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import RequestTable, request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.capacity.step_time import StepTime
from homeport.traffic import Arrival, Lengths, poisson

STEPS = StepTime(
    overhead_s=0.005,
    weights_s=lambda _: 0.040,
    cached_token_s=1.2e-7,
    window_s=1e-4,
    token_s=1.3e-4,
    pair_s=2e-9,
    how="about what an L4 does with a model of 4 billion parameters",
)
LIMITS = BatchLimits(sequences=16, step_tokens=2048, cache_tokens=10**6)
GOAL_S = 60


def requests(rate: float, seconds: float) -> RequestTable:
    """Return Poisson traffic."""
    lengths = Lengths(input=1155, output=211, spread=1.0).drawn()
    return request_table(Arrival(at, *next(lengths)) for at in poisson(rate, seconds))


def measure(title: str, table: RequestTable, settings: ServiceSettings) -> float:
    """Print and return the processor seconds that the simulation of `table` takes."""
    begun = time.process_time()
    run = ScaledService(table, settings, STEPS, LIMITS).run()
    took = time.process_time() - begun
    each = took / len(table) * 1e6
    print(
        f"{title}: {took:.1f} s of one core for {len(table):,} requests, {each:.0f} µs each (goal {GOAL_S} s);"
    )
    print(f"    {run.refused:,} turned away, {run.peak} instances at most")
    return took


def main() -> None:
    """Print both; with a share as argument, such as 0.1, of so much less traffic."""
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    header()
    one = ServiceSettings(concurrency=16, least=1, most=1, scales=False, start_s=1e9)
    measure("one engine, 16 at once", requests(1.0, 1e6 * share), one)
    fleet = ServiceSettings(concurrency=16, least=50, most=50, start_s=60)
    measure("50 instances at 20 requests a second", requests(20.0, 86_400 * share), fleet)


if __name__ == "__main__":
    main()
