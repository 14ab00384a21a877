"""Traffic extensions and authorization extensions: chains of callouts that are attached to a load balancer's forwarding rule."""

from __future__ import annotations

from collections.abc import Mapping

from gcp_rehearsal.apis.networkservices import callouts
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_CHAINS, _IN_A_CHAIN = 5, 3
_MODES = ("requestBodySendMode", "responseBodySendMode")


def _prepare_traffic(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    field = "lb_traffic_extension"
    if before is None:
        callouts.check_id(call, "lbTrafficExtensionId")
    scheme = callouts.check_scheme(body, f"{field}.load_balancing_scheme")
    rules = callouts.check_rules(call, body.get("forwardingRules") or [], scheme, f"{field}.forwarding_rules")
    for other in call.cloud.store.of("networkservices", callouts.EXTENSIONS):
        taken = next((rule for rule in rules if callouts.names_rule(call.cloud, other, rule)), None)
        if taken is not None and other is not before:
            raise invalid(
                f"The forwarding rule '{taken.name}' has the extension '{other.name}' already.",
                (f"{field}.forwarding_rules", "one extension for each forwarding rule"),
            )
    chains = body.get("extensionChains") or []
    if not 0 < len(chains) <= _CHAINS:
        raise invalid(f"extension_chains must hold 1 to {_CHAINS}.", (f"{field}.extension_chains", "1 to 5"))
    for number, chain in enumerate(chains):
        _check_chain(call, chain, f"{field}.extension_chains[{number}]")


def _check_chain(call: Call, chain: JsonObject, field: str) -> None:
    callouts.check_name(str(chain.get("name") or ""), f"{field}.name")
    if not (chain.get("matchCondition") or {}).get("celExpression"):
        raise invalid(
            "match_condition is required.", (f"{field}.match_condition.cel_expression", "is required")
        )
    extensions = chain.get("extensions") or []
    if not 0 < len(extensions) <= _IN_A_CHAIN:
        raise invalid(f"extensions must hold 1 to {_IN_A_CHAIN}.", (f"{field}.extensions", "1 to 3"))
    for number, extension in enumerate(extensions):
        where = f"{field}.extensions[{number}]"
        callouts.check_name(str(extension.get("name") or ""), f"{where}.name")
        of_google = callouts.check_callout(call, extension, where)
        if not extension.get("supportedEvents"):
            raise invalid("supported_events is required.", (f"{where}.supported_events", "is required"))
        if of_google and any(extension.get(mode) for mode in _MODES):
            raise invalid(
                "Send modes can be set only where service is a BackendService.", (where, "has a send mode")
            )


def _prepare_authz(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None:
        callouts.check_id(call, "authzExtensionId")
    of_google = callouts.check_callout(call, body, "authz_extension")
    if not of_google:
        callouts.check_scheme(body, "authz_extension.load_balancing_scheme")
    if body.get("wireFormat") and callouts.location(call.name) == "global":
        raise invalid(
            "wire_format is supported for regional extensions only.",
            ("authz_extension.wire_format", "is regional"),
        )


def _remove_authz(call: Call, kept: StoredResource) -> None:
    users = [
        policy for policy in call.cloud.store.of("networksecurity", callouts.POLICIES)
        if kept.name in _named(call, policy.body)
    ]  # fmt: skip
    callouts.refuse_users(call, kept, users)


def _named(call: Call, policy: Mapping[str, Json]) -> list[str]:
    """Return the authorization extensions that a policy asks."""
    custom = (policy.get("customProvider") or {}).get("authzExtension") or {}
    prefix = "//networkservices.googleapis.com/"
    return [call.cloud.by_id(str(name).removeprefix(prefix)) for name in custom.get("resources") or ()]


def _prepare_policy(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    field = "authz_policy"
    if before is None:
        callouts.check_id(call, "authzPolicyId")
    profile = body.get("policyProfile") or "REQUEST_AUTHZ"
    if before is not None and profile != (before.body.get("policyProfile") or "REQUEST_AUTHZ"):
        raise invalid("policy_profile cannot be changed.", (f"{field}.policy_profile", "is immutable"))
    target = body.get("target") or {}
    scheme = callouts.check_scheme(target, f"{field}.target.load_balancing_scheme")
    callouts.check_rules(call, target.get("resources") or [], scheme, f"{field}.target.resources")
    action, custom = body.get("action"), body.get("customProvider") or {}
    if action not in {"ALLOW", "DENY", "CUSTOM", "DENY_BY_DEFAULT"}:
        raise invalid("action is required.", (f"{field}.action", "is required"))
    if (action == "CUSTOM") is not bool(custom):
        raise invalid(
            "custom_provider goes with the action CUSTOM.", (f"{field}.custom_provider", "goes with CUSTOM")
        )
    if profile == "CONTENT_AUTHZ" and action != "CUSTOM":
        raise invalid(
            "Only CUSTOM action is allowed in CONTENT_AUTHZ.", (f"{field}.action", "must be CUSTOM")
        )
    if action in {"ALLOW", "DENY"} and not (body.get("httpRules") or body.get("networkRules")):
        raise invalid(f"At least one rule is required for {action}.", (f"{field}.http_rules", "is required"))
    if custom.get("authzExtension"):
        _check_provider(call, body, profile)


def _check_provider(call: Call, body: JsonObject, profile: str) -> None:
    field = "authz_policy.custom_provider.authz_extension.resources"
    names = _named(call, body)
    if len(names) != 1:
        raise invalid("Exactly one authorization extension is asked.", (field, "must hold one"))
    extension = call.cloud.store.get("networkservices", names[0])
    if extension is None or extension.collection != callouts.AUTHZ_EXTENSIONS:
        raise invalid(f"Resource '{names[0]}' was not found.", (field, "is not there"))
    if callouts.location(names[0]) != callouts.location(call.name):
        raise invalid(f"{names[0]} is in another location.", (field, "must be in the policy's location"))
    armored = callouts.MODEL_ARMOR.fullmatch(str(extension.body.get("service") or ""))
    if armored and profile != "CONTENT_AUTHZ":
        raise invalid(
            "Model Armor can be referenced by a policy with the profile CONTENT_AUTHZ only.",
            ("authz_policy.policy_profile", "must be CONTENT_AUTHZ"),
        )


KINDS: Mapping[str, Kind] = {
    callouts.EXTENSIONS: Kind(prepare=_prepare_traffic, seconds=20.0),
    callouts.AUTHZ_EXTENSIONS: Kind(prepare=_prepare_authz, remove=_remove_authz, seconds=10.0),
    callouts.POLICIES: Kind(prepare=_prepare_policy, seconds=20.0),
}
HANDLERS: Mapping[str, Handler] = {}
