"""
How fast the simulation of capacity is: seconds of one core for a million requests of one engine that takes 16 at once,
and for a day of 50 instances at 20 requests a second.

Lengths are lognormal with the means of Azure's conversations of 2023 (1,155 tokens in, 211 out). Processor seconds, so
that other programs count less; two programs on one core still slow each other.
"""

from __future__ import annotations

import sys
import time

from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import RequestTable, request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.capacity.step_time import StepTime
from homeport.traffic import Arrival, Lengths, poisson
from reaped import reaped
from scoreboard import Scoreboard, board

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


def requests(rate: float, seconds: float) -> RequestTable:
    """Return Poisson traffic."""
    lengths = Lengths(input=1155, output=211, spread=1.0).drawn()
    return request_table(Arrival(at, *next(lengths)) for at in poisson(rate, seconds))


def measure(told: Scoreboard, id_: str, table: RequestTable, settings: ServiceSettings, share: float) -> None:
    """Tell the processor seconds that the simulation of `table` takes; of a share of the traffic, what all of it would."""
    begun = time.process_time()
    run = ScaledService(table, settings, STEPS, LIMITS).run()
    took = time.process_time() - begun
    each = took / len(table) * 1e6
    note = f"{len(table):,} requests, {each:.0f} µs each; {run.refused:,} turned away"
    scaled = "" if share == 1 else f"worked out from a share of {share:g}"
    told.measured(id_, took / share, note=note, unclear=scaled)


def main() -> None:
    """Measure both; with a share as argument, such as 0.1, of so much less traffic."""
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    one = ServiceSettings(concurrency=16, least=1, most=1, scales=False, start_s=1e9)
    fleet = ServiceSettings(concurrency=16, least=50, most=50, start_s=60)
    with board("simulation") as told:
        measure(told, "million", requests(1.0, 1e6 * share), one, share)
        measure(told, "day", requests(20.0, 86_400 * share), fleet, share)


if __name__ == "__main__":
    reaped()
    main()
