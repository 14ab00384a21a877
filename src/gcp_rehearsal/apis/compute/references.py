"""Compute Engine: how its things name each other, and that what is used cannot go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal import fingerprints, operations
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

BASE = "https://www.googleapis.com/compute/v1"
_NAME = r"(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)"
_URL = re.compile(r"(?:https?://(?:www|compute)\.googleapis\.com/(?:compute/)?(?:v1|beta)/)?(.+)")
_PATH = re.compile(
    r"projects/[^/]+/(?:global|regions/[^/]+|zones/[^/]+)/[A-Za-z]+/[^/]+|projects/[^/]+/(?:regions|zones)/[^/]+"
)
_NOT_USES = frozenset(("selfLink", "subnetworks", "users"))
"""Fields that name things which are not used by what names them: itself, and those that use it."""
_WORDS = {
    "addresses": "address", "globalAddresses": "address", "backendServices": "backend_service",
    "regionBackendServices": "backend_service", "forwardingRules": "forwarding_rule",
    "globalForwardingRules": "forwarding_rule", "healthChecks": "health_check",
    "regionHealthChecks": "health_check", "networks": "network", "subnetworks": "subnetwork",
    "regionNetworkEndpointGroups": "network_endpoint_group", "networkEndpointGroups": "network_endpoint_group",
    "globalNetworkEndpointGroups": "network_endpoint_group", "securityPolicies": "security_policy",
    "sslCertificates": "ssl_certificate", "regionSslCertificates": "ssl_certificate",
    "targetHttpProxies": "target_http_proxy", "targetHttpsProxies": "target_https_proxy",
    "regionTargetHttpProxies": "target_http_proxy", "regionTargetHttpsProxies": "target_https_proxy",
    "urlMaps": "url_map", "regionUrlMaps": "url_map", "regionSecurityPolicies": "security_policy",
    "sslPolicies": "ssl_policy", "regionSslPolicies": "ssl_policy",
}  # fmt: skip


def check_name(body: Mapping[str, Json]) -> None:
    """Raise `ApiError` 400 for a name that Compute Engine does not take."""
    name = str(body.get("name") or "")
    if not re.fullmatch(_NAME, name):
        raise invalid(
            f"Invalid value for field 'resource.name': '{name}'. Must be a match of regex '{_NAME}'"
        )


def reference(call: Call, field: str, value: str) -> str:
    """
    Return the full address of what a field names by an address, whole or in part.

    Raises `ApiError`: 400 for what is no address, 404 where there is nothing in a project of this cloud.
    """
    match = _URL.fullmatch(value)
    path = call.cloud.by_id(match[1]) if match else ""
    if path.startswith(("global/", "regions/", "zones/")):
        path = f"projects/{call.project}/{path}"
    if not _PATH.fullmatch(path):
        raise invalid(f"Invalid value for field 'resource.{field}': '{value}'. The URL is malformed.")
    resource = call.cloud.store.get("compute", path)
    if resource is None and path.count("/") > 3:
        raise not_found(f"The resource '{path}' was not found")
    if resource is not None and resource.hidden.get("ready") is False:
        raise not_ready(resource)
    return f"{BASE}/{path}"


def at(cloud: Cloud, url: str) -> StoredResource | None:
    """Return what a full address names."""
    return cloud.store.get("compute", url.removeprefix(f"{BASE}/"))


def resolve(call: Call, body: JsonObject, fields: tuple[str, ...]) -> None:
    """Make the addresses in these fields (`backends[].group`) full ones. Raises `ApiError` as `reference` does."""
    for field in fields:
        for holder, key, path in _holders(body, field.split(".")):
            value = holder[key]
            # A forwarding rule's target may be a bundle of Google's APIs, such as `all-apis`.
            if isinstance(value, str) and ("/" in value or key != "target"):
                holder[key] = reference(call, path, value)


def not_ready(kept: StoredResource) -> ApiError:
    """Return the 400 for what is still being made."""
    return ApiError(400, f"The resource '{kept.name}' is not ready", reason="resourceNotReady")


def users(cloud: Cloud, kept: StoredResource) -> Iterator[StoredResource]:
    """Yield everything of Compute Engine that names a thing."""
    url = f"{BASE}/{kept.name}"
    for other in cloud.store.of("compute"):
        if other is not kept and other.collection != operations.COLLECTION and _names(other.body, url):
            yield other


def refuse_if_used(call: Call, kept: StoredResource) -> None:
    """Raise `ApiError` 400 where something else names a thing that is to be deleted."""
    user = next((user for user in users(call.cloud, kept) if not user.hidden.get("with_network")), None)
    if user is not None:
        raise in_use(kept, user)


def in_use(
    kept: StoredResource, user: StoredResource, reason: str = "resourceInUseByAnotherResource"
) -> ApiError:
    """Return the 400 for what is in use, as Google words it."""
    last = kept.collection.rpartition(".")[2]
    word = _WORDS.get(last, last)
    return ApiError(
        400, f"The {word} resource '{kept.name}' is already being used by '{user.name}'", reason=reason
    )


def check_scope(call: Call, body: Mapping[str, Json], fields: tuple[str, ...]) -> None:
    """Raise `ApiError` 400 where a part of a load balancer names one of another region, or a global part one of a region."""
    own = f"/regions/{call.params['region']}/" if "region" in call.params else "/global/"
    for field in fields:
        for holder, key, path in _holders(dict(body), field.split(".")):
            named = str(holder[key])
            if named.startswith(f"{BASE}/") and own not in named:
                raise invalid(
                    f"Invalid value for field 'resource.{path}': '{named}'. It must be in the same scope as what names it, "
                    f"{own.strip('/')}."
                )


def place_of(call: Call, body: JsonObject) -> None:
    """Set the region or the zone of what lies in one."""
    for scope in ("region", "zone"):
        if scope in call.params:
            body[scope] = f"{BASE}/projects/{call.project}/{scope}s/{call.params[scope]}"


def changed(call: Call, kept: StoredResource, change: Mapping[str, Json]) -> JsonObject:
    """Change a thing by an action of its own, where None removes; the answer is the operation."""
    kept.body.update({key: value for key, value in change.items() if value is not None})
    for key in [key for key, value in change.items() if value is None]:
        kept.body.pop(key, None)
    kept.version += 1
    fingerprints.refresh(kept.body)
    return operations.begin(call, kept.name, call.cloud.takes(3), dict)


def _holders(value: Json, parts: list[str], path: str = "") -> Iterator[tuple[Json, Json, str]]:
    """Return the holder, the key and the path of every value that `backends[].group` is about."""
    head, rest = parts[0].removesuffix("[]"), parts[1:]
    if not isinstance(value, dict) or value.get(head) is None:
        return
    path = f"{path}.{head}" if path else head
    if not parts[0].endswith("[]"):
        if rest:
            yield from _holders(value[head], rest, path)
        else:
            yield value, head, path
        return
    for number, item in enumerate(value[head]):
        if rest:
            yield from _holders(item, rest, f"{path}[{number}]")
        else:
            yield value[head], number, f"{path}[{number}]"


def _names(value: Json, url: str) -> bool:
    if isinstance(value, dict):
        return any(_names(item, url) for key, item in value.items() if key not in _NOT_USES)
    if isinstance(value, list):
        return any(_names(item, url) for item in value)
    return bool(value == url)
