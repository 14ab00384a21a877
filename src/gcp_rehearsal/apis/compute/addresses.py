"""Addresses of Compute Engine: which one a thing gets, and that the one a rule listens at is in use."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import BASE, at, in_use, refuse_if_used
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_EXTERNAL = IPv4Address("34.120.0.10")
_COLLECTIONS = ("compute.addresses", "compute.globalAddresses")
_RULES = ("compute.forwardingRules", "compute.globalForwardingRules")
_THROUGH_PROXIES = ("/targetHttpProxies/", "/targetHttpsProxies/", "/targetTcpProxies/")


def assign(call: Call, body: JsonObject) -> None:
    """Give a reserved address a free one, or the one that was asked for. Raises `ApiError`."""
    body["status"] = "RESERVED"
    if body.get("ipVersion") == "IPV6":
        raise unimplemented("addresses of IPv6")
    if body["addressType"] == "EXTERNAL":
        body.setdefault("networkTier", "PREMIUM")
        if "region" not in body:
            body.setdefault("ipVersion", "IPV4")
        body["address"] = _free(call.cloud, _EXTERNAL)
        return
    subnet = at(call.cloud, body.get("subnetwork", ""))
    if subnet is None:
        body.setdefault("address", "10.250.0.0" if body.get("prefixLength") else "10.250.0.2")
        return
    cidr = IPv4Network(subnet.body["ipCidrRange"])
    if body.get("address"):
        if not _is_in(cidr, str(body["address"])):
            raise invalid(
                f"Invalid value for field 'resource.address': '{body['address']}'. Requested internal IP address is "
                "outside the subnetwork CIDR range."
            )
        return
    body["address"] = _free(call.cloud, cidr[2])


def listen(call: Call, body: JsonObject) -> None:
    """Give a new forwarding rule its address and ports. Raises `ApiError` where another rule has them."""
    address = str(body.get("IPAddress") or "")
    if "/" in address:
        reserved = at(call.cloud, _full(call, address))
        if reserved is None:
            raise not_found(f"The resource '{_full(call, address).removeprefix(f'{BASE}/')}' was not found")
        body["IPAddress"] = reserved.body["address"]
        _check_tier(body, reserved)
    if not address:
        body["IPAddress"] = _free(call.cloud, _EXTERNAL)
    if body["loadBalancingScheme"].startswith("EXTERNAL"):
        body.setdefault("networkTier", "PREMIUM")
    ports = str(body.get("portRange") or "")
    if ports and "-" not in ports:
        body["portRange"] = f"{ports}-{ports}"
    for other in call.cloud.store.of("compute"):
        if other.collection in _RULES and _conflict(other.body, body):
            raise invalid(
                f"Invalid value for field 'resource.IPAddress': '{body['IPAddress']}'. Specified IP address is in-use "
                "and would result in a conflict."
            )
    _check_proxy_only(call, body)


def _check_tier(body: JsonObject, reserved: StoredResource) -> None:
    """Raise `ApiError` 400 for a rule of another network tier than its address."""
    tiers = [str(resource.get("networkTier") or "PREMIUM") for resource in (body, reserved.body)]
    if body["loadBalancingScheme"].startswith("EXTERNAL") and tiers[0] != tiers[1]:
        raise invalid(
            f"Invalid value for field 'resource.networkTier': '{tiers[0]}'. The address {reserved.body['address']} is of the "
            f"network tier {tiers[1]}."
        )


def occupy(cloud: Cloud, rule: StoredResource) -> None:
    """Mark the reserved address that a rule listens at as used by it."""
    for address in _at(cloud, rule):
        address.body["status"] = "IN_USE"
        users = address.body.setdefault("users", [])
        if rule.body["selfLink"] not in users:
            users.append(rule.body["selfLink"])


def vacate(cloud: Cloud, rule: StoredResource) -> None:
    """Mark the address of a deleted rule as reserved only, where no other rule has it."""
    for address in _at(cloud, rule):
        left = [user for user in address.body.get("users", ()) if user != rule.body["selfLink"]]
        address.body.pop("users", None)
        address.body |= {"users": left} if left else {"status": "RESERVED"}


def refuse_if_occupied(call: Call, kept: StoredResource) -> None:
    """Raise `ApiError` 400 for an address that a rule listens at."""
    refuse_if_used(call, kept)
    for user in kept.body.get("users", ()):
        rule = at(call.cloud, user)
        if rule is not None:
            raise in_use(kept, rule)


def _at(cloud: Cloud, rule: StoredResource) -> Iterator[StoredResource]:
    scope = rule.name.rpartition("/forwardingRules/")[0]
    for address in cloud.store.of("compute"):
        here = address.collection in _COLLECTIONS and address.name.startswith(f"{scope}/addresses/")
        if here and address.body.get("address") == rule.body.get("IPAddress"):
            yield address


def _conflict(rule: JsonObject, other: JsonObject) -> bool:
    if any(rule.get(key) != other.get(key) for key in ("IPAddress", "IPProtocol")):
        return False
    first, second = _ports(rule), _ports(other)
    return first is None or second is None or (first[0] <= second[1] and second[0] <= first[1])


def _ports(rule: JsonObject) -> tuple[int, int] | None:
    low, dash, high = str(rule.get("portRange") or "").partition("-")
    return (int(low), int(high)) if dash and low.isdigit() and high.isdigit() else None


def _check_proxy_only(call: Call, body: JsonObject) -> None:
    """Raise `ApiError` where a regional load balancer of Envoys has no subnetwork for them."""
    managed = body["loadBalancingScheme"] in {"EXTERNAL_MANAGED", "INTERNAL_MANAGED"}
    through = any(word in str(body.get("target") or "") for word in _THROUGH_PROXIES)
    if "region" not in call.params or not managed or not through:
        return
    network = body.get("network") or f"{BASE}/projects/{call.project}/global/networks/default"
    for subnetwork in call.cloud.store.of("compute", "compute.subnetworks"):
        same = subnetwork.body["network"] == network and subnetwork.body["region"].endswith(
            f"/{call.params['region']}"
        )
        if (
            same
            and subnetwork.body.get("purpose") == "REGIONAL_MANAGED_PROXY"
            and subnetwork.body.get("role") == "ACTIVE"
        ):
            return
    raise ApiError(
        400,
        "Invalid value for field 'resource.target': "
        f"'{body['target']}'. An active proxy-only subnetwork is required in the same region and VPC as the "
        "forwarding rule.",
        reason="invalid",
    )


def _free(cloud: Cloud, first: IPv4Address) -> str:
    used = {
        resource.body.get(key) for resource in cloud.store.of("compute") for key in ("address", "IPAddress")
    }
    while str(first) in used:
        first += 1
    return str(first)


def _is_in(cidr: IPv4Network, address: str) -> bool:
    try:
        return IPv4Address(address) in cidr
    except ValueError:
        return False


def _full(call: Call, address: str) -> str:
    path = address.partition("/v1/")[2] or address
    return f"{BASE}/{path}" if path.startswith("projects/") else f"{BASE}/projects/{call.project}/{path}"
