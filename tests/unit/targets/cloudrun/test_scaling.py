"""`[scaling]` reaches the service as it stands in the file, and every export says it as its tool does."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deployers import Deployer
from deployment import google_for
from homeport import spec
from homeport.export import export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.facts import InstanceFact
from homeport.targets.cloudrun.model_selection import choose

TABLE = {"min": 1, "max": 2, "target_concurrency": 0.8, "target_cpu": 0.0}


def scaled(deployer: Deployer, **scaling: float) -> spec.Spec:
    return spec.parse({**deployer.wanted().model_dump(), "scaling": scaling})


def test_targets_are_in_the_body_and_a_change_of_them_alone_is_a_change() -> None:
    deployer = Deployer("ollama")
    _, after = deployer.up(scaled(deployer, **TABLE))
    assert after.pending == (), "Google reads back what it was told"
    assert deployer.service["scaling"]["minInstanceCount"] == 1
    assert deployer.service["template"]["scaling"] == {
        "maxInstanceCount": 2,
        "concurrencyUtilization": 0.8,
        "cpuUtilization": 0.0,
    }
    changed = deployer.up(scaled(deployer, **{**TABLE, "target_concurrency": 0.6})).plan
    assert changed.pending
    assert deployer.service["template"]["scaling"]["concurrencyUtilization"] == 0.6


def test_what_is_not_set_is_left_to_cloud_run() -> None:
    deployer = Deployer("ollama")
    deployer.up(deployer.wanted())
    assert deployer.service["template"]["scaling"] == {"maxInstanceCount": 1}


def test_a_plan_says_by_what_it_scales() -> None:
    size = InstanceFact(gpu="nvidia-l4", cpu=4, memory_gib=16, min_instances=0, max_instances=3)
    assert size.text == "nvidia-l4, 4 CPU, 16 GiB, 0 to 3"
    size = InstanceFact(
        gpu="nvidia-l4", cpu=4, memory_gib=16, min_instances=0, max_instances=3,
        target_concurrency=0.8, target_cpu=0.0,
    )  # fmt: skip
    assert size.text.endswith("0 to 3; scales by concurrency at 80%, CPU not looked at")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("terraform", "concurrency_utilization = 0.8"),
        ("gcloud", "run.googleapis.com/scaling-concurrency-target: '0.8'"),
        ("knative", "run.googleapis.com/scaling-concurrency-target: '0.8'"),
    ],
)
def test_every_export_says_the_target(kind: str, expected: str) -> None:
    deployer = Deployer("ollama")
    wanted = scaled(deployer, **TABLE)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    text = " ".join("\n".join(dict(export(kind, target.resources())).values()).split())
    assert expected in text
