"""What Google reads back in another form, fills in or leaves out is no difference: no plan is for ever pending."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.testing import Rehearsed
from homeport.google import Binding, Google, policy
from homeport.google.credentials import from_access_token
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, make_plan
from homeport.reconcile.equality import is_same_reference
from homeport.resources.google.repository import repository
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import secret
from homeport.resources.google.traffic import Body, Receipt
from ways import NAME, PROJECT, REGION, Carrying, wanted

NUMBER = "415104041262"


async def prove(service: Body, revision: str, url: str) -> Receipt:
    return Receipt(at="2026-11-28T00:00:00", passed=True, counts={"passed": 20})


def as_google_says_it(kind: str, live: Any) -> Any:  # Any: JSON
    """The same thing as another of Google's servers may say it: filled in, left out, in another order, by another address."""
    said = dict(live)
    if kind == "network":
        del said["routingConfig"]
        said |= {"networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL", "mtu": 1460}
    if kind == "subnetwork":
        said["network"] = (
            f"https://compute.googleapis.com/compute/v1/projects/{NUMBER}/global/networks/{NAME}"
        )
        said |= {"state": "READY", "stackType": "IPV4_ONLY", "purpose": "PRIVATE", "enableFlowLogs": False}
    if kind == "firewall rule":
        said["network"] = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}/global/networks/{NAME}"
        said |= {"disabled": False, "logConfig": {"enable": False}, "enableLogging": False}
    if kind == "DNS record" and "rrdatas" in said:
        said |= {"rrdatas": said["rrdatas"][::-1], "signatureRrdatas": [], "kind": "dns#resourceRecordSet"}
    if kind == "private zone":
        link = f"https://www.googleapis.com/compute/beta/projects/{NUMBER}/global/networks/{NAME}"
        said["privateVisibilityConfig"] = {
            "kind": "dns#managedZonePrivateVisibilityConfig", "gkeClusters": [],
            "networks": [{"kind": "dns#managedZonePrivateVisibilityConfigNetwork", "networkUrl": link}],
        }  # fmt: skip
    if kind == "bucket":
        said |= {"satisfiesPZI": True, "rpo": None, "hierarchicalNamespace": {"enabled": False}}
        said["softDeletePolicy"] = {"effectiveTime": "2026-11-28T00:00:00Z"}
    if kind == "service":
        template = said["template"]
        short = {"network": f"projects/{PROJECT}/global/networks/{NAME}",
                 "subnetwork": f"projects/{PROJECT}/regions/{REGION}/subnetworks/{NAME}"}  # fmt: skip
        access = {**template["vpcAccess"], "networkInterfaces": [short]}
        said["template"] = {**template, "vpcAccess": access, "healthCheckDisabled": False}
        said |= {"satisfiesPzs": True, "urls": [said["uri"]], "etag": '"x"'}
        said.pop("ingress", None)
    return said


@pytest.mark.parametrize("isolated", [False, True])
def test_what_is_as_wanted_stays_no_difference_however_google_says_it(tmp_path: Path, isolated: bool) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    wish = wanted("vllm", tmp_path, access={"isolated": isolated})

    async def work() -> dict[str, Any]:
        async with google_for(cloud) as google:
            every: list[Resource] = wish.target(google, prove).resources()
            outputs = (await apply(await make_plan(NAME, "cloudrun", every), Silent())).outputs
            return {
                one.id: one.diff(as_google_says_it(one.kind, await one.read()), outputs)
                for one in every
                if isinstance(one, RestResource) and not (isolated and one.kind == "service")
            }

    found = act(work())
    assert len(found) > 12
    assert {id_: changes for id_, changes in found.items() if changes} == {}


def test_a_real_difference_is_still_one(tmp_path: Path) -> None:
    google = google_for(Cloud(delays=AT_ONCE))
    wish = wanted("vllm", tmp_path)
    every = {one.id: one for one in wish.target(google, prove).resources() if isinstance(one, RestResource)}
    link = f"projects/{PROJECT}/global/networks/{NAME}"
    outputs = {f"network/{NAME}": {"selfLink": f"https://www.googleapis.com/compute/v1/{link}", "name": NAME}}
    subnet = {**every[f"subnetwork/{NAME}"].wanted, "network": f"{link}-other"}
    network = {**every[f"network/{NAME}"].wanted, "routingConfig": {"routingMode": "GLOBAL"}}
    assert [one.path for one in every[f"subnetwork/{NAME}"].diff(subnet, outputs)] == ["network"]
    assert [one.path for one in every[f"network/{NAME}"].diff(network, outputs)] == [
        "routingConfig.routingMode"
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("home", "projects/p/global/networks/home", True),
        ("projects/p/global/networks/home", "https://compute.googleapis.com/compute/v1/projects/7/global/networks/home", True),
        ("projects/p/global/networks/home", "projects/q/global/networks/home", False),
        ("home", "projects/p/global/networks/home-2", False),
        ("projects/p/regions/r/subnetworks/home", "regions/r/subnetworks/home", True),
        ("projects/p/regions/r/subnetworks/home", "projects/p/regions/s/subnetworks/home", False),
        ("home", None, False),
    ],
)  # fmt: skip
def test_names_of_things_are_the_same_where_they_lead_to_the_same(
    one: str, other: object, same: bool
) -> None:
    assert is_same_reference(one, other) is same
    assert is_same_reference(other, one) is same


def test_a_policy_that_is_read_back_as_another_version_is_not_written_again() -> None:
    conditional = {"role": "roles/viewer", "members": ["user:a@example.com"], "condition": {"title": "t", "expression": "true"}}  # fmt: skip
    held = Binding(role="roles/editor", members=("user:b@example.com",))
    live = {"version": 1, "etag": "x", "bindings": [conditional, {"role": held.role, "members": ["user:B@example.com"]}]}  # fmt: skip
    assert policy.holds(live, [held])
    assert not policy.holds(live, [Binding(role="roles/editor", members=("user:c@example.com",))])


class Noting(Rehearsed):
    """Remembers which fields were changed."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.masks: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "PATCH":
            self.masks.append(request.url.params["updateMask"])
            assert set(json.loads(request.content)) <= {*self.masks[-1].split(","), "etag"}
        return await super().handle_async_request(request)


def test_what_cannot_be_changed_is_neither_sent_nor_in_an_update_mask() -> None:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry", "secretmanager")
    noting = Noting(cloud)

    async def work() -> None:
        async with Google(
            from_access_token(cloud.token(OWNER), OWNER), project=PROJECT, transport=noting
        ) as google:
            for thing in (
                repository(google, NAME, NAME, REGION),
                secret(google, NAME, f"{NAME}-token", REGION),
            ):
                await thing.update(await thing.create({}, Silent()), {}, Silent())

    act(work())
    assert noting.masks == ["cleanupPolicies,labels", "labels"]
