"""Compute Engine beside networks: addresses, what load balancers are made of, regions and lists over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from gcp_rehearsal import generic
from gcp_rehearsal.apis.compute.references import (  # fmt: skip
    BASE,
    at,
    changed,
    check_name,
    fingerprint,
    place_of,
    refuse_if_used,
    resolve,
)
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid, not_found, unimplemented
from gcp_rehearsal.filters import matches
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "addresses": ("network", "subnetwork"),
    "globalAddresses": ("network",),
    "regionNetworkEndpointGroups": ("network", "subnetwork"),
    "globalNetworkEndpointGroups": (),
    "backendServices": ("backends[].group", "healthChecks[]", "securityPolicy"),
    "regionBackendServices": ("network", "backends[].group", "healthChecks[]", "securityPolicy"),
    "urlMaps": ("defaultService", "pathMatchers[].defaultService", "pathMatchers[].pathRules[].service"),
    "regionUrlMaps": ("defaultService", "pathMatchers[].defaultService", "pathMatchers[].pathRules[].service"),
    "targetHttpProxies": ("urlMap",),
    "regionTargetHttpProxies": ("urlMap",),
    "targetHttpsProxies": ("urlMap", "sslCertificates[]"),
    "regionTargetHttpsProxies": ("urlMap", "sslCertificates[]"),
    "globalForwardingRules": ("target", "network", "backendService"),
    "forwardingRules": ("target", "network", "subnetwork", "backendService"),
    "sslCertificates": (), "regionSslCertificates": (), "healthChecks": (), "regionHealthChecks": (),
    "securityPolicies": (), "sslPolicies": (),
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, Json]] = {
    "addresses": {"addressType": "EXTERNAL"},
    "globalAddresses": {"addressType": "EXTERNAL"},
    "regionNetworkEndpointGroups": {"networkEndpointType": "SERVERLESS", "size": 0},
    "backendServices": {
        "protocol": "HTTP", "timeoutSec": 30, "loadBalancingScheme": "EXTERNAL", "sessionAffinity": "NONE",
        "affinityCookieTtlSec": 0, "connectionDraining": {"drainingTimeoutSec": 0}, "enableCDN": False,
    },
    "globalForwardingRules": {"IPProtocol": "TCP", "loadBalancingScheme": "EXTERNAL"},
    "forwardingRules": {"IPProtocol": "TCP", "loadBalancingScheme": "EXTERNAL"},
    "targetHttpsProxies": {"quicOverride": "NONE", "tlsEarlyData": "DISABLED"},
    "sslCertificates": {"type": "SELF_MANAGED"},
    "securityPolicies": {"type": "CLOUD_ARMOR"},
}  # fmt: skip
_LISTED = ("addresses", "backendServices", "forwardingRules", "globalOperations", "healthChecks",
           "networkEndpointGroups", "securityPolicies", "sslCertificates", "subnetworks", "targetHttpProxies",
           "targetHttpsProxies", "urlMaps")  # fmt: skip
_QUOTAS = {"CPUS": 24.0, "IN_USE_ADDRESSES": 8.0, "STATIC_ADDRESSES": 8.0, "NVIDIA_L4_GPUS": 0.0}
_PROJECT_QUOTAS = {"NETWORKS": 15.0, "SUBNETWORKS": 275.0, "FIREWALLS": 200.0, "ROUTES": 250.0,
                   "STATIC_ADDRESSES": 8.0, "BACKEND_SERVICES": 50.0, "URL_MAPS": 30.0, "SSL_CERTIFICATES": 30.0,
                   "FORWARDING_RULES": 45.0, "SECURITY_POLICIES": 10.0}  # fmt: skip
_EXTERNAL = IPv4Address("34.120.0.10")
_MANAGED_AFTER = 900.0


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    last = call.method.collection.rpartition(".")[2]
    resolve(call, body, _REFERENCES[last])
    if before is not None:
        return
    check_name(body)
    place_of(call, body)
    for key, value in _DEFAULTS.get(last, {}).items():
        body[key] = value if body.get(key) in (None, "") else body[key]
    if last in {"addresses", "globalAddresses"}:
        _assign(call, body)
    if last in {"forwardingRules", "globalForwardingRules"}:
        _listen(call, body)
    if last == "sslCertificates" and body["type"] == "MANAGED":
        domains = (body.get("managed") or {}).get("domains") or []
        if not domains:
            raise invalid(
                "Invalid value for field 'resource.managed.domains': ''. At least one domain is required."
            )
        body["managed"] = {"domains": domains, "status": "PROVISIONING",
                           "domainStatus": dict.fromkeys(domains, "PROVISIONING")}  # fmt: skip


def _made(call: Call, kept: StoredResource) -> None:
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    if "labelFingerprint" in properties:
        kept.body["labelFingerprint"] = fingerprint(kept.version)
    managed = kept.body.get("managed") if kept.body.get("type") == "MANAGED" else None
    if managed and managed["status"] == "PROVISIONING":

        def provisioned() -> None:
            managed.update(status="ACTIVE", domainStatus=dict.fromkeys(managed["domains"], "ACTIVE"))

        call.cloud.clock.after(call.cloud.takes(_MANAGED_AFTER), provisioned)


def _remove(call: Call, kept: StoredResource) -> None:
    refuse_if_used(call, kept)


def _assign(call: Call, body: JsonObject) -> None:
    """Return an address of one's own, or that which was asked for."""
    taken = {kept.body.get("address") for kept in call.cloud.store.of("compute") if kept.body.get("address")}
    body["status"] = "RESERVED"
    if body.get("ipVersion") == "IPV6":
        raise unimplemented("addresses of IPv6")
    if body["addressType"] == "EXTERNAL":
        body.setdefault("networkTier", "PREMIUM")
        if "region" not in body:
            body.setdefault("ipVersion", "IPV4")
        body["address"] = str(next(ip for ip in _upwards(_EXTERNAL) if str(ip) not in taken))
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
    body["address"] = str(next(ip for ip in _upwards(cidr[2]) if str(ip) not in taken))


def _is_in(cidr: IPv4Network, address: str) -> bool:
    try:
        return IPv4Address(address) in cidr
    except ValueError:
        return False


def _listen(call: Call, body: JsonObject) -> None:
    given = str(body.get("IPAddress") or "")
    reserved = at(call.cloud, _address(call, given)) if "/" in given else None
    if "/" in given and reserved is None:
        raise not_found(f"The resource '{_address(call, given).removeprefix(f'{BASE}/')}' was not found")
    if reserved is not None:
        body["IPAddress"] = reserved.body["address"]
    if not given:
        taken = {kept.body.get("IPAddress") for kept in call.cloud.store.of("compute")}
        taken |= {kept.body.get("address") for kept in call.cloud.store.of("compute")}
        body["IPAddress"] = str(next(ip for ip in _upwards(_EXTERNAL) if str(ip) not in taken))
    if body["loadBalancingScheme"].startswith("EXTERNAL"):
        body.setdefault("networkTier", "PREMIUM")
    ports = str(body.get("portRange") or "")
    if ports and "-" not in ports:
        body["portRange"] = f"{ports}-{ports}"


def _address(call: Call, given: str) -> str:
    path = given.partition("/v1/")[2] or given
    return f"{BASE}/{path}" if path.startswith("projects/") else f"{BASE}/projects/{call.project}/{path}"


def _upwards(first: IPv4Address) -> Any:  # Any: a generator of addresses
    while True:
        yield first
        first += 1


def set_labels(call: Call) -> Json:
    """Replace a thing's labels, where nobody has done so since."""
    kept = generic.existing(call)
    if call.body.get("labelFingerprint") != kept.body.get("labelFingerprint"):
        raise ApiError(412, "Labels fingerprint either invalid or resource labels have changed")
    return changed(call, kept, {"labels": call.body.get("labels") or {}})


def set_field(field: str) -> Handler:
    """Return an action that sets one field that names something: `setUrlMap`, `setTarget`, `setSslCertificates`."""

    def act(call: Call) -> Json:
        kept = generic.existing(call)
        body = dict(call.body)
        resolve(call, body, (f"{field}[]" if isinstance(body.get(field), list) else field,))
        return changed(call, kept, {field: body.get(field)})

    return act


def validate(call: Call) -> JsonObject:
    """Tell whether a URL map would load: what it names must exist."""
    body = dict(call.body.get("resource") or {})
    try:
        resolve(call, body, _REFERENCES["urlMaps"])
    except ApiError as error:
        return {"result": {"loadSucceeded": False, "loadErrors": [error.message], "testPassed": False}}
    return {"result": {"loadSucceeded": True, "testPassed": True}}


def aggregated(call: Call) -> JsonObject:
    """Return the things of one kind in all regions, by region."""
    last = call.method.collection.rpartition(".")[2]
    segment = "operations" if last == "globalOperations" else last
    items: dict[str, JsonObject] = {}
    for kept in call.cloud.store.of("compute"):
        parts = kept.name.split("/")
        scope, kind = ("global", parts[3]) if parts[2] == "global" else ("/".join(parts[2:4]), parts[4])
        shown = matches(call.query.get("filter") or "", kept.body)
        if kept.project == call.project and kind == segment and shown:
            items.setdefault(scope, {segment: []})[segment].append(kept.body)
    schema = call.document.schemas[call.method.response or ""]["properties"]
    path = f"projects/{call.project}/aggregated/{segment}"
    return {"kind": schema["kind"]["default"], "id": path, "selfLink": f"{BASE}/{path}", "items": items}


def region(call: Call) -> JsonObject:
    """Return one region. Raises `ApiError` 404."""
    if call.params["region"] not in ZONES:
        raise not_found(f"The resource '{call.name}' was not found")
    return _region(call, call.params["region"])


def regions(call: Call) -> JsonObject:
    """Return all regions that the filter lets through, a page of them."""
    found = [_region(call, name) for name in ZONES]
    return generic.page(call, "items", [one for one in found if matches(call.query.get("filter") or "", one)])


def zone(call: Call) -> JsonObject:
    """Return one zone. Raises `ApiError` 404."""
    name = call.params["zone"]
    if name[-1:] not in tuple(ZONES.get(name[:-2], "")):
        raise not_found(f"The resource '{call.name}' was not found")
    return _zone(call, name)


def zones(call: Call) -> JsonObject:
    """Return all zones that the filter lets through, a page of them."""
    found = [_zone(call, name) for region in ZONES for name in _zones(region)]
    return generic.page(call, "items", [one for one in found if matches(call.query.get("filter") or "", one)])


def project(call: Call) -> JsonObject:
    """Return what Compute Engine knows of a project."""
    found = call.cloud.project(call.project)
    number = found.number if found else ""
    have = [
        kept.collection.rpartition(".")[2]
        for kept in call.cloud.store.of("compute")
        if kept.project == call.project
    ]
    usage = {"NETWORKS": have.count("networks"), "SUBNETWORKS": have.count("subnetworks")}
    return {
        "kind": "compute#project",
        "id": number,
        "name": call.project,
        "selfLink": f"{BASE}/projects/{call.project}",
        "defaultServiceAccount": f"{number}-compute@developer.gserviceaccount.com",
        "defaultNetworkTier": "PREMIUM",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "vmDnsSetting": "ZONAL_ONLY",
        "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": fingerprint(1)},
        "quotas": [{"metric": metric, "limit": limit, "usage": float(usage.get(metric, 0))}
                   for metric, limit in _PROJECT_QUOTAS.items()],
    }  # fmt: skip


def _region(call: Call, name: str) -> JsonObject:
    link = f"{BASE}/projects/{call.project}"
    return {
        "kind": "compute#region", "id": str(1000 + 10 * list(ZONES).index(name)), "name": name,
        "description": name, "status": "UP", "selfLink": f"{link}/regions/{name}",
        "zones": [f"{link}/zones/{zone}" for zone in _zones(name)],
        "quotas": [{"metric": metric, "limit": limit, "usage": 0.0} for metric, limit in _QUOTAS.items()],
        "supportsPzs": False,
    }  # fmt: skip


def _zone(call: Call, name: str) -> JsonObject:
    link, place = f"{BASE}/projects/{call.project}", name[:-2]
    number = 2000 + 10 * list(ZONES).index(place) + ord(name[-1]) - ord("a")
    return {"kind": "compute#zone", "id": str(number), "name": name, "description": name, "status": "UP",
            "region": f"{link}/regions/{place}", "selfLink": f"{link}/zones/{name}"}  # fmt: skip


def _zones(region: str) -> list[str]:
    return [f"{region}-{letter}" for letter in ZONES[region]]


_KIND = Kind(prepare=_prepare, made=_made, remove=_remove, seconds=6)
KINDS: Mapping[str, Kind] = {f"compute.{last}": _KIND for last in _REFERENCES}
HANDLERS: Mapping[str, Handler] = {
    **{f"compute.{last}.aggregatedList": aggregated for last in _LISTED},
    **{f"compute.{last}.setLabels": set_labels
       for last in ("addresses", "forwardingRules", "globalAddresses", "globalForwardingRules")},
    "compute.projects.get": project,
    "compute.regions.get": region,
    "compute.regions.list": regions,
    "compute.zones.get": zone,
    "compute.zones.list": zones,
    "compute.urlMaps.validate": validate,
    "compute.backendServices.setSecurityPolicy": set_field("securityPolicy"),
    "compute.targetHttpProxies.setUrlMap": set_field("urlMap"),
    "compute.targetHttpsProxies.setUrlMap": set_field("urlMap"),
    "compute.targetHttpsProxies.setSslCertificates": set_field("sslCertificates"),
    "compute.globalForwardingRules.setTarget": set_field("target"),
    "compute.forwardingRules.setTarget": set_field("target"),
}  # fmt: skip
