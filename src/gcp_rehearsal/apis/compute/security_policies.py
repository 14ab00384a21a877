"""Cloud Armor: security policies, and the rules that are put into them one by one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.apis.compute.references import changed
from gcp_rehearsal.context import Call, Handler
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_LAST = 2**31 - 1
"""The priority of the rule that every policy has."""
_ACTION = re.compile(r"allow|deny\((?:403|404|502)\)|deny|throttle|rate_based_ban|redirect|goto_next")
_LIMITED = ("throttle", "rate_based_ban")
_INTERVALS = frozenset((10, 30, 60, 120, 180, 240, 270, 300, 600, 900, 1200, 1800, 2700, 3600))
_MOST = {"throttle": 1_000_000, "rate_based_ban": 10_000}


def prepare(body: JsonObject) -> None:
    """Check the rules that a new policy comes with, and give it its last one. Raises `ApiError`."""
    rules = body.get("rules") or []
    body["rules"] = []
    for number, rule in enumerate(rules):
        _insert(body["rules"], rule, f"resource.rules[{number}]")
    if not any(rule["priority"] == _LAST for rule in body["rules"]):
        if rules:
            raise invalid(
                f"Invalid value for field 'resource.rules': a rule of priority {_LAST} that matches everything is required."
            )
        body["rules"].append({
            "kind": "compute#securityPolicyRule", "description": "default rule", "priority": _LAST, "action": "allow",
            "preview": False, "match": {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}},
        })  # fmt: skip


def add_rule(call: Call) -> Json:
    """Put one more rule into a policy."""
    policy = generic.existing(call)
    rules = [dict(rule) for rule in policy.body["rules"]]
    _insert(rules, call.body, "resource")
    return _with_rules(call, policy, rules)


def get_rule(call: Call) -> Json:
    """Return the rule of one priority. Raises `ApiError`."""
    return _at(generic.existing(call).body["rules"], _priority(call))


def patch_rule(call: Call) -> Json:
    """Change what is sent of one rule."""
    policy = generic.existing(call)
    rules = [dict(rule) for rule in policy.body["rules"]]
    old = _at(rules, _priority(call))
    rules.remove(old)
    sent = {key: value for key, value in call.body.items() if value is not None}
    if sent.get("priority", old["priority"]) != old["priority"] and old["priority"] == _LAST:
        raise invalid("Invalid value for field 'resource.priority': the default rule's cannot be changed.")
    _insert(rules, {**old, **sent}, "resource")
    return _with_rules(call, policy, rules)


def remove_rule(call: Call) -> Json:
    """Take one rule out of a policy; its last one stays."""
    policy, priority = generic.existing(call), _priority(call)
    if priority == _LAST:
        raise invalid(f"Invalid value for field 'priority': '{_LAST}'. Cannot remove the default rule.")
    gone = _at(policy.body["rules"], priority)
    return _with_rules(call, policy, [rule for rule in policy.body["rules"] if rule is not gone])


def _with_rules(call: Call, policy: StoredResource, rules: list[JsonObject]) -> Json:
    if call.query.get("validateOnly"):
        return changed(call, policy, {})
    return changed(call, policy, {"rules": rules})


def _priority(call: Call) -> int:
    return int(call.query.get("priority") or 0)


def _at(rules: list[JsonObject], priority: int) -> JsonObject:
    for rule in rules:
        if rule["priority"] == priority:
            return rule
    raise invalid(
        f"Invalid value for field 'priority': '{priority}'. The security policy does not contain a rule at priority "
        f"{priority}."
    )


def _insert(rules: list[JsonObject], sent: Mapping[str, Json], field: str) -> None:
    rule = {"kind": "compute#securityPolicyRule", "preview": False, **sent}
    rule["priority"] = int(rule.get("priority") or 0)
    if not 0 <= rule["priority"] <= _LAST:
        raise invalid(f"Invalid value for field '{field}.priority': '{rule['priority']}'.")
    if any(other["priority"] == rule["priority"] for other in rules):
        raise ApiError(
            400,
            f"Invalid value for field '{field}.priority': '{rule['priority']}'. Cannot have rules with the same "
            "priorities.",
            reason="invalid",
        )
    _check(rule, field)
    rules.append(rule)
    rules.sort(key=lambda other: int(other["priority"]))


def _check(rule: JsonObject, field: str) -> None:
    action = str(rule.get("action") or "")
    if not _ACTION.fullmatch(action):
        raise invalid(f"Invalid value for field '{field}.action': '{action}'. The action is not supported.")
    match = rule.get("match") or {}
    criteria = [
        bool((match.get("config") or {}).get("srcIpRanges")),
        bool((match.get("expr") or {}).get("expression")),
    ]
    if sum(criteria) != 1 and not rule.get("networkMatch"):
        raise invalid(
            f"Invalid value for field '{field}.match': ''. Exactly one of config.srcIpRanges and expr must be set."
        )
    options = rule.get("rateLimitOptions")
    if (action in _LIMITED) != bool(options):
        raise invalid(
            f"Invalid value for field '{field}.rateLimitOptions': ''. It must be set for actions throttle and "
            "rate_based_ban, and for no others."
        )
    if options:
        _check_limit(action, options, f"{field}.rateLimitOptions")


def _check_limit(action: str, options: JsonObject, field: str) -> None:
    threshold = options.get("rateLimitThreshold") or {}
    if int(threshold.get("intervalSec") or 0) not in _INTERVALS:
        raise invalid(
            f"Invalid value for field '{field}.rateLimitThreshold.intervalSec': '{threshold.get('intervalSec')}'."
        )
    if not 0 < int(threshold.get("count") or 0) <= _MOST[action]:
        raise invalid(
            f"Invalid value for field '{field}.rateLimitThreshold.count': '{threshold.get('count')}'."
        )
    if options.get("conformAction") not in {None, "allow"}:
        raise invalid(f"Invalid value for field '{field}.conformAction': '{options['conformAction']}'.")
    if options.get("enforceOnKey") in {"HTTP_HEADER", "HTTP_COOKIE"} and not options.get("enforceOnKeyName"):
        raise invalid(
            f"Invalid value for field '{field}.enforceOnKeyName': ''. It names the header or cookie."
        )
    options.setdefault("conformAction", "allow")


_POLICIES = ("securityPolicies", "regionSecurityPolicies")
HANDLERS: Mapping[str, Handler] = {
    f"compute.{policies}.{action}": handler
    for policies in _POLICIES
    for action, handler in (
        ("addRule", add_rule), ("getRule", get_rule), ("patchRule", patch_rule), ("removeRule", remove_rule),
    )
}  # fmt: skip
