"""What a plan says of what costs while nothing runs, and of a region that Google's page is in two minds about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homeport.catalog.cloudrun import gpus
from homeport.catalog.prices import load
from homeport.targets.cloudrun.facts import StayingFact
from homeport.targets.cloudrun.preflight import PreflightVerdict
from preflights import ASKED, about, looked, ready


def test_zones_and_weights_cost_also_while_nothing_runs() -> None:
    stored = StayingFact.of(load(), zones=3, weights_bytes=100 * 2**30, baked=False)
    assert (stored.zones_usd_per_month, stored.weights_usd_per_month) == (0.6, 2.0)
    assert (
        "$2.60? a month also while nothing runs, for 3 private zones and 100.0 GiB of weights" in stored.text
    )
    baked = StayingFact.of(load(), zones=0, weights_bytes=10 * 2**30, baked=True)
    assert (baked.zones_usd_per_month, baked.weights_usd_per_month) == (0.0, 1.0)
    assert "zones" not in baked.text


@pytest.mark.parametrize("region", ["us-central1", "europe-west4"])
def test_a_region_in_dispute_is_a_warning_that_names_the_others(region: str) -> None:
    found = about(looked(ready(), replace(ASKED, region=region)), "gpu")
    if region == "europe-west4":
        assert found.verdict is PreflightVerdict.OK
    else:
        assert found.verdict is PreflightVerdict.WARNING
        assert "europe-west4" in found.hint
        assert "us-central1" not in found.hint


def test_what_is_disputed_is_a_region_of_the_gpu() -> None:
    assert all(set(gpu.disputed) < set(gpu.regions) for gpu in gpus())
