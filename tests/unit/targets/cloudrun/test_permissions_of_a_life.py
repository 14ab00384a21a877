"""What the deploying account must be allowed is what the calls of a whole life ask for: that and no more is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from caching import Keeping
from cloud import Raw, act, enable
from deployment import google_for
from gcp_rehearsal.cloud import OWNER, Cloud, Delays
from gcp_rehearsal.iam.permissions import further, required
from homeport.google import Binding, IamResource, policy
from homeport.progress import Silent
from homeport.reconcile import apply
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.endpoints import describe, list_endpoints
from homeport.targets.cloudrun.foundations import APIS
from homeport.targets.cloudrun.logs import logs
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.teardown import take_down
from homeport.targets.cloudrun.warm_schedule import SCHEDULER
from ways import NAME, PROJECT, REGION, Carrying, Way, later, wanted

WITHOUT_WHICH_IT_GOES_ON = {"cloudquotas.quotas.get", "orgpolicy.policy.get"}
"""What preflight reads with them is said to be not checked."""
DEPLOYER = "dev@example.com"
NOT_CALLED_HERE = {
    # A life in which nobody meddles changes none of these; `up` sets right what somebody has changed.
    "artifactregistry.repositories.update", "cloudscheduler.jobs.update", "iam.roles.update", "compute.firewalls.update", "compute.subnetworks.setPrivateIpGoogleAccess",
    "dns.managedZones.update", "dns.resourceRecordSets.update", "iam.serviceAccounts.update",
    "secretmanager.secrets.update", "storage.buckets.update",
    # Asked for by no method of their own: Google looks at them within another.
    "iam.serviceAccounts.actAs", "dns.networks.bindPrivateDNSZone",
    # Nothing is rolled back in this life.
    "secretmanager.versions.get",
    # Only of a job that failed is asked why.
    "run.executions.get",
    # A role that was deleted in the week before is taken back.
    "iam.roles.undelete",
    # The proof, which is left out here.
    "run.routes.invoke",
}  # fmt: skip


async def prove(service: Body, revision: str, url: str) -> Receipt:
    return Receipt(at="2026-11-28T00:00:00", passed=True, counts={"passed": 20})


def life(cloud: Cloud, way: Way, folder: Path, *, isolated: bool, caller: str = OWNER) -> set[str]:
    """The methods that are called from the first plan to the last deletion. Preflight must find every permission."""
    first = wanted(
        way,
        folder,
        access={"isolated": isolated, "callers": ["user:friend@example.com"]},
        scaling={"warm": ["Mon-Fri 08:00-18:00 Europe/Berlin"]},
        **({"cloudrun": {"hub_token": "env:HF_TOKEN", "startup_cache": "auto"}} if way == "vllm" else {}),
    )
    second = later(first)

    async def work() -> None:
        async with google_for(cloud, caller=caller) as google:
            for wish in (first, second):
                target = wish.target(google, prove)
                plan, findings = await plan_of(target)
                found = [one for one in findings.all if one.subject.startswith("permissions")]
                assert [one.verdict for one in found] == [PreflightVerdict.OK], found
                await apply(plan, Silent())
            await list_endpoints(google)
            await describe(google, NAME, REGION)
            async for _ in logs(google, REGION, NAME, lines=5, follow=False):
                pass
            await take_down(google, NAME, purge=True, approve=lambda _: True, progress=Silent())

    act(work())
    return {one.method for one in cloud.log}


def new_cloud() -> Cloud:
    return Cloud(
        delays=Delays(grants=0, accounts=0, apis=1, operations=1), steps=Carrying(), containers=Keeping()
    )


def test_every_permission_that_a_call_asks_for_is_on_the_list_and_no_other(tmp_path: Path) -> None:
    called: set[str] = set()
    for way, isolated in (("ollama", True), ("vllm", True)):
        called |= life(new_cloud(), "vllm" if way == "vllm" else "ollama", tmp_path, isolated=isolated)
    asked_for = {one for method in called for one in required(method)}
    # A load balancer's are in test_edge.py and test_edge_of_a_region.py, an API gateway's in test_api_gateway.py, those of alerts in test_observe.py, those of
    # uptime checks in test_uptime.py, Identity-Aware Proxy's in test_behind_a_proxy.py, a given secret's in
    # test_agent_secrets.py, those of an agent's entry in test_agent_registered.py, a screen's in test_guard_on_cloudrun.py and test_guard_roads.py,
    # which make them.
    elsewhere = {
        "api-gateway",
        "edge",
        "edge-regional",
        "observe",
        "uptime",
        "screen",
        "screen-way",
        "screen-road",
        "given-secret",
        "iap",
        "agent-registry",
        "agent-registry-former",
    }
    listed = {one for name, need in needs().items() if name not in elsewhere for one in need.permissions}
    assert asked_for - listed - WITHOUT_WHICH_IT_GOES_ON == set()
    assert listed - asked_for == NOT_CALLED_HERE
    also = {one.permission for method in called for one in further(method)}
    assert {"iam.serviceAccounts.actAs", "dns.networks.bindPrivateDNSZone"} <= also


@pytest.mark.parametrize("way", ["ollama", "vllm"])
def test_a_caller_who_has_exactly_that_list_lives_the_whole_life(tmp_path: Path, way: Way) -> None:
    cloud = new_cloud()
    enable(cloud, *APIS, SCHEDULER, "serviceusage")
    listed = sorted({one for need in needs().values() for one in need.permissions})
    role = f"projects/{PROJECT}/roles/deployer"

    async def grant() -> None:
        made = await Raw(cloud).send(
            "POST",
            f"iam.googleapis.com/v1/projects/{PROJECT}/roles",
            {"roleId": "deployer", "role": {"title": "d", "includedPermissions": listed, "stage": "GA"}},
        )
        assert made.status == 200, made.body
        async with google_for(cloud) as google:
            project = IamResource(api="cloudresourcemanager", path=f"v3/projects/{PROJECT}")
            await policy.grant(google, project, [Binding(role=role, members=(f"user:{DEPLOYER}",))])

    act(grant())
    life(cloud, way, tmp_path, isolated=True, caller=DEPLOYER)
    denied = {one.method for one in cloud.log if one.caller == DEPLOYER and one.status == 403}
    assert {required(method) for method in denied} <= {(one,) for one in WITHOUT_WHICH_IT_GOES_ON}
