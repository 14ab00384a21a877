"""Regional endpoints of Private Service Connect: each takes an address of a subnetwork, which stays as long as it does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network

from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

_COLLECTION = "networkconnectivity.projects.locations.regionalEndpoints"
_ID = re.compile(r"[a-z](?:[-a-z0-9]{0,44}[a-z0-9])?")
_TARGET = re.compile(r"[a-z]+\.([a-z0-9-]+)\.(?:p\.)?rep\.googleapis\.com")
_SUBNETWORK = re.compile(r"projects/[^/]+/regions/([^/]+)/subnetworks/[^/]+")


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        return
    region = call.name.split("/")[3]
    if not _ID.fullmatch(str(call.query.get("regionalEndpointId") or "")):
        raise invalid(
            "Invalid regional endpoint ID.", ("regional_endpoint_id", "letters, digits and hyphens")
        )
    target = _TARGET.fullmatch(str(body.get("targetGoogleApi") or ""))
    if target is None or target[1] != region:
        raise invalid(
            f"Invalid target Google API for {region}.",
            ("regional_endpoint.target_google_api", "is not of this region"),
        )
    if body.get("accessType") not in {"GLOBAL", "REGIONAL"}:
        raise invalid("access_type is required.", ("regional_endpoint.access_type", "is required"))
    if not body.get("subnetwork"):
        network = str(body.get("network") or f"projects/{call.project}/global/networks/default")
        body["subnetwork"] = _any_subnetwork(call, region, network)
    subnetwork = _SUBNETWORK.fullmatch(str(body.get("subnetwork") or ""))
    if subnetwork is None or subnetwork[1] != region:
        raise invalid(
            "A subnetwork of the region is required.", ("regional_endpoint.subnetwork", "is invalid")
        )
    stored = call.cloud.store.get("compute", str(body["subnetwork"]))
    if stored is None:
        raise not_found(f"The resource '{body['subnetwork']}' was not found")
    body["address"] = body["ipAddress"] = _address(call, body, str(stored.body["ipCidrRange"]))
    body["pscForwardingRule"] = (
        f"//compute.googleapis.com/{call.name.replace('/locations/', '/regions/')}/forwardingRules/"
        f"sn-{call.query['regionalEndpointId']}"
    )


def _any_subnetwork(call: Call, region: str, network: str) -> str:
    """Return one of the network's in the region, as where none is named; '' where it has none there."""
    for subnetwork in call.cloud.store.under(
        "compute", f"projects/{call.project}/regions/{region}/subnetworks"
    ):
        if str(subnetwork.body.get("network", "")).endswith(call.cloud.by_id(network)):
            return subnetwork.name
    return ""


def _address(call: Call, body: JsonObject, ip_range: str) -> str:
    """Return the address that is asked for, or a free one of the subnetwork; Google keeps four for itself."""
    network = ip_network(ip_range)
    used = {
        endpoint.body.get("address") for endpoint in call.cloud.store.of("networkconnectivity", _COLLECTION)
    }
    address = body.get("address")
    if address is None:
        return next(str(host) for host in list(network.hosts())[1:-1] if str(host) not in used)
    named = call.cloud.store.get("compute", call.cloud.by_id(str(address)))
    address = named.body["address"] if named is not None else address
    try:
        free = ip_address(str(address)) in network and address not in used
    except ValueError:
        free = False
    if not free:
        raise invalid(f"IP address {address} cannot be used.", ("regional_endpoint.address", "is not free"))
    return str(address)


KINDS: Mapping[str, Kind] = {_COLLECTION: Kind(prepare=_prepare, seconds=20.0)}
HANDLERS: Mapping[str, Handler] = {}
