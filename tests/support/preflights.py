"""Preflights as they are asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from homeport.catalog.cloudrun import Shape
from homeport.targets.cloudrun.preflight import (
    Findings,
    PreflightFinding,
    PreflightInput,
    preflight,
)

SMALL = Shape(gpu="nvidia-l4", cpu=4, memory_gib=16)

READ = ("run", "cloudbilling", "cloudquotas", "orgpolicy", "artifactregistry", "compute")

COMPUTE = "compute.googleapis.com/compute/v1/projects/rehearsal"

ASKED = PreflightInput(
    name="home",
    project="rehearsal",
    region="us-central1",
    shape=SMALL,
    bucket="rehearsal-home-weights",
    repository="home",
    callers=("serviceAccount:agent@rehearsal.iam.gserviceaccount.com",),
)


def ready(**more: Any) -> Cloud:
    """A project in which everything can be looked at."""
    cloud = Cloud(delays=AT_ONCE, **more)
    enable(cloud, *READ)
    return cloud


def looked(cloud: Cloud, asked: PreflightInput = ASKED, *, caller: str = OWNER) -> Findings:
    return act(preflight(google_for(cloud, caller=caller), asked))


def about(findings: Findings, subject: str) -> PreflightFinding:
    found = [one for one in findings.all if one.subject == subject]
    assert len(found) == 1, [one.subject for one in findings.all]
    return found[0]


def subjects(findings: tuple[PreflightFinding, ...]) -> list[str]:
    return [one.subject for one in findings]


OFFICE = replace(ASKED, network="office", subnetwork="desks")

SUBNETS = f"{COMPUTE}/regions/us-central1/subnetworks"


def with_office(*, cidr: str = "10.9.0.0/26", private_access: bool = True) -> Cloud:
    """A project with the networks `office` and `cellar`, and the subnetwork `desks` of the first."""
    cloud = ready()

    async def work() -> None:
        raw = Raw(cloud)
        desks = {"name": "desks", "network": "projects/rehearsal/global/networks/office", "ipCidrRange": cidr,
                 "privateIpGoogleAccess": private_access}  # fmt: skip
        for path, body in (
            (f"{COMPUTE}/global/networks", {"name": "office", "autoCreateSubnetworks": False}),
            (f"{COMPUTE}/global/networks", {"name": "cellar", "autoCreateSubnetworks": False}),
            (SUBNETS, desks),
        ):
            assert (await raw.send("POST", path, body)).status == 200

    act(work())
    return cloud
