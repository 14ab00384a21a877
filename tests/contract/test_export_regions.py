"""The exported script of a file with several regions, carried out by the real gcloud: region by region, and the doors last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import ways
from edges import DOMAIN
from exporting import There, pending, there
from gcloud import NEEDS_GCLOUD
from gcp_rehearsal import discovery
from gcp_rehearsal.apis.cloudbuild import checks as build_checks
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.schema import SchemaCheck
from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts, EndpointEdge
from homeport.targets.cloudrun.names import in_region

FIRST, SECOND = ways.REGION, "us-central1"
CLOSED = ("INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER", True, f"https://{DOMAIN}")
OPEN = ("INGRESS_TRAFFIC_ALL", False, None)
PROOFS = ["create release/home: []", f"create release/home in {SECOND}: []"]
KILLED = """#!/bin/sh
{gcloud} "$@"; code=$?
# As if the machine went off: the script is gone after that command.
case "$*" in {after}) kill -9 $PPID ;; esac
exit $code
"""
CHANGES = ("create", "insert", "patch", "update", "delete", "replaceService", "setIamPolicy")
pytestmark = NEEDS_GCLOUD


async def never(*_: object) -> Receipt:
    raise AssertionError


async def answers(_: Body) -> str:
    return ""


@dataclass(frozen=True)
class InBoth:
    """A file with a further region, and what `up` makes of it."""

    wish: ways.Wanted
    folder: Path

    def __call__(self, google: Google) -> list[Resource]:
        edge, first = self.wish.spec.edge, self.wish.target(google, never)
        assert edge is not None
        parts = EdgeParts(google=google, names=first.names, edge=edge, base=self.folder)
        behind = EndpointEdge(parts=parts, ask=answers, prove=never)
        there = replace(self.wish, spec=in_region(self.wish.spec, SECOND)).target(google, never)
        there = replace(there, edge=replace(behind, of=there.names))
        return replace(first, edge=behind, further=(there,)).resources()


def in_both(folder: Path, **engine: Any) -> InBoth:  # Any: values of homeport.toml
    wish = ways.wanted(
        "vllm", folder, engine={"kind": "vllm", "context": 1024, **engine}, edge={"domain": DOMAIN, "regions": [SECOND]},
        cloudrun={"region": FIRST, "hub_token": "env:HF_TOKEN"}, access={"callers": ["user:friend@example.com"]},
    )  # fmt: skip
    return InBoth(wish, folder)


def services(here: There) -> dict[str, Body]:
    kept = {
        one.name.split("/")[3]: one.body
        for one in here.cloud.store.of("run")
        if one.name.endswith("/services/home")
    }
    return {region: kept[region] for region in (FIRST, SECOND) if region in kept}


def doors(here: There) -> dict[str, tuple[object, ...]]:
    return {
        region: (
            body["ingress"],
            bool(body.get("defaultUriDisabled")),
            body.get("annotations", {}).get("homeport/edge"),
        )
        for region, body in services(here).items()
    }


def changes(here: There, since: int) -> list[str]:
    return [one.method for one in here.cloud.log[since:] if one.method.endswith(CHANGES)]


def made_late(one: Resource) -> bool:
    """What the script is to make; what else there is takes gcloud a second for each."""
    return one.kind in {"service", "weights"}


@pytest.fixture
def here(tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    with there(tmp_path, steps=ways.Carrying()) as here:
        yield here


def test_a_region_follows_the_other_the_doors_come_last_and_a_run_that_was_stopped_goes_on(
    here: There, tmp_path: Path, gcloud_folder: Path
) -> None:
    wanted = in_both(tmp_path)
    here.up(wanted, made_late)
    here.script_of_the_rest(wanted)

    # What fails in the first region ends it, and nothing is made in the second.
    refused = Fault(method="run.namespaces.services.create", status=400, times=1)
    here.cloud.faults.append(refused)
    ended = here.run("bash", "deploy.sh", code=1, HF_TOKEN=ways.TOKEN)
    assert "this failed: gcloud run services replace" in ended.err, ended.err
    assert services(here) == {}
    assert not [
        one
        for one in here.cloud.store.of("storage")
        if one.name.startswith(f"b/rehearsal-home-weights-{SECOND}/o/")
    ]

    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "gcloud"
    shim.write_text(
        KILLED.format(gcloud=gcloud_folder / "gcloud", after=f'"run services replace"*"--region={SECOND}"*')
    )
    shim.chmod(0o755)
    stopped = here.run(
        "bash",
        "-c",
        "bash deploy.sh; echo $?",
        PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        HF_TOKEN=ways.TOKEN,
    )
    assert stopped.out.split()[-1] == "137", stopped.err
    assert doors(here) == {FIRST: OPEN, SECOND: OPEN}
    assert not [one for one in here.cloud.store.of("compute") if "/backendServices/" in one.name], (
        "nobody is led there yet"
    )

    said = here.run("bash", "deploy.sh", HF_TOKEN=ways.TOKEN).err
    assert said.count(f"In {SECOND}:") == 2, "once for what serves there, and once for its door"
    assert doors(here) == {FIRST: CLOSED, SECOND: CLOSED}
    assert pending(here.plan(wanted)) == PROOFS, "the proof is not gcloud's"
    (main,) = [
        one.body for one in here.cloud.store.of("compute") if one.name.endswith("/backendServices/home-edge")
    ]
    assert [one["group"].split("/")[-3] for one in main["backends"]] == [FIRST, SECOND]
    assert main["outlierDetection"]["consecutiveErrors"] == 5

    since = len(here.cloud.log)
    again = here.run("bash", "deploy.sh", HF_TOKEN=ways.TOKEN).err
    assert changes(here, since) == []
    assert "~" not in again
    assert again.count(f"= requests come through https://{DOMAIN} alone, as the file says") == 2

    # A change makes a new revision in each, which has no traffic, and the doors stay closed.
    other = in_both(tmp_path, parallel=2)
    here.script_of_the_rest(other)
    changed = here.run("bash", "deploy.sh", HF_TOKEN=ways.TOKEN).err
    assert changed.count("its new revision has no traffic: homeport up --on cloudrun verifies it") == 2
    assert doors(here) == {FIRST: CLOSED, SECOND: CLOSED}
    assert [one.split(":")[0] for one in pending(here.plan(other))] == [one.split(":")[0] for one in PROOFS]
    assert here.down(wanted.wish.spec) == set()


def test_one_build_carries_the_weights_of_each_region_and_deploys_them_one_after_another(
    here: There, tmp_path: Path
) -> None:
    wanted = in_both(tmp_path)
    files = here.exported("cloudbuild", wanted)
    build = yaml.safe_load(files["cloudbuild.yaml"])
    assert SchemaCheck(discovery.load("cloudbuild.v1")).schema("Build", build) == []
    build_checks.check(build)
    steps = {one["id"]: one for one in build["steps"]}
    assert list(steps) == [
        "weights-model-carry",
        "deploy",
        f"{SECOND}-weights-model-carry",
        f"{SECOND}-deploy",
    ]
    assert steps["weights-model-carry"]["waitFor"] == ["-"]
    assert steps[f"{SECOND}-weights-model-carry"]["waitFor"] == ["deploy"], (
        "it begins once the first region is deployed"
    )
    job = next(
        one for one in steps[f"{SECOND}-weights-model-carry"]["env"] if one.startswith("HOMEPORT_JOB=")
    )
    assert f"gs://rehearsal-home-weights-{SECOND}/" in job

    # What the steps deploy is what `up` would: all else it makes itself here, the weights of each region before its service.
    for step in ("deploy", f"{SECOND}-deploy"):
        here.up(wanted, lambda one: one.kind == "release" or (one.kind == "service" and not made(here, one)))
        here.write({"step": steps[step]["script"]})
        here.run("bash", "step", CLOUDSDK_CORE_PROJECT=ways.PROJECT, CLOUDSDK_CORE_DISABLE_PROMPTS="1")
    left = [one.split(":")[0] for one in pending(here.plan(wanted))]
    assert not [
        one for one in left if one.startswith(("create service", "update service", "create weights"))
    ], left
    assert doors(here) == {FIRST: OPEN, SECOND: OPEN}


def made(here: There, service: Resource) -> bool:
    return (SECOND if service.id.endswith(f" in {SECOND}") else FIRST) in services(here)
