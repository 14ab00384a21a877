"""What the file wants and this machine does not make is said in the plan, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from homeport import spec
from homeport.targets.local.facts import elsewhere


@pytest.mark.parametrize(
    ("tables", "keys"),
    [
        ({}, set()),
        ({"observe": {}}, set()),
        ({"observe": {"callers": True}}, {"callers_here"}),
        ({"agent": {}, "observe": {"callers": True}}, {"agent_here", "callers_here"}),
    ],
)
def test_what_is_made_on_cloud_run_alone_is_said(tables: dict[str, Any], keys: set[str]) -> None:  # Any: TOML
    wanted = spec.parse({"model": "gemma-4-e2b", "name": "home", **tables})
    told = {fact.key: fact.text for fact in elsewhere(wanted)}
    assert set(told) == keys
    assert all("Cloud Run" in text for text in told.values())
