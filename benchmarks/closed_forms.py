"""
What `capacity` simulates against what is known without simulating: queues that have a closed form, and what is never lost.

One request at once is M/M/c (Erlang C), and M/D/1 for answers of one length (Pollaczek and Khinchine): 20,000 requests of one seed each,
so that what differs is chance in the traffic drawn, too. Kiefer and Wolfowitz's recursion gives each request's end, Little's law the time
that all spent there, and whoever came was answered or turned away: these are exact.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from itertools import islice

from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import RequestTable, request_table
from homeport.capacity.scaled_service import PENDING_LEAST_S, ScaledService, ServiceRun, ServiceSettings
from homeport.capacity.step_time import paced
from homeport.traffic import Arrival
from reaped import reaped
from scoreboard import Scoreboard, board

STEP_S, MEAN_S, REQUESTS = 0.01, 2.0, 20_000
ONE = BatchLimits(sequences=1, step_tokens=2048, cache_tokens=10**9)
QUEUES = ((1, 0.3), (1, 0.5), (1, 0.8), (2, 0.8), (4, 0.6), (8, 0.6), (16, 0.8))
"""Servers, and how busy each is."""


def drawn(count: int, rate: float, tokens: float, *, fixed: bool = False, seed: int = 7) -> RequestTable:
    """Return Poisson traffic with answers of `tokens` tokens, or geometric ones of that mean."""
    chance = random.Random(seed)

    def arrivals() -> Iterator[Arrival]:
        now = 0.0
        while True:
            now += chance.expovariate(rate)
            length = 1 + int(math.log(1 - chance.random()) / math.log(1 - 1 / tokens))
            yield Arrival(now, 1, int(tokens) if fixed else length)

    return request_table(islice(arrivals(), count))


def served(traffic: RequestTable, instances: int, *, start_s: float = 1e9) -> ServiceRun:
    """Simulate instances that take one request at once."""
    wanted = ServiceSettings(concurrency=1, least=instances, most=instances, scales=False, start_s=start_s)
    return ScaledService(traffic, wanted, paced(STEP_S), ONE).run()


def mean_wait(run: ServiceRun) -> float:
    """Return the mean time that requests waited before their first step."""
    table = run.traffic
    waits = [table.ended[one] - table.arrived[one] - table.outputs[one] * STEP_S for one in range(len(table))]
    return sum(waits) / len(waits)


def waited(run: ServiceRun) -> float:
    """Return the share of requests whose first step did not begin when they came."""
    table = run.traffic
    late = sum(table.first[one] - table.arrived[one] > STEP_S + 1e-9 for one in range(len(table)))
    return late / len(table)


def erlang_c(servers: int, load: float) -> float:
    """Return the chance that a request waits in M/M/c, at `load` = arrival rate x mean service time."""
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(load**count / math.factorial(count) for count in range(servers)) + last)


def expected_wait(servers: int, load: float) -> float:
    """Return the mean wait in M/M/c."""
    return erlang_c(servers, load) * MEAN_S / (servers - load)


def queue(servers: int, utilization: float, seed: int = 7) -> ServiceRun:
    """Simulate such a queue."""
    return served(drawn(REQUESTS, servers * utilization / MEAN_S, MEAN_S / STEP_S, seed=seed), servers)


def stays(run: ServiceRun) -> float:
    """Return the seconds that all requests spent there, those that were turned away included."""
    table = run.traffic
    return sum(
        end - at if end >= 0 else PENDING_LEAST_S for at, end in zip(table.arrived, table.ended, strict=True)
    )


def recursion(run: ServiceRun, servers: int) -> float:
    """Return by how many seconds a request's end differs at most from Kiefer and Wolfowitz's: whoever comes is served by who is free first."""
    table, free, off = run.traffic, [0.0] * servers, 0.0
    for number in range(len(table)):
        ends = max(table.arrived[number], min(free)) + table.outputs[number] * STEP_S
        free[free.index(min(free))] = ends
        off = max(off, abs(table.ended[number] - ends))
    return off


def lost(run: ServiceRun) -> int:
    """Return how many requests were neither answered nor turned away."""
    return len(run.traffic) - sum(end >= 0 for end in run.traffic.ended) - run.refused


def measure(told: Scoreboard) -> None:
    """Tell how far the simulation is from each."""
    waits, chances = {}, {}
    for servers, utilization in QUEUES:
        load, run = servers * utilization, queue(servers, utilization)
        name = f"M/M/{servers} at {utilization:.0%}"
        waits[name] = mean_wait(run) / expected_wait(servers, load) - 1
        chances[name] = waited(run) - erlang_c(servers, load)
    for id_, found in (("wait", waits), ("chance", chances)):
        name = max(found, key=lambda one: abs(found[one]))
        told.measured(id_, found[name], note=name)
    fixed = served(drawn(REQUESTS, 0.6, 100, fixed=True), 1)
    told.measured("fixed", mean_wait(fixed) / (0.6 / (2 * (1 - 0.6))) - 1, note="M/D/1 at 60%")
    told.measured("recursion", 1e6 * max(recursion(served(drawn(2000, n * 0.9, 100), n), n) for n in (1, 3)))
    refusing = served(drawn(2000, 2.0, 100), 1, start_s=0.0)
    told.measured(
        "little",
        1e9 * abs(refusing.in_service_s / stays(refusing) - 1),
        note=f"{refusing.refused} turned away",
    )
    told.measured("lost", lost(refusing))


def main() -> None:
    """Measure."""
    with board("closed-forms") as told:
        measure(told)


if __name__ == "__main__":
    reaped()
    main()
