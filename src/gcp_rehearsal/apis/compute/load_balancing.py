"""Compute Engine beside networks: addresses, what load balancers are made of, regions and lists over all of them."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.apis.compute import addresses, backends, certificates, security_policies, setters, url_maps
from gcp_rehearsal.apis.compute.references import (  # fmt: skip
    BASE,
    check_name,
    check_scope,
    place_of,
    refuse_if_used,
    resolve,
)
from gcp_rehearsal.apis.networkservices import callouts
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import not_found
from gcp_rehearsal.filters import matches
from gcp_rehearsal.fingerprints import of_content
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

_BACKENDS = ("network", "backends[].group", "healthChecks[]")
_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "addresses": ("network", "subnetwork"),
    "globalAddresses": ("network",),
    "regionNetworkEndpointGroups": ("network", "subnetwork"),
    "globalNetworkEndpointGroups": (),
    "backendServices": _BACKENDS,
    "regionBackendServices": _BACKENDS,
    "urlMaps": (), "regionUrlMaps": (),
    "targetHttpProxies": ("urlMap",), "regionTargetHttpProxies": ("urlMap",),
    "targetHttpsProxies": ("urlMap", "sslPolicy"), "regionTargetHttpsProxies": ("urlMap", "sslPolicy"),
    "globalForwardingRules": ("target", "network", "backendService"),
    "forwardingRules": ("target", "network", "subnetwork", "backendService"),
    "sslCertificates": (), "regionSslCertificates": (), "healthChecks": (), "regionHealthChecks": (),
    "securityPolicies": (), "regionSecurityPolicies": (), "sslPolicies": (), "regionSslPolicies": (),
}  # fmt: skip
_SERVICE: Mapping[str, Json] = {
    "protocol": "HTTP", "timeoutSec": 30, "loadBalancingScheme": "EXTERNAL", "sessionAffinity": "NONE",
    "affinityCookieTtlSec": 0, "connectionDraining": {"drainingTimeoutSec": 0},
}  # fmt: skip
_GROUP: Mapping[str, Json] = {"networkEndpointType": "SERVERLESS", "size": 0}
_RULE: Mapping[str, Json] = {"IPProtocol": "TCP", "loadBalancingScheme": "EXTERNAL"}
_TLS: Mapping[str, Json] = {"minTlsVersion": "TLS_1_0", "profile": "COMPATIBLE"}
_DEFAULTS: Mapping[str, Mapping[str, Json]] = {
    "addresses": {"addressType": "EXTERNAL"}, "globalAddresses": {"addressType": "EXTERNAL"},
    "regionNetworkEndpointGroups": _GROUP,
    "backendServices": {**_SERVICE, "enableCDN": False}, "regionBackendServices": _SERVICE,
    "globalForwardingRules": _RULE, "forwardingRules": _RULE,
    "targetHttpsProxies": {"quicOverride": "NONE", "tlsEarlyData": "DISABLED"},
    "sslCertificates": {"type": "SELF_MANAGED"}, "regionSslCertificates": {"type": "SELF_MANAGED"},
    "securityPolicies": {"type": "CLOUD_ARMOR"}, "regionSecurityPolicies": {"type": "CLOUD_ARMOR"},
    "sslPolicies": _TLS, "regionSslPolicies": _TLS,
}  # fmt: skip
_SCOPED: Mapping[str, tuple[str, ...]] = {
    "backendServices": ("healthChecks[]", "securityPolicy"), "targetHttpProxies": ("urlMap",),
    "targetHttpsProxies": ("urlMap", "sslCertificates[]"), "forwardingRules": ("target", "backendService"),
}  # fmt: skip
"""What must be in the scope of the part that names it. A serverless group is of a region, below a global one, too."""
_ATTACHED = ("securityPolicy", "edgeSecurityPolicy")
"""Fields of a backend service that only their own actions set."""
_LISTED = ("addresses", "backendServices", "forwardingRules", "globalOperations", "healthChecks",
           "networkEndpointGroups", "securityPolicies", "sslCertificates", "sslPolicies", "subnetworks", "targetHttpProxies",
           "targetHttpsProxies", "urlMaps")  # fmt: skip
_COUNTED: Mapping[str, tuple[str, ...]] = {
    "NETWORKS": ("networks",), "SUBNETWORKS": ("subnetworks",), "FIREWALLS": ("firewalls",), "ROUTES": ("routes",),
    "STATIC_ADDRESSES": ("addresses", "RESERVED", "IN_USE"), "IN_USE_ADDRESSES": ("addresses", "IN_USE"),
    "BACKEND_SERVICES": ("backendServices",), "URL_MAPS": ("urlMaps",), "SSL_CERTIFICATES": ("sslCertificates",),
    "FORWARDING_RULES": ("forwardingRules",), "SECURITY_POLICIES": ("securityPolicies",),
}  # fmt: skip
_EVERYWHERE = frozenset(("NETWORKS", "SUBNETWORKS", "FIREWALLS", "ROUTES"))
_QUOTAS = {"CPUS": 24.0, "IN_USE_ADDRESSES": 8.0, "STATIC_ADDRESSES": 8.0, "NVIDIA_L4_GPUS": 0.0}
_PROJECT_QUOTAS = {"NETWORKS": 15.0, "SUBNETWORKS": 275.0, "FIREWALLS": 200.0, "ROUTES": 250.0,
                   "STATIC_ADDRESSES": 8.0, "BACKEND_SERVICES": 50.0, "URL_MAPS": 30.0, "SSL_CERTIFICATES": 30.0,
                   "FORWARDING_RULES": 45.0, "SECURITY_POLICIES": 10.0}  # fmt: skip


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    last = call.method.collection.rpartition(".")[2]
    kind = _plain(last)
    if kind == "backendServices":
        for key in _ATTACHED:
            body.pop(key, None)
            body |= {key: before.body[key]} if before is not None and key in before.body else {}
    resolve(call, body, _REFERENCES[last])
    _check_scopes(call, body, kind)
    if before is None:
        check_name(body)
        place_of(call, body)
        for key, value in _DEFAULTS.get(last, {}).items():
            body[key] = value if body.get(key) in (None, "") else body[key]
    if kind == "backendServices":
        backends.check_service(call, body, before)
    elif kind == "urlMaps":
        url_maps.prepare(call, body)
    elif kind == "targetHttpsProxies":
        certificates.of_proxy(call, body)
    if before is None:
        _begin(call, body, kind)


def _check_scopes(call: Call, body: JsonObject, kind: str) -> None:
    check_scope(call, body, _SCOPED.get(kind, ()))
    if kind == "backendServices" and "region" in call.params:
        check_scope(call, body, ("backends[].group",))


def _begin(call: Call, body: JsonObject, kind: str) -> None:
    """Set what Google sets on a new thing of a kind, and check what is checked only then."""
    if kind == "addresses":
        addresses.assign(call, body)
    elif kind == "forwardingRules":
        addresses.listen(call, body)
    elif kind == "sslCertificates":
        certificates.prepare(call, body)
    elif kind == "securityPolicies":
        security_policies.prepare(body)
    elif kind == "networkEndpointGroups" and "region" in call.params:
        backends.check_group(body)


def _plain(last: str) -> str:
    """Return what a collection holds, whether it is global or of regions: `urlMaps` of `regionUrlMaps`."""
    for scope in ("region", "global"):
        if last.startswith(scope) and last[len(scope) :][:1].isupper():
            return last[len(scope)].lower() + last[len(scope) + 1 :]
    return last


def _provision(call: Call, resource: StoredResource) -> None:
    certificates.provision(call, resource)
    if "/forwardingRules/" in resource.name:
        addresses.occupy(call.cloud, resource)


def _remove(call: Call, resource: StoredResource) -> None:
    if "/addresses/" in resource.name:
        addresses.refuse_if_occupied(call, resource)
        return
    refuse_if_used(call, resource)
    if "/forwardingRules/" in resource.name:
        callouts.refuse_users(call, resource, callouts.attached(call.cloud, resource))
        addresses.vacate(call.cloud, resource)


def aggregated(call: Call) -> JsonObject:
    """Return the things of one kind in all regions, by region."""
    last = call.method.collection.rpartition(".")[2]
    segment = "operations" if last == "globalOperations" else last
    items: dict[str, JsonObject] = {}
    for resource in call.cloud.store.of("compute"):
        parts = resource.name.split("/")
        scope, kind = ("global", parts[3]) if parts[2] == "global" else ("/".join(parts[2:4]), parts[4])
        shown = matches(call.query.get("filter") or "", resource.body)
        if resource.project == call.project and kind == segment and shown:
            items.setdefault(scope, {segment: []})[segment].append(resource.body)
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
    listed = [_region(call, name) for name in ZONES]
    return generic.page(
        call, "items", [region for region in listed if matches(call.query.get("filter") or "", region)]
    )


def zone(call: Call) -> JsonObject:
    """Return one zone. Raises `ApiError` 404."""
    name = call.params["zone"]
    if name[-1:] not in tuple(ZONES.get(name[:-2], "")):
        raise not_found(f"The resource '{call.name}' was not found")
    return _zone(call, name)


def zones(call: Call) -> JsonObject:
    """Return all zones that the filter lets through, a page of them."""
    listed = [_zone(call, name) for region in ZONES for name in _zones(region)]
    return generic.page(
        call, "items", [zone for zone in listed if matches(call.query.get("filter") or "", zone)]
    )


def project(call: Call) -> JsonObject:
    """Return what Compute Engine knows of a project."""
    known = call.cloud.project(call.project)
    number = known.number if known else ""
    return {
        "kind": "compute#project",
        "id": number,
        "name": call.project,
        "selfLink": f"{BASE}/projects/{call.project}",
        "defaultServiceAccount": f"{number}-compute@developer.gserviceaccount.com",
        "defaultNetworkTier": "PREMIUM",
        "xpnProjectStatus": "UNSPECIFIED_XPN_PROJECT_STATUS",
        "vmDnsSetting": "ZONAL_ONLY",
        "commonInstanceMetadata": {"kind": "compute#metadata", "fingerprint": of_content({})},
        "quotas": [{"metric": metric, "limit": limit, "usage": _used(call, metric, "global")}
                   for metric, limit in _PROJECT_QUOTAS.items()],
    }  # fmt: skip


def _region(call: Call, name: str) -> JsonObject:
    link = f"{BASE}/projects/{call.project}"
    return {
        "kind": "compute#region", "id": str(1000 + 10 * list(ZONES).index(name)), "name": name,
        "description": name, "status": "UP", "selfLink": f"{link}/regions/{name}",
        "zones": [f"{link}/zones/{zone}" for zone in _zones(name)],
        "quotas": [{"metric": metric, "limit": limit, "usage": _used(call, metric, f"regions/{name}")}
                   for metric, limit in _QUOTAS.items()],
        "supportsPzs": False,
    }  # fmt: skip


def _used(call: Call, metric: str, scope: str) -> float:
    """Return how much of a quota the things of a scope use; networks and their like count for the whole project."""
    words = _COUNTED.get(metric)
    if words is None:
        return 0.0
    every = [resource for resource in call.cloud.store.of("compute") if resource.project == call.project]
    counted = [resource for resource in every if f"/{words[0]}/" in resource.name
               and (metric in _EVERYWHERE or f"/{scope}/" in resource.name)]  # fmt: skip
    if words[0] == "addresses":
        counted = [resource for resource in counted if resource.body.get("status") in words[1:]]
    return float(len(counted))


def _zone(call: Call, name: str) -> JsonObject:
    link, place = f"{BASE}/projects/{call.project}", name[:-2]
    number = 2000 + 10 * list(ZONES).index(place) + ord(name[-1]) - ord("a")
    return {"kind": "compute#zone", "id": str(number), "name": name, "description": name, "status": "UP",
            "region": f"{link}/regions/{place}", "selfLink": f"{link}/zones/{name}"}  # fmt: skip


def _zones(region: str) -> list[str]:
    return [f"{region}-{letter}" for letter in ZONES[region]]


_KIND = Kind(prepare=_prepare, made=_provision, remove=_remove, seconds=6)
KINDS: Mapping[str, Kind] = {f"compute.{last}": _KIND for last in _REFERENCES}
HANDLERS: Mapping[str, Handler] = {
    **{f"compute.{last}.aggregatedList": aggregated for last in _LISTED},
    **setters.HANDLERS,
    **security_policies.HANDLERS,
    "compute.projects.get": project,
    "compute.regions.get": region,
    "compute.regions.list": regions,
    "compute.zones.get": zone,
    "compute.zones.list": zones,
    "compute.urlMaps.validate": url_maps.validate,
    "compute.regionUrlMaps.validate": url_maps.validate,
}  # fmt: skip
