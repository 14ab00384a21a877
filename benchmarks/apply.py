"""
How fast a deployment by way B, as `up` makes it of a file, is applied and planned, in a rehearsal.

Each call takes 150 ms (100 ms for the plan), operations take what they take in the rehearsal (5 to 60 s), and the
clock jumps over every wait: what is measured is the order in which things are done, not the processor.

Then both ways with the durations that others published (`src/homeport/catalog/durations.toml`, their lower ends), played by
the rehearsal: against the critical path, and against Google's lab, whose steps go one after the other; and Ollama once more with a model that
Google has an image of. The model is taken to be proven at
once, and nobody published how long the fetch of an image through a repository takes: both would come on top.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from common import ROOT
from reaped import reaped
from scoreboard import Scoreboard, board

sys.path.insert(0, str(ROOT / "tests" / "support"))

from cloud import act
from deployment import google_for
from gcp_rehearsal import context
from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.runtime.container_runtime import Willing
from homeport import spec
from homeport.catalog.durations import durations
from homeport.fit.cold_start import expected
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Applied, Resource, apply, make_plan
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.model_selection import choose
from ways import NAME, SPEC_FILE, Carrying, Wanted, Way, wanted

CALL_S, PLAN_CALL_S = 0.15, 0.1
E2B_BYTES = {"ollama": 7_200_000_000, "vllm": 10_200_000_000}
"""Of the lab's model, Gemma 4 E2B, as each engine takes it."""
LAB_S: Mapping[Way, float] = {"ollama": 15 * 60, "vllm": (2 + 20) * 60}
"""The lower ends of what its video says: Ollama's build; the download, then vLLM's build and deployment."""


@dataclass(slots=True, kw_only=True)
class Published(Carrying):
    """Steps of builds that take as long as was published."""

    way: Way

    def run(self, cloud: context.Cloud, step: Step) -> Ran | RunningStep:
        """Return what comes of a step, as late as was published."""
        ran = Carrying.run(self, cloud, step)
        kind = ""
        if step.id == "build":
            kind = "image with weights"
        elif self.way == "vllm" and "gs://" in step.env.get("HOMEPORT_JOB", ""):
            kind = "weights"
        span = durations().of(kind, E2B_BYTES[self.way]) if kind else None
        return (
            Ran(code=ran.code, lines=ran.lines, seconds=span.low_s) if span and isinstance(ran, Ran) else ran
        )


def main() -> None:
    """Deploy, and tell how long it took."""
    with board("apply") as told, tempfile.TemporaryDirectory() as folder:
        os.environ["HOMEPORT_HOME"] = folder
        _measure(told, wanted("vllm", Path(folder)))
        _measure_published(told, "vllm", "vllm", "stream", wanted("vllm", Path(folder)))
        _measure_published(told, "baked", "ollama", "baked", wanted("ollama", Path(folder)))
        _measure_published(told, "prebuilt", "ollama", "prebuilt", _prebuilt())


def _measure(told: Scoreboard, wish: Wanted) -> None:
    begun = time.perf_counter()
    cloud = Cloud(steps=Carrying())
    taken, outcome, resources = act(_applied(cloud, wish))
    longest = _critical_path(resources, outcome.seconds)
    things = f"{len(resources)} things"
    told.measured("path", taken / longest, note=things)
    told.measured("sequence", taken / sum(outcome.seconds.values()), note=things)
    planned = [act(_planned(cloud, wish)) for _ in range(3)]
    told.measured("plan", median(planned) / PLAN_CALL_S, note=things)
    print(f"    (seconds of a clock that jumps; the processor took {time.perf_counter() - begun:.1f} s)")


def _prebuilt() -> Wanted:
    """Return a model that Google has an image of, with nothing to carry and nothing to build."""
    wish = spec.parse({"name": NAME, "model": "gemma-3-4b", "cloudrun": {"delivery": "prebuilt"}})
    return Wanted(spec=wish, chosen=asyncio.run(choose(wish, SPEC_FILE, find_home(), Silent())))


def _measure_published(told: Scoreboard, id_: str, way: Way, delivery: str, wish: Wanted) -> None:
    containers = Willing()
    cloud = Cloud(steps=Published(way=way), containers=containers)
    size = wish.chosen.published.size if delivery == "prebuilt" else E2B_BYTES[way]
    start = expected(engine=way, delivery=delivery, weights_bytes=size)
    containers.seconds["/revisions/"] = start.likely
    taken, outcome, resources = act(_applied(cloud, wish))
    path = _critical_path(resources, outcome.seconds)
    told.measured(f"{id_}-path", taken / path)
    told.measured(f"{id_}-lab", taken / LAB_S[way])


def _resources(wish: Wanted, google: Google) -> list[Resource]:
    return wish.target(google, _proven).resources()


async def _proven(*_: object) -> Receipt:
    """At once: how long a model takes to be verified is not what is measured."""
    return Receipt(at="2026-11-25T00:00:00", passed=True, counts={"passed": 20})


async def _applied(cloud: Cloud, wish: Wanted) -> tuple[float, Applied, list[Resource]]:
    loop = asyncio.get_running_loop()
    async with google_for(cloud, latency=CALL_S) as google:
        resources = _resources(wish, google)
        plan = await make_plan(NAME, "cloudrun", resources)
        begun = loop.time()
        outcome = await apply(plan, Silent())
        return loop.time() - begun, outcome, resources


async def _planned(cloud: Cloud, wish: Wanted) -> float:
    loop = asyncio.get_running_loop()
    async with google_for(cloud, latency=PLAN_CALL_S) as google:
        begun = loop.time()
        plan = await make_plan(NAME, "cloudrun", _resources(wish, google))
        assert not plan.pending
        return loop.time() - begun


def _critical_path(resources: Sequence[Resource], seconds: Mapping[str, float]) -> float:
    """Return the longest way through the graph, by how long each thing took."""
    needs = {resource.id: resource.needs for resource in resources}
    ends: dict[str, float] = {}

    def end(id_: str) -> float:
        if id_ not in ends:
            ends[id_] = seconds.get(id_, 0.0) + max((end(need) for need in needs[id_]), default=0.0)
        return ends[id_]

    return max(end(resource.id) for resource in resources)


if __name__ == "__main__":
    reaped()
    main()
