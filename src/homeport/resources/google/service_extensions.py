"""Model Armor as a callout of a load balancer: a traffic extension, or an authorization extension with the policy that asks it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile import Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.model_armor import host
from homeport.resources.google.rest import LABEL, Address, RestResource

TRAFFIC, AUTHZ, POLICY = "traffic extension", "authorization extension", "authorization policy"
COLLECTIONS: Mapping[str, tuple[str, str, str]] = {
    TRAFFIC: ("networkservices", "lbTrafficExtensions", "lbTrafficExtensionId"),
    AUTHZ: ("networkservices", "authzExtensions", "authzExtensionId"),
    POLICY: ("networksecurity", "authzPolicies", "authzPolicyId"),
}
"""The API of each, where it has them, and the parameter that names a new one."""
METADATA_BYTES = 1024
"""The words that an extension is given are less than that, all together."""
_SETTINGS = "model_armor_settings"
_EVENTS = (
    "REQUEST_HEADERS", "REQUEST_BODY", "RESPONSE_HEADERS", "RESPONSE_BODY", "REQUEST_TRAILERS", "RESPONSE_TRAILERS",
)  # fmt: skip
_RULES: Mapping[str, Rules] = {
    TRAFFIC: Rules(
        immutable=frozenset(("loadBalancingScheme",)), references=frozenset(("forwardingRules[]",)),
        unordered=frozenset(("extensionChains[].extensions[].supportedEvents",)),
    ),
    AUTHZ: Rules(),
    POLICY: Rules(
        immutable=frozenset(("policyProfile", "target.loadBalancingScheme")),
        references=frozenset(("target.resources[]", "customProvider.authzExtension.resources[]")),
    ),
}  # fmt: skip


def part(
    google: Google, owner: str, kind: str, name: str, wanted: Mapping[str, Any], region: str  # Any: JSON, and Refs
) -> RestResource:  # fmt: skip
    """Return the thing `name` of a kind, in a region, which belongs to the endpoint `owner`."""
    api, collection, id_key = COLLECTIONS[kind]
    parent = f"v1/projects/{google.project}/locations/{region}/{collection}"
    return RestResource(
        google=google,
        name=owner,
        id=f"{kind.replace(' ', '-')}/{name}",
        kind=kind,
        address=Address(api=api, path=f"{parent}/{name}", made_at=parent, query={id_key: name}),
        wanted={"labels": {LABEL: owner}, **wanted},
        rules=_RULES[kind],
    )


def settings_of_models(models: Sequence[str], template: str) -> dict[str, str]:
    """Return what a traffic extension is told: each model's template for prompts and for answers. What it does not name passes."""
    entries = [
        {"model": model, "user_prompt_template_id": template, "model_response_template_id": template}
        for model in models
    ]
    return _metadata(entries)


def models_of(extension: Mapping[str, Json]) -> frozenset[str]:
    """Return the names that a traffic extension looks at all of, prompts and answers; none where what it is told cannot be read."""
    named: set[str] = set()
    for chain in extension.get("extensionChains") or ():
        for each in chain.get("extensions") or ():
            try:
                entries = json.loads((each.get("metadata") or {}).get(_SETTINGS, "[]"))
                named.update(
                    str(entry["model"])
                    for entry in entries
                    if entry.get("user_prompt_template_id") and entry.get("model_response_template_id")
                )
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
    return frozenset(named)


def traffic_extension(  # noqa: PLR0913 - whose, where, and what it does
    google: Google, owner: str, name: str, region: str, *, rule: str, scheme: str, settings: Mapping[str, str], timeout_s: float
) -> RestResource:  # fmt: skip
    """Return the extension that has Model Armor look at what comes through the forwarding rule with the id `rule`."""
    extension = {
        "name": "model-armor",
        "service": host(region),
        "failOpen": False,
        "supportedEvents": list(_EVENTS),
        "timeout": _seconds(timeout_s),
        "metadata": dict(settings),
    }
    chain = {"name": "model-armor", "matchCondition": {"celExpression": "true"}, "extensions": [extension]}
    body = {
        "loadBalancingScheme": scheme,
        "forwardingRules": [Ref(rule, "selfLink")],
        "extensionChains": [chain],
    }
    return part(google, owner, TRAFFIC, name, body, region)


def authz_extension(
    google: Google, owner: str, name: str, region: str, *, template: str, timeout_s: float
) -> RestResource:
    """Return what a policy asks Model Armor by."""
    body = {
        "service": host(region),
        "failOpen": False,
        "timeout": _seconds(timeout_s),
        "metadata": _metadata([{"request_template_id": template, "response_template_id": template}]),
    }
    return part(google, owner, AUTHZ, name, body, region)


def content_policy(  # noqa: PLR0913 - whose, where, and what it asks
    google: Google, owner: str, name: str, region: str, *, rule: str, scheme: str, extension: RestResource
) -> RestResource:
    """Return the policy (Preview) that has an extension look at the content of what comes through the forwarding rule with the id `rule`."""
    body = {
        "policyProfile": "CONTENT_AUTHZ",
        "action": "CUSTOM",
        "target": {"loadBalancingScheme": scheme, "resources": [Ref(rule, "selfLink")]},
        "customProvider": {"authzExtension": {"resources": [Ref(extension.id, "name")]}},
    }
    return part(google, owner, POLICY, name, body, region)


def _metadata(entries: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return them as Google wants them: a list as JSON, within a text."""
    return {_SETTINGS: json.dumps(entries, separators=(",", ":"))}


def _seconds(value: float) -> str:
    return f"{value:g}s"


__all__ = [
    "AUTHZ",
    "COLLECTIONS",
    "METADATA_BYTES",
    "POLICY",
    "TRAFFIC",
    "authz_extension",
    "content_policy",
    "models_of",
    "part",
    "settings_of_models",
    "traffic_extension",
]
