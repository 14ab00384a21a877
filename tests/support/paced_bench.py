"""Measuring a paced server for a moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from homeport import sync
from homeport.bench import BenchOptions, BenchResult, bench
from homeport.bench.load import LoadPatience
from homeport.endpoint import Endpoint
from paced_server import Lie, Pace, PacedServer

QUICK = BenchOptions(input=60, output=12, seconds=0.25, repetitions=1, users=(2,))

ENOUGH = 12
"""Requests that tell something, as those do of which every fourth goes wrong."""


def endpoint_of(server: PacedServer) -> Endpoint:
    """The server as an endpoint."""
    return Endpoint(name="paced", base_url=f"{server.url}/v1", model="paced")


def measured(lie: Lie | None = None, *, pace: Pace | None = None, **options: Any) -> BenchResult:
    """What a paced server with a lie gives for a moment, or for as long as it takes until enough was asked of it."""
    # Whoever is to be given up is; whoever is only late is waited for.
    patience = LoadPatience(stalled_s=0.2, drain_s=3) if lie is Lie.STALLS else LoadPatience()
    asked = replace(QUICK, **options)
    while True:
        with PacedServer(replace(pace or Pace(ttft_s=0.01, itl_s=0.001), lie=lie)) as server:
            result = sync.run(bench(endpoint_of(server), asked, patience=patience))
        requests = result.levels[0].requests
        if requests.answered + sum(requests.failed.values()) >= ENOUGH:
            return result
        assert asked.seconds < 100, f"the server answered next to nothing: {requests}"
        asked = replace(asked, seconds=4 * asked.seconds)
