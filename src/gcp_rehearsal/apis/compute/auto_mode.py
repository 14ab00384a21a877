"""Networks with a subnetwork in every region, as the one named `default` that a new project comes with."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from gcp_rehearsal import fingerprints
from gcp_rehearsal.apis.compute.references import BASE
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

RANGE = IPv4Network("10.128.0.0/9")
_SECOND_BYTES: Mapping[str, int] = {
    "africa-south1": 218, "asia-east1": 140, "asia-east2": 170, "asia-northeast1": 146, "asia-northeast2": 174,
    "asia-northeast3": 178, "asia-south1": 160, "asia-south2": 190, "asia-southeast1": 148, "asia-southeast2": 184,
    "australia-southeast1": 152, "australia-southeast2": 192, "europe-central2": 186, "europe-north1": 166,
    "europe-southwest1": 204, "europe-west1": 132, "europe-west2": 154, "europe-west3": 156, "europe-west4": 164,
    "europe-west6": 172, "europe-west8": 198, "europe-west9": 200, "europe-west12": 210, "me-central1": 212,
    "me-central2": 216, "me-west1": 208, "northamerica-northeast1": 162, "northamerica-northeast2": 188,
    "northamerica-south1": 224, "southamerica-east1": 158, "southamerica-west1": 194, "us-central1": 128,
    "us-east1": 142, "us-east4": 150, "us-east5": 202, "us-south1": 206, "us-west1": 138, "us-west2": 168,
    "us-west3": 180, "us-west4": 182,
}  # fmt: skip
"""Of the /20 that each region has, as Google's page on auto mode ranges lists them."""
_INSIDE = {"sourceRanges": ["10.128.0.0/9"]}
_RULES: Mapping[str, tuple[Mapping[str, Json], list[Mapping[str, Json]]]] = {
    "default-allow-icmp": ({"sourceRanges": ["0.0.0.0/0"]}, [{"IPProtocol": "icmp"}]),
    "default-allow-internal": (_INSIDE, [{"IPProtocol": "tcp", "ports": ["0-65535"]},
                                         {"IPProtocol": "udp", "ports": ["0-65535"]}, {"IPProtocol": "icmp"}]),
    "default-allow-rdp": ({"sourceRanges": ["0.0.0.0/0"]}, [{"IPProtocol": "tcp", "ports": ["3389"]}]),
    "default-allow-ssh": ({"sourceRanges": ["0.0.0.0/0"]}, [{"IPProtocol": "tcp", "ports": ["22"]}]),
}  # fmt: skip


def fill(cloud: Cloud, network: StoredResource) -> None:
    """Give an auto mode network its subnetworks."""
    for region, second in _SECOND_BYTES.items():
        _subnetwork(cloud, network, region, f"10.{second}.0.0/20")


def default_network(cloud: Cloud, project: str) -> None:
    """Give a project the network named `default` with its firewall rules, if it is one that comes with them."""
    path = f"projects/{project}/global/networks/default"
    known = cloud.project(project)
    if known is None or not known.default_network or cloud.store.get("compute", path) is not None:
        return
    network = put(cloud, project, path, "compute.networks", {
        "kind": "compute#network", "description": "Default network for the project", "autoCreateSubnetworks": True,
        "routingConfig": {"routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY"},
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
    })  # fmt: skip
    network.hidden["ready"] = True
    network.body["selfLinkWithId"] = f"{BASE}/projects/{project}/global/networks/{network.body['id']}"
    gateway = f"{BASE}/projects/{project}/global/gateways/default-internet-gateway"
    route(
        cloud,
        network,
        "0.0.0.0/0",
        {"nextHopGateway": gateway, "description": "Default route to the Internet."},
    )
    fill(cloud, network)
    for name, (sources, allowed) in _RULES.items():
        put(cloud, project, f"projects/{project}/global/firewalls/{name}", "compute.firewalls", {
            "kind": "compute#firewall", "network": network.body["selfLink"], "direction": "INGRESS", "priority": 65534,
            "allowed": [dict(rule) for rule in allowed], "disabled": False, "logConfig": {"enable": False}, **sources,
        })  # fmt: skip


def route(
    cloud: Cloud, network: StoredResource, destination: str, more: Mapping[str, Json]
) -> StoredResource:
    """Make a route that comes and goes with its network, and return it."""
    name = f"default-route-{cloud.uuid().replace('-', '')[:16]}"
    default_route = put(cloud, network.project, f"projects/{network.project}/global/routes/{name}", "compute.routes", {
        "kind": "compute#route", "network": network.body["selfLink"], "destRange": destination, "priority": 1000, **more,
    })  # fmt: skip
    default_route.body.setdefault("routeStatus", "ACTIVE")
    default_route.hidden["with_network"] = True
    return default_route


def join(cloud: Cloud, kept: StoredResource, network: StoredResource) -> None:
    """List a subnetwork at its network, with a route to it."""
    listed = network.body.setdefault("subnetworks", [])
    if kept.body["selfLink"] in listed:
        return
    listed.append(kept.body["selfLink"])
    local = {"nextHopNetwork": kept.body["network"],
             "description": f"Default local route to the subnetwork {kept.body['ipCidrRange']}."}  # fmt: skip
    kept.hidden["route"] = route(cloud, network, kept.body["ipCidrRange"], local).name


def put(cloud: Cloud, project: str, path: str, collection: str, body: JsonObject) -> StoredResource:
    """Make a thing of Compute Engine that nobody asked for by itself, and return it."""
    body = {
        "id": cloud.number(), "creationTimestamp": cloud.clock.text(), "name": path.rpartition("/")[2],
        "selfLink": f"{BASE}/{path}", **body,
    }  # fmt: skip
    return cloud.store.put(
        StoredResource(api="compute", name=path, collection=collection, project=project, body=body,
                       created=cloud.clock.now())
    )  # fmt: skip


def _subnetwork(cloud: Cloud, network: StoredResource, region: str, cidr: str) -> None:
    path = f"projects/{network.project}/regions/{region}/subnetworks/{network.id}"
    if cloud.store.get("compute", path) is not None:
        return
    subnetwork = put(cloud, network.project, path, "compute.subnetworks", {
        "kind": "compute#subnetwork", "network": network.body["selfLink"], "ipCidrRange": cidr,
        "gatewayAddress": str(IPv4Network(cidr)[1]),
        "region": f"{BASE}/projects/{network.project}/regions/{region}", "privateIpGoogleAccess": False,
        "purpose": "PRIVATE", "stackType": "IPV4_ONLY", "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "fingerprint": "",
    })  # fmt: skip
    fingerprints.refresh(subnetwork.body)
    subnetwork.hidden.update(with_network=True, ready=True)
    join(cloud, subnetwork, network)
