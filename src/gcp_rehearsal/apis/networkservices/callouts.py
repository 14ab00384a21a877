"""What the extensions of load balancers have in common: which service each asks, for how long, and with which words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import BASE, at
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

EXTENSIONS = "networkservices.projects.locations.lbTrafficExtensions"
AUTHZ_EXTENSIONS = "networkservices.projects.locations.authzExtensions"
POLICIES = "networksecurity.projects.locations.authzPolicies"
MODEL_ARMOR = re.compile(r"modelarmor\.([a-z0-9-]+)\.rep\.googleapis\.com")
SCHEMES = ("EXTERNAL_MANAGED", "INTERNAL_MANAGED")
_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(\d+)(?:\.(\d{1,9}))?s")
_LEAST_MS, _MOST_MS = 10, 10_000
_METADATA_BYTES, _METADATA_KEYS, _KEY_CHARACTERS, _VALUE_CHARACTERS = 1024, 16, 64, 1024
"""By the schema of `metadata`: the whole is less than 1 KiB, of less than 16 keys, each shorter than 64 characters, its text than 1,024."""


def check_id(call: Call, key: str) -> None:
    """Raise `ApiError` 400 for an id in the query that is no name of RFC 1034."""
    check_name(str(call.query.get(key) or ""), key)


def check_name(name: str, field: str) -> None:
    """Raise `ApiError` 400 for what is no name of RFC 1034."""
    if not _NAME.fullmatch(name):
        raise invalid(
            f"Invalid resource id '{name}'", (field, "lower-case letters, digits and hyphens, at most 63")
        )


def location(name: str) -> str:
    """Return the location in a name such as `projects/p/locations/l/authzPolicies/a`; `global` is one."""
    return name.split("/")[3]


def check_scheme(body: Mapping[str, Json], field: str) -> str:
    """Return the scheme of what a body is for. Raises `ApiError` 400 where there is none."""
    scheme = str(body.get("loadBalancingScheme") or "")
    if scheme not in SCHEMES:
        raise invalid(f"{field} must be one of {', '.join(SCHEMES)}.", (field, "is required"))
    return scheme


def check_rules(call: Call, rules: list[str], scheme: str, field: str) -> list[StoredResource]:
    """Return the forwarding rules that are named. Raises `ApiError` for none, and for those of another place or scheme."""
    if not rules:
        raise invalid(f"{field} must hold a forwarding rule.", (field, "is required"))
    where = location(call.name)
    place = "global" if where == "global" else f"regions/{where}"
    found = []
    for url in rules:
        rule = forwarding_rule(call.cloud, url)
        if rule is None:
            raise not_found(f"The resource '{url}' was not found")
        if f"/{place}/" not in rule.name:
            raise invalid(f"{url} is not in {where}.", (field, "must be in the location of what names it"))
        if rule.body.get("loadBalancingScheme") != scheme:
            raise invalid(
                f"{url} has another load balancing scheme than {scheme}.", (field, "must share the scheme")
            )
        found.append(rule)
    return found


def forwarding_rule(cloud: Cloud, url: str) -> StoredResource | None:
    """Return the forwarding rule that an address names, in any of the forms that Google takes; None where there is none."""
    path = url.removeprefix("https:").removeprefix("//compute.googleapis.com/")
    path = path.removeprefix("//www.googleapis.com/compute/v1/").removeprefix("compute/v1/")
    kept = cloud.store.get("compute", cloud.by_id(path))
    return kept if kept is not None and "/forwardingRules/" in kept.name else None


def check_callout(call: Call, body: JsonObject, field: str) -> str:
    """
    Return which of Google's services an extension asks, '' for a backend service of the project's. Raises `ApiError` for what
    would not be asked: another service, or for too long, or with words that are too many.
    """
    service = str(body.get("service") or "")
    where = location(call.name)
    named = MODEL_ARMOR.fullmatch(service)
    if named is not None and where == "global":
        raise invalid(
            f"A global extension cannot use {service}.", (f"{field}.service", "must be a backend service")
        )
    if named is not None and named[1] != where:
        raise invalid(f"{service} is not of {where}.", (f"{field}.service", "is of another region"))
    if (
        named is None
        and at(call.cloud, service.replace("https://compute.googleapis.com/compute/v1", BASE)) is None
    ):
        raise invalid(
            f"Invalid service '{service}'.",
            (f"{field}.service", "is no backend service, nor Model Armor's of the region"),
        )
    if named is None and not body.get("authority"):
        raise invalid("authority is required for a backend service.", (f"{field}.authority", "is required"))
    milliseconds = timeout_s(body) * 1000
    if not _LEAST_MS <= milliseconds <= _MOST_MS:
        raise invalid(
            "timeout must be between 10 and 10000 milliseconds.", (f"{field}.timeout", "is out of range")
        )
    _check_metadata(body.get("metadata") or {}, f"{field}.metadata")
    return service if named is not None else ""


def timeout_s(body: Mapping[str, Json]) -> float:
    """Return how long an extension may take, in seconds; 0 where that is not said."""
    found = _DURATION.fullmatch(str(body.get("timeout") or ""))
    return float(f"{found[1]}.{found[2] or 0}") if found else 0.0


def _check_metadata(metadata: Mapping[str, Json], field: str) -> None:
    texts = {key: value for key, value in metadata.items() if isinstance(value, str)}
    if len(texts) < len(metadata):
        raise invalid("Metadata values must be strings.", (field, "holds something else than text"))
    if len(texts) >= _METADATA_KEYS or any(len(key) >= _KEY_CHARACTERS for key in texts):
        raise invalid("Metadata has too many keys, or too long ones.", (field, "is too large"))
    whole = sum(len(key.encode()) + len(value.encode()) for key, value in texts.items())
    if whole >= _METADATA_BYTES or any(len(value) >= _VALUE_CHARACTERS for value in texts.values()):
        raise invalid("The total size of metadata must be less than 1KiB.", (field, "is too large"))


def refuse_users(call: Call, kept: StoredResource, users: list[StoredResource]) -> None:
    """Raise `ApiError` 400 where something names what is to go."""
    if users:
        raise ApiError(
            400,
            f"The resource '{kept.name}' is already being used by '{users[0].name}'",
            status="FAILED_PRECONDITION",
            reason="resourceInUseByAnotherResource",
        )


def names_rule(cloud: Cloud, user: StoredResource, rule: StoredResource) -> bool:
    """Tell whether an extension or a policy is attached to a forwarding rule."""
    named = user.body.get("forwardingRules") or (user.body.get("target") or {}).get("resources") or ()
    return any(forwarding_rule(cloud, str(url)) is rule for url in named)


def attached(cloud: Cloud, rule: StoredResource) -> list[StoredResource]:
    """Return the extensions and policies that are attached to a forwarding rule."""
    every = [*cloud.store.of("networkservices", EXTENSIONS), *cloud.store.of("networksecurity", POLICIES)]
    return [user for user in every if names_rule(cloud, user, rule)]
