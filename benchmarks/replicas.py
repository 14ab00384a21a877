"""
What `capacity` simulates is what real requests meet: paced replicas behind the rehearsed front end of Cloud Run.

The replicas work in steps on a fixed clock, over real HTTP; the front end is the rehearsal's, with its queue and its 429s.
A burst has started all replicas before. It knows no averages of a minute: the simulation has none here.
The simulation has no way either: what front end and HTTP take is measured with one request at once, and added.

Noise is what the simulation itself moves by where requests come, and tokens are seen, as late as this machine's clock was. Where
that is more than is allowed, nothing can be told. `python benchmarks/replicas.py 2x1.7` is one load alone.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from common import ROOT

sys.path.insert(0, str(ROOT / "tests" / "support"))

from gcp_rehearsal.runtime.processes import Engines
from homeport import sync
from homeport.bench.connection import Connections, Destination
from homeport.bench.figures import values
from homeport.bench.load import LoadPatience, LoadRun, LoadSender
from homeport.bench.timed_request import RequestFailure
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import request_table
from homeport.capacity.scaled_service import ScaledService, ServiceSettings
from homeport.capacity.step_time import paced
from homeport.endpoint import Endpoint
from homeport.traffic import Arrival, Lengths, poisson
from patience import until
from promises import LOADS, REPLICAS
from reaped import reaped
from rehearsed import REGION, Running, image, rehearsing
from scoreboard import Scoreboard, board, furthest
from stepped_server import STEP_TOKENS, Body

STEP_S, TOKEN_S, SEQUENCES, START_S = 0.1, 0.0005, 4, 3.0
INPUT, OUTPUT, SPREAD = 200, 15, 0.5
SECONDS = {0.5: 120.0, 0.8: 240.0, 1.7: 120.0}
"""By load. Near the knee the same requests, sent some milliseconds later, have another median TTFT: by 4 % where it is 45 s."""
FULL = 2.0
"""Requests a second that one replica answers at most, about."""
DRAWS = 10
SPEED = "tokens a second"
SUPPORT = ROOT / "tests" / "support"


@dataclass(frozen=True)
class Came:
    """What came of a load: seconds from when a request came to its first token and its last, of those that were answered."""

    ttft: Sequence[float]
    e2e: Sequence[float]
    tokens_per_s: float
    refused: int
    delays: Sequence[float] = ()
    """How late the clock was at each look, every 50 ms."""

    def at(self, share: float) -> tuple[float, float]:
        """Return the TTFT and the end to end that so large a share of requests does not exceed."""
        place = max(0, math.ceil(share * len(self.ttft)) - 1)
        return sorted(self.ttft)[place], sorted(self.e2e)[place]


def traffic(rate: float, seconds: float) -> list[Arrival]:
    """Return Poisson traffic."""
    lengths = Lengths(input=INPUT, output=OUTPUT, spread=SPREAD).drawn()
    return [Arrival(at, *next(lengths)) for at in poisson(rate, seconds, seed=3)]


def simulated(arrivals: Sequence[Arrival], replicas: int, start_s: float) -> Came:
    """Simulate requests; all replicas are there, as after the burst."""
    wanted = ServiceSettings(
        concurrency=SEQUENCES, least=replicas, most=replicas, scales=False, start_s=start_s
    )
    limits = BatchLimits(sequences=SEQUENCES, step_tokens=STEP_TOKENS, cache_tokens=10**9)
    run = ScaledService(request_table(arrivals), wanted, paced(STEP_S, token_s=TOKEN_S), limits).run()
    table = run.traffic
    done = [number for number, end in enumerate(table.ended) if end >= 0]
    return Came(
        ttft=[table.first[one] - table.arrived[one] for one in done],
        e2e=[table.ended[one] - table.arrived[one] for one in done],
        tokens_per_s=sum(table.outputs[one] for one in done) / (max(table.ended) - table.arrived[0]),
        refused=run.refused,
    )


def replayed(running: Running, arrivals: Sequence[Arrival]) -> Came:
    """Send the same requests when they are due."""
    uri, port = running.service()["uri"], running.client.base_url.port
    endpoint = Endpoint(name="paced", base_url=f"{uri}/v1", model="paced", via=f"http://127.0.0.1:{port}")

    async def load() -> LoadRun:
        connections = Connections(Destination.of(endpoint, "/v1/chat/completions"))
        try:
            sender = LoadSender(endpoint, connections, Body(), LoadPatience())
            lengths = ((one.input, one.output) for one in arrivals)
            return await sender.opened([one.seconds for one in arrivals], lengths)
        finally:
            await connections.close()

    run = sync.run(load())
    answered = [one for one in run.requests if one.failure is None]
    refused = [one for one in run.requests if one.failure is not None]
    odd = {(one.failure, one.status) for one in refused} - {(RequestFailure.REFUSED, 429)}
    if odd or len(run.requests) != len(arrivals):
        raise RuntimeError(
            f"of {len(arrivals)} requests {len(run.requests)} came back, not all of them answered or turned away: {odd}"
        )
    found = [values(one) for one in answered]
    seconds = run.ended - min(one.due for one in run.requests)
    return Came(
        ttft=[one["ttft"] for one in found],
        e2e=[one["e2e"] for one in found],
        tokens_per_s=sum(one.output_tokens for one in answered) / seconds,
        refused=len(refused),
        delays=run.delays,
    )


def noise(
    arrivals: Sequence[Arrival], replicas: int, start_s: float, delays: Sequence[float]
) -> dict[str, float]:
    """Return by how much each figure of the simulation moves at most with such delays, over some draws of them."""
    still = simulated(arrivals, replicas, start_s)
    moved = dict.fromkeys([*figures(still), "429s"], 0.0)
    for seed in range(DRAWS):
        chance = random.Random(seed)
        late = sorted(
            (replace(one, seconds=one.seconds + chance.choice(delays)) for one in arrivals),
            key=lambda one: one.seconds,
        )
        found = simulated(late, replicas, start_s)
        seen = replace(
            found,
            ttft=[one + chance.choice(delays) for one in found.ttft],
            e2e=[one + chance.choice(delays) for one in found.e2e],
        )
        for name, value in figures(seen).items():
            moved[name] = max(moved[name], abs(value / figures(still)[name] - 1))
        moved["429s"] = max(moved["429s"], abs(found.refused - still.refused) / len(arrivals))
    return moved


def figures(came: Came) -> Mapping[str, float]:
    """Return what is compared."""
    by_share = {
        f"{name} p{100 * share:.0f}": value
        for share in (0.5, 0.95)
        for name, value in zip(("ttft", "e2e"), came.at(share), strict=True)
    }
    return {SPEED: came.tokens_per_s, **by_share}


def deployed(running: Running, replicas: int) -> None:
    """Deploy the paced server for everybody: who calls is not what is tested."""
    files = {f"/srv/{name}": SUPPORT / name for name in ("paced_server.py", "stepped_server.py")}
    arguments = [str(one) for one in (STEP_S, TOKEN_S, SEQUENCES, START_S)]
    program = [sys.executable, "/srv/stepped_server.py"]
    reference = image(running.cloud, "stepped", files, entrypoint=program, cmd=arguments)
    scaling = {"maxInstanceCount": replicas}
    ended = running.deploy(reference, maxInstanceRequestConcurrency=SEQUENCES, scaling=scaling)
    if "response" not in ended:
        raise RuntimeError(f"the rehearsal does not deploy the paced server: {ended}")
    anybody = {"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}
    running.api("POST", f"/v2/{REGION}/services/home:setIamPolicy", {"policy": anybody})


def measure(told: Scoreboard, replicas: int, load: float) -> None:
    """Send a load and simulate it, and tell by how much the simulation is off."""
    with rehearsing() as running:
        deployed(running, replicas)
        engines = running.cloud.containers
        assert isinstance(engines, Engines)
        alone = replayed(running, [Arrival(2.0 * number, INPUT, 2) for number in range(9)])
        way = alone.at(0.5)[0] - STEP_S - TOKEN_S * INPUT
        # So many at once that each replica is needed. When the last of several starts hangs on milliseconds otherwise.
        burst = [Arrival(0.0, INPUT, OUTPUT) for _ in range(SEQUENCES * replicas)]
        replayed(running, burst)
        until(running.instances, lambda found: len(found) == replicas and all(one["ready"] for one in found))
        arrivals = traffic(load * FULL * replicas, SECONDS[load])
        real = replayed(running, arrivals)
        started = engines.pool(running.api("GET", f"/v2/{running.service()['latestReadyRevision']}"))
        assert len(running.instances()) == replicas
    found = simulated(arrivals, replicas, started.startup_s)
    with_way = replace(found, ttft=[one + way for one in found.ttft], e2e=[one + way for one in found.e2e])
    seen = figures(real)
    off = {name: value / seen[name] - 1 for name, value in figures(with_way).items()}
    moved = noise(arrivals, replicas, started.startup_s, real.delays)
    tell(told, f"{replicas}x{load:g}", off, moved)
    late = sorted(alone.delays)[int(0.9 * len(alone.delays))]
    told.measured(f"{replicas}x{load:g}-way", 1000 * way, noise=1000 * late)
    if (real.refused > 0) != (load > 1):
        raise RuntimeError(f"{real.refused} of {len(arrivals)} requests were turned away at {load:.0%}")
    if load > 1:
        note = f"{found.refused} and {real.refused} of {len(arrivals)}"
        refused = (found.refused - real.refused) / len(arrivals)
        told.measured(f"{replicas}x{load:g}-429", refused, noise=moved["429s"], note=note)


def tell(told: Scoreboard, id_: str, off: Mapping[str, float], moved: Mapping[str, float]) -> None:
    """Tell latencies by the one that is off most, and tokens a second, which have a promise of their own."""
    latencies = {name: value for name, value in off.items() if name != SPEED}
    name = furthest(told.promises[id_], latencies, moved)
    said = ", ".join(f"{one} {100 * value:+.1f}" for one, value in latencies.items())
    told.measured(id_, off[name], noise=moved[name], note=f"{said} %")
    told.measured(f"{id_}-tokens", off[SPEED], noise=moved[SPEED])


def main() -> None:
    """Measure all loads, or those that are named, such as 2x1.7."""
    wanted = sys.argv[1:] or [f"{replicas}x{load:g}" for replicas in REPLICAS for load in LOADS]
    with board("replicas") as told:
        for one in wanted:
            replicas, _, load = one.partition("x")
            measure(told, int(replicas), float(load))


if __name__ == "__main__":
    reaped()
    main()
