"""
Instances are counted as Knative's autoscaler counts them, whose decisions lie in tests/records/knative, and as closed forms say.

Cloud Run's own scaler is not public. Its documents tell what Knative's calls stable mode: an average of one minute against a
share of an instance's concurrency.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import pytest

from homeport.capacity.minute_average import MinuteAverage, instances_needed
from homeport.capacity.replica import BatchLimits
from homeport.capacity.request_table import request_table
from homeport.capacity.scaled_service import TICK_S, ScaledService, ServiceRun, ServiceSettings
from homeport.capacity.step_time import paced
from homeport.traffic import Arrival
from places import TESTS

KNATIVE = json.loads((TESTS / "records" / "knative" / "autoscaler.json").read_text("utf-8"))
LOADS: Mapping[str, Any] = KNATIVE["loads"]  # Any: JSON
SERVICE_S = 4.0
PANICS = {
    "just at the target": "+0%",
    "a step down": "+0%",
    "a ramp": "+2%",
    "a random walk": "+4%",
    "another random walk": "+9%",
    "nothing, then nothing again": "+13%",
    "a step up": "+14%",
    "a sine of two minutes": "+19%",
    "ten busy seconds in three minutes": "+155%",
}
"""How many more instances, over time, Knative's defaults ask for, as docs/capacity.md says."""


def decided(load: Sequence[float], every: int, each: float) -> list[tuple[float, int]]:
    """Return average and instances wanted, at each look, for the concurrency of each second."""
    areas, average = [0.0, *accumulate(load)], MinuteAverage()
    looks = [average.of(second, areas[second]) for second in range(every, len(load) + 1, every)]
    return [(one, instances_needed(one, each)) for one in looks]


@pytest.mark.parametrize("name", LOADS)
def test_each_decision_is_that_of_knatives_autoscaler(name: str) -> None:
    load = [value for seconds, value in LOADS[name]["concurrency"] for _ in range(seconds)]
    ours = decided(load, KNATIVE["every"], KNATIVE["target"])
    theirs = LOADS[name]["decisions"]
    assert [average for average, _ in ours] == pytest.approx([average for average, *_ in theirs], abs=2e-6)
    assert [wanted for _, wanted in ours] == [plain for _, plain, _ in theirs]


def test_what_a_panic_mode_would_add_is_known() -> None:
    """Cloud Run's documents name none; Knative's own default starts more instances at once, and keeps them for a minute."""
    seconds = {
        name: [sum(one[which] for one in load["decisions"]) for which in (1, 2)]
        for name, load in LOADS.items()
    }
    more = {name: usual / plain - 1 for name, (plain, usual) in seconds.items()}
    assert {name: f"{share:+.0%}" for name, share in more.items()} == PANICS


def steady(at_once: float, seconds: float, settings: ServiceSettings) -> ServiceRun:
    """Serve requests that come so evenly that `at_once` are in service, each for four seconds."""
    gap = SERVICE_S / at_once
    arrivals = [Arrival(gap * number, 1, round(SERVICE_S / 0.1)) for number in range(round(seconds / gap))]
    limits = BatchLimits(sequences=100, step_tokens=10**6, cache_tokens=10**9)
    return ScaledService(request_table(arrivals), settings, paced(0.1), limits).run()


@pytest.mark.parametrize(
    ("at_once", "target", "wanted"), [(5.5, 0.6, 1), (6.5, 0.6, 2), (20, 0.6, 4), (20, 0.8, 3), (40, 0.95, 5)]
)
def test_steady_traffic_comes_to_have_the_instances_that_its_average_asks_for(
    at_once: float, target: float, wanted: int
) -> None:
    """The documents' arithmetic: requests at once, by concurrency times target, rounded up."""
    settings = ServiceSettings(concurrency=10, most=20, start_s=2.0, target=target, idle_s=30.0)
    run = steady(at_once, 300.0, settings)
    after = [count for at, count in run.counts if 120 < at <= 300]
    settled = after[-1] if after else [count for at, count in run.counts if at <= 120][-1]
    assert settled == wanted


def test_an_average_reaches_its_target_when_its_minute_says_so() -> None:
    """
    One instance of 10 has room for 9 at once, and at a target of 0.6 nine ask for a second one once the average is above 6.

    That is at the first tick after 40 s of nine in service, of a window of 60 s that was empty before.
    """
    settings = ServiceSettings(concurrency=10, least=1, most=20, start_s=2.0, target=0.6, idle_s=600.0)
    quiet = 120.0
    gap = SERVICE_S / 9
    arrivals = [
        Arrival(quiet + gap * number, 1, round(SERVICE_S / 0.1)) for number in range(round(100 / gap))
    ]
    limits = BatchLimits(sequences=100, step_tokens=10**6, cache_tokens=10**9)
    run = ScaledService(request_table(arrivals), settings, paced(0.1), limits).run()
    second = next(at for at, count in run.counts if count == 2)
    filling = SERVICE_S / 2  # Until nine are there, it is half as many on average.
    earliest = quiet + filling + 6 / 9 * 60
    assert earliest <= second <= earliest + TICK_S
