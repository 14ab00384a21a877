"""Networks, subnetworks, routes and firewall rules."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

from gcp_rehearsal import generic, operations
from gcp_rehearsal.apis.compute import auto_mode
from gcp_rehearsal.apis.compute.references import (  # fmt: skip
    BASE,
    at,
    changed,
    check_name,
    in_use,
    not_ready,
    place_of,
    refuse_if_used,
    resolve,
    users,
)
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

_MOST_NETWORKS = 15
_LONGEST_PREFIX = 29
_PATCHABLE = frozenset(
    ("description", "enableFlowLogs", "fingerprint", "logConfig", "privateIpv6GoogleAccess", "purpose", "role",
     "secondaryIpRanges", "stackType", "ipv6AccessType")
)  # fmt: skip


def _prepare_network(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        return
    check_name(body)
    if not isinstance(body.get("autoCreateSubnetworks"), bool):
        raise invalid(
            "Invalid value for field 'resource.autoCreateSubnetworks': ''. Legacy networks cannot be created."
        )
    have = [
        network
        for network in call.cloud.store.of("compute", "compute.networks")
        if network.project == call.project
    ]
    limit = call.cloud.quotas.get("NETWORKS", _MOST_NETWORKS)
    if len(have) >= limit:
        raise ApiError(403, f"Quota 'NETWORKS' exceeded.  Limit: {limit}.0 globally.", reason="quotaExceeded")
    body["routingConfig"] = {"routingMode": "REGIONAL", "bgpBestPathSelectionMode": "LEGACY",
                             **(body.get("routingConfig") or {})}  # fmt: skip
    body.setdefault("mtu", 1460)
    body.setdefault("networkFirewallPolicyEnforcementOrder", "AFTER_CLASSIC_FIREWALL")


def _made_network(call: Call, network: StoredResource) -> None:
    if "ready" in network.hidden:
        return
    network.hidden["ready"] = False
    network.body["selfLinkWithId"] = f"{BASE}/projects/{call.project}/global/networks/{network.body['id']}"
    gateway = f"{BASE}/projects/{call.project}/global/gateways/default-internet-gateway"
    internet = {"nextHopGateway": gateway, "description": "Default route to the Internet."}
    auto_mode.route(call.cloud, network, "0.0.0.0/0", internet)
    if network.body["autoCreateSubnetworks"]:
        auto_mode.fill(call.cloud, network)


def _ready(call: Call, resource: StoredResource) -> None:
    resource.hidden["ready"] = True


def delete_network(call: Call) -> JsonObject:
    """Unmake a network. Whether something still uses it is found out by the operation, which then fails."""
    network = generic.existing(call)
    if not network.hidden.get("ready", True):
        raise not_ready(network)

    def finish() -> JsonObject | ApiError:
        user = next(
            (user for user in users(call.cloud, network) if not user.hidden.get("with_network")), None
        )
        if user is not None:
            return in_use(network, user, "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE")
        for own in list(users(call.cloud, network)):
            call.cloud.forget(own)
        if call.cloud.store.get("compute", network.name) is network:
            call.cloud.forget(network)
        return {}

    return operations.begin(call, network.name, call.cloud.takes(10), finish)


def to_custom_mode(call: Call) -> JsonObject:
    """Make an auto mode network's subnetworks its owner's from now on."""
    network = generic.existing(call)
    for user in users(call.cloud, network):
        if user.collection == "compute.subnetworks":
            user.hidden.pop("with_network", None)
    return changed(call, network, {"autoCreateSubnetworks": False})


def _prepare_subnetwork(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        _check_patch(call, body, before)
        return
    check_name(body)
    if call.params["region"] not in ZONES:
        raise invalid(f"Invalid value for field 'region': '{call.params['region']}'. Unknown region.")
    if not body.get("network"):
        raise invalid("Invalid value for field 'resource.network': ''. The URL is malformed.")
    resolve(call, body, ("network",))
    network = at(call.cloud, body["network"])
    cidr = _range(call, body, str(body.get("ipCidrRange") or ""), None)
    if network is not None and network.body["autoCreateSubnetworks"] and cidr.overlaps(auto_mode.RANGE):
        raise invalid(
            f"Invalid value for field 'resource.ipCidrRange': '{cidr}'. Extended subnetworks in auto subnet mode "
            "networks cannot overlap with 10.128.0.0/9."
        )
    place_of(call, body)
    body.setdefault("privateIpGoogleAccess", False)
    body.setdefault("purpose", "PRIVATE")
    body.setdefault("stackType", "IPV4_ONLY")
    body.setdefault("privateIpv6GoogleAccess", "DISABLE_GOOGLE_ACCESS")
    body.setdefault("allowSubnetCidrRoutesOverlap", False)
    if body["purpose"] == "REGIONAL_MANAGED_PROXY":
        body.setdefault("role", "ACTIVE")
    if body["purpose"] == "PRIVATE":
        body["gatewayAddress"] = str(cidr[1])


def _made_subnetwork(call: Call, subnetwork: StoredResource) -> None:
    network = at(call.cloud, subnetwork.body["network"])
    if network is None:
        return
    auto_mode.join(call.cloud, subnetwork, network)
    subnetwork.hidden.setdefault("ready", False)


def _remove_subnetwork(call: Call, subnetwork: StoredResource) -> None:
    if subnetwork.hidden.get("ready") is False:
        raise not_ready(subnetwork)
    refuse_if_used(call, subnetwork)
    network = at(call.cloud, subnetwork.body["network"])
    if (
        network is not None
        and network.body["autoCreateSubnetworks"]
        and subnetwork.hidden.get("with_network")
    ):
        raise invalid(
            f"Invalid resource usage: 'Cannot delete auto subnetwork from an auto subnet mode network: {subnetwork.name}'."
        )
    if network is not None:
        links = [link for link in network.body.get("subnetworks", ()) if link != subnetwork.body["selfLink"]]
        network.body["subnetworks"] = links
        if not links:
            del network.body["subnetworks"]
    route = call.cloud.store.get("compute", subnetwork.hidden.get("route", ""))
    if route is not None:
        call.cloud.forget(route)


def set_private_access(call: Call) -> JsonObject:
    """Tell whether what has no address of its own in a subnetwork reaches Google's APIs."""
    subnetwork = generic.existing(call)
    return changed(call, subnetwork, {"privateIpGoogleAccess": bool(call.body.get("privateIpGoogleAccess"))})


def expand(call: Call) -> JsonObject:
    """Give a subnetwork a wider range."""
    subnetwork = generic.existing(call)
    new = str(call.body.get("ipCidrRange") or "")
    cidr = _range(call, subnetwork.body, new, subnetwork)
    old = IPv4Network(subnetwork.body["ipCidrRange"])
    if not old.subnet_of(cidr) or old == cidr:
        raise invalid(
            f"Invalid value for field 'ipCidrRange': '{new}'. New range must be a superset of the current range {old}."
        )
    return changed(call, subnetwork, {"ipCidrRange": new})


def _check_patch(call: Call, body: JsonObject, before: StoredResource) -> None:
    if not call.body.get("fingerprint"):
        raise ApiError(400, "Required field 'resource.fingerprint' not specified", reason="required")
    resolve(call, body, ("network",))
    for key, value in body.items():
        if key not in _PATCHABLE and value != before.body.get(key):
            raise invalid(
                f"Invalid value for field 'resource.{key}': '{value}'. It cannot be changed by a patch."
            )


def _range(call: Call, body: Mapping[str, Json], text: str, own: StoredResource | None) -> IPv4Network:
    wrong = f"Invalid value for field 'resource.ipCidrRange': '{text}'. "
    try:
        cidr = IPv4Network(text)
    except ValueError as error:
        raise invalid(f"{wrong}Must be a valid IPV4 CIDR block address range.") from error
    if "/" not in text or cidr.prefixlen > _LONGEST_PREFIX or cidr.is_loopback or cidr.is_multicast:
        raise invalid(f"{wrong}Must be a valid IPV4 CIDR block address range.")
    for other in call.cloud.store.of("compute", "compute.subnetworks"):
        if other is own or other.body.get("network") != body["network"]:
            continue
        if cidr.overlaps(IPv4Network(other.body["ipCidrRange"])):
            region = other.body["region"].rpartition("/")[2]
            raise invalid(
                f"{wrong}Invalid IPCidrRange: {text} conflicts with existing subnetwork '{other.id}' in region "
                f"'{region}'."
            )
    return cidr


def _prepare_rule(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None:
        check_name(body)
    body.setdefault("network", "global/networks/default")
    resolve(call, body, ("network",))
    body.setdefault("priority", 1000)
    if call.method.collection != "compute.firewalls":
        return
    body.setdefault("direction", "INGRESS")
    body.setdefault("disabled", False)
    body.setdefault("logConfig", {"enable": False})
    if body["direction"] == "INGRESS" and not {"sourceTags", "sourceServiceAccounts"} & set(body):
        body.setdefault("sourceRanges", ["0.0.0.0/0"])
    if bool(body.get("allowed")) == bool(body.get("denied")):
        raise invalid(
            "Invalid value for field 'resource.allowed': ''. Exactly one of allowed and denied must be set."
        )


_RULE = Kind(prepare=_prepare_rule, seconds=5)
KINDS: Mapping[str, Kind] = {
    "compute.networks": Kind(prepare=_prepare_network, made=_made_network, done=_ready, seconds=12),
    "compute.subnetworks": Kind(prepare=_prepare_subnetwork, made=_made_subnetwork, done=_ready,
                                remove=_remove_subnetwork, seconds=10),
    "compute.firewalls": _RULE,
    "compute.routes": _RULE,
}  # fmt: skip
HANDLERS: Mapping[str, Handler] = {
    "compute.networks.delete": delete_network,
    "compute.networks.switchToCustomMode": to_custom_mode,
    "compute.subnetworks.expandIpCidrRange": expand,
    "compute.subnetworks.setPrivateIpGoogleAccess": set_private_access,
}
