"""Networks, addresses and load balancers in the rehearsal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays

C = "compute.googleapis.com/compute/v1/projects/rehearsal"
R = f"{C}/regions/us-central1"
NETWORK = "projects/rehearsal/global/networks/home"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "compute")
    return cloud


async def network(raw: Raw, **more: Any) -> Answer:  # Any: JSON
    return await raw.send(
        "POST", f"{C}/global/networks", {"name": "home", "autoCreateSubnetworks": False, **more}
    )


async def subnetwork(raw: Raw, cidr: str = "10.8.0.0/24", name: str = "home", **more: Any) -> Answer:
    body = {"name": name, "network": NETWORK, "ipCidrRange": cidr, **more}
    return await raw.send("POST", f"{R}/subnetworks", body)


def test_a_network_takes_time_and_is_not_ready_before() -> None:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "compute")

    async def work() -> None:
        raw = Raw(cloud)
        operation = (await network(raw)).body
        assert (operation["kind"], operation["status"]) == ("compute#operation", "RUNNING")
        early = await subnetwork(raw)
        assert (early.status, early.error) == (400, f"The resource '{NETWORK}' is not ready")
        assert early.body["error"]["errors"][0]["reason"] == "resourceNotReady"
        await asyncio.sleep(10)
        waited = await raw.send("POST", f"{C}/global/operations/{operation['name']}/wait")
        assert waited.body["status"] == "DONE"
        made = (await raw.send("GET", f"{C}/global/networks/home")).body
        assert made["selfLinkWithId"].endswith(f"/networks/{made['id']}")
        assert made["routingConfig"]["routingMode"] == "REGIONAL"
        assert made["mtu"] == 1460
        assert (await subnetwork(raw)).status == 200

    act(work())


def test_names_are_compute_s(cloud: Cloud) -> None:
    wrong = act(network(Raw(cloud), name="Home"))
    assert wrong.status == 400
    assert wrong.error.startswith("Invalid value for field 'resource.name': 'Home'. Must be a match of regex")


def test_ranges_do_not_overlap(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        wrong = await subnetwork(raw, "10.8.0.128/25", "other")
        assert wrong.error == (
            "Invalid value for field 'resource.ipCidrRange': '10.8.0.128/25'. Invalid IPCidrRange: 10.8.0.128/25 "
            "conflicts with existing subnetwork 'home' in region 'us-central1'."
        )
        for cidr in ("10.9.0.1/24", "10.9.0.0/30", "ten", "10.9.0.0"):
            assert (await subnetwork(raw, cidr, "other")).status == 400
        assert (await subnetwork(raw, "10.9.0.0/24", "other")).status == 200

    act(work())


def test_a_subnetwork_of_no_network_is_refused(cloud: Cloud) -> None:
    missing = act(subnetwork(Raw(cloud)))
    assert (missing.status, missing.error) == (404, f"The resource '{NETWORK}' was not found")
    wrong = act(subnetwork(Raw(cloud), network="home"))
    assert wrong.error == "Invalid value for field 'resource.network': 'home'. The URL is malformed."


def test_private_access_is_switched_by_its_own_method_and_by_no_patch(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        path = f"{R}/subnetworks/home"
        made = (await raw.send("GET", path)).body
        assert (made["privateIpGoogleAccess"], made["gatewayAddress"]) == (False, "10.8.0.1")
        await raw.send("POST", f"{path}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": True})
        now = (await raw.send("GET", path)).body
        assert now["privateIpGoogleAccess"]
        assert now["fingerprint"] != made["fingerprint"]
        off = {"privateIpGoogleAccess": False, "fingerprint": now["fingerprint"]}
        refused = await raw.send("PATCH", path, off)
        assert refused.status == 400
        assert "'resource.privateIpGoogleAccess'" in refused.error
        await raw.send("POST", f"{path}/setPrivateIpGoogleAccess", {"privateIpGoogleAccess": False})
        assert not (await raw.send("GET", path)).body["privateIpGoogleAccess"]

    act(work())


def test_a_patch_of_a_subnetwork_wants_its_fingerprint(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        path = f"{R}/subnetworks/home"
        made = (await raw.send("GET", path)).body
        ranges = {"secondaryIpRanges": [{"rangeName": "pods", "ipCidrRange": "10.9.0.0/24"}]}
        assert "fingerprint" in (await raw.send("PATCH", path, ranges)).error
        current = {**ranges, "fingerprint": made["fingerprint"]}
        assert (await raw.send("PATCH", path, current)).status == 200
        assert (await raw.send("GET", path)).body["secondaryIpRanges"] == ranges["secondaryIpRanges"]
        stale = await raw.send("PATCH", path, current)
        assert (stale.status, stale.error) == (412, "Invalid fingerprint.")

    act(work())


def test_a_range_only_grows(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        path = f"{R}/subnetworks/home/expandIpCidrRange"
        assert (await raw.send("POST", path, {"ipCidrRange": "10.8.0.0/26"})).status == 400
        assert (await raw.send("POST", path, {"ipCidrRange": "10.8.0.0/20"})).status == 200

    act(work())


def test_what_is_used_cannot_go(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        link = "projects/rehearsal/regions/us-central1/subnetworks/home"
        held = {"name": "held", "addressType": "INTERNAL", "subnetwork": link}
        assert (await raw.send("POST", f"{R}/addresses", held)).status == 200
        assert (await raw.send("GET", f"{R}/addresses/held")).body["address"] == "10.8.0.2"
        refused = await raw.send("DELETE", f"{R}/subnetworks/home")
        assert refused.body["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource"
        assert refused.error == (
            f"The subnetwork resource '{link}' is already being used by "
            "'projects/rehearsal/regions/us-central1/addresses/held'"
        )
        failed = (await raw.send("DELETE", f"{C}/global/networks/home")).body
        assert failed["error"]["errors"][0]["code"] == "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
        await raw.send("DELETE", f"{R}/addresses/held")
        await raw.send("DELETE", f"{R}/subnetworks/home")
        assert "error" not in (await raw.send("DELETE", f"{C}/global/networks/home")).body
        assert (await raw.send("GET", f"{C}/global/networks/home")).status == 404
        assert "items" not in (await raw.send("GET", f"{C}/global/routes")).body

    act(work())


def test_a_network_comes_with_its_routes(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        routes = (await raw.send("GET", f"{C}/global/routes")).body["items"]
        assert [route["destRange"] for route in routes] == ["0.0.0.0/0", "10.8.0.0/24"]
        assert routes[0]["nextHopGateway"].endswith("/global/gateways/default-internet-gateway")

    act(work())


def test_an_auto_mode_network_has_a_subnetwork_everywhere(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await network(raw, autoCreateSubnetworks=True)
        regions = (await raw.send("GET", f"{C}/regions")).body["items"]
        listed = (await raw.send("GET", f"{C}/aggregated/subnetworks")).body["items"]
        assert set(listed) == {f"regions/{region['name']}" for region in regions}
        own = await raw.send("DELETE", f"{R}/subnetworks/home")
        assert own.status == 400
        assert "error" not in (await raw.send("DELETE", f"{C}/global/networks/home")).body
        assert (await raw.send("GET", f"{C}/aggregated/subnetworks")).body["items"] == {}

    act(work())


def test_a_request_id_makes_one_thing_of_two_calls(cloud: Cloud) -> None:
    async def work() -> None:
        body = {"name": "home", "autoCreateSubnetworks": False}
        path = f"{C}/global/networks?requestId=7b0b9f0e-6f0f-4a63-9c56-0d6a3bd4b0c1"
        first, second = [(await Raw(cloud).send("POST", path, body)).body for _ in range(2)]
        assert first["name"] == second["name"]
        assert (await network(Raw(cloud))).error == f"The resource '{NETWORK}' already exists"

    act(work())


def test_places_are_looked_up(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        region = (await raw.send("GET", R)).body
        assert region["zones"][0].endswith("/zones/us-central1-a")
        assert (await raw.send("GET", f"{C}/zones/us-central1-f")).body["region"] == region["selfLink"]
        assert (await raw.send("GET", f"{C}/zones/us-central1-z")).status == 404
        assert (await raw.send("GET", f"{C}/regions/mars")).status == 404
        project = (await raw.send("GET", C)).body
        assert project["defaultServiceAccount"].endswith("-compute@developer.gserviceaccount.com")

    act(work())


SERVICES = "run.googleapis.com/v2/projects/rehearsal/locations/us-central1/services"


@pytest.mark.parametrize("kept_for", [0.0, 7200.0])
def test_a_subnetwork_that_a_service_sends_through_cannot_go_nor_for_a_while_after(kept_for: float) -> None:
    cloud = Cloud(delays=replace(AT_ONCE, addresses=kept_for))
    enable(cloud, "compute", "run")

    async def work() -> None:
        raw = Raw(cloud)
        await network(raw)
        await subnetwork(raw)
        ways = {"networkInterfaces": [{"network": "home", "subnetwork": "home"}]}
        template = {"containers": [{"image": "docker.io/library/hello"}], "vpcAccess": ways}
        assert (await raw.send("POST", f"{SERVICES}?serviceId=home", {"template": template})).status == 200
        refused = await raw.send("DELETE", f"{R}/subnetworks/home")
        assert (refused.status, "/addresses/serverless-ipv4-" in refused.error) == (400, True)
        await raw.send("PATCH", f"{SERVICES}/home?updateMask=labels", {"labels": {"a": "b"}})
        assert len((await raw.send("GET", f"{R}/addresses")).body["items"]) == 1
        assert (await raw.send("DELETE", f"{SERVICES}/home")).status == 200
        if kept_for:
            assert (await raw.send("DELETE", f"{R}/subnetworks/home")).status == 400
            cloud.clock.jump(kept_for + 1)
        assert (await raw.send("DELETE", f"{R}/subnetworks/home")).status == 200

    act(work())


async def balancer(raw: Raw) -> None:
    g = f"{C}/global"
    made = [
        await raw.send("POST", f"{g}/addresses", {"name": "ip"}),
        await raw.send(
            "POST",
            f"{R}/networkEndpointGroups",
            {"name": "neg", "networkEndpointType": "SERVERLESS", "cloudRun": {"service": "home"}},
        ),
        await raw.send(
            "POST",
            f"{g}/backendServices",
            {
                "name": "be",
                "loadBalancingScheme": "EXTERNAL_MANAGED",
                "backends": [{"group": "projects/rehearsal/regions/us-central1/networkEndpointGroups/neg"}],
            },
        ),
        await raw.send(
            "POST",
            f"{g}/urlMaps",
            {"name": "um", "defaultService": "projects/rehearsal/global/backendServices/be"},
        ),
        await raw.send(
            "POST",
            f"{g}/sslCertificates",
            {"name": "cert", "type": "MANAGED", "managed": {"domains": ["a.example.com"]}},
        ),
        await raw.send(
            "POST",
            f"{g}/targetHttpsProxies",
            {"name": "px", "urlMap": "global/urlMaps/um", "sslCertificates": ["global/sslCertificates/cert"]},
        ),
        await raw.send(
            "POST",
            f"{g}/forwardingRules",
            {
                "name": "fr",
                "target": "global/targetHttpsProxies/px",
                "portRange": "443",
                "IPAddress": "global/addresses/ip",
                "loadBalancingScheme": "EXTERNAL_MANAGED",
            },
        ),
    ]
    assert [(one.status, one.body.get("error")) for one in made] == [(200, None)] * 7


def test_a_load_balancer_stands_and_comes_down_from_the_front(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await balancer(raw)
        g = f"{C}/global"
        rule = (await raw.send("GET", f"{g}/forwardingRules/fr")).body
        address = (await raw.send("GET", f"{g}/addresses/ip")).body
        assert (rule["IPAddress"], rule["portRange"]) == (address["address"], "443-443")
        used = await raw.send("DELETE", f"{g}/urlMaps/um")
        assert used.error == (
            "The url_map resource 'projects/rehearsal/global/urlMaps/um' is already being used by "
            "'projects/rehearsal/global/targetHttpsProxies/px'"
        )
        for path in ("forwardingRules/fr", "targetHttpsProxies/px", "sslCertificates/cert", "urlMaps/um",
                     "backendServices/be", "addresses/ip"):  # fmt: skip
            assert (await raw.send("DELETE", f"{g}/{path}")).status == 200
        assert (await raw.send("DELETE", f"{R}/networkEndpointGroups/neg")).status == 200

    act(work())


def test_a_url_map_is_validated_against_what_there_is(cloud: Cloud) -> None:
    async def work() -> None:
        lost = {"resource": {"name": "um", "defaultService": "global/backendServices/none"}}
        answer = await Raw(cloud).send("POST", f"{C}/global/urlMaps/um/validate", lost)
        assert not answer.body["result"]["loadSucceeded"]

    act(work())


def test_labels_are_guarded_by_their_own_fingerprint(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await raw.send("POST", f"{C}/global/addresses", {"name": "ip"})
        path = f"{C}/global/addresses/ip"
        mark = (await raw.send("GET", path)).body["labelFingerprint"]
        labels = {"labels": {"a": "b"}, "labelFingerprint": mark}
        assert (await raw.send("POST", f"{path}/setLabels", labels)).status == 200
        assert (await raw.send("POST", f"{path}/setLabels", labels)).status == 412
        assert (await raw.send("GET", path)).body["labels"] == {"a": "b"}

    act(work())
