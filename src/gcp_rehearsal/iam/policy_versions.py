"""
The versions of policies: conditions are of version 3, and a caller who reads an older one is shown roles that cannot be set.

As documented on Google's page on policies and their versions: a policy without conditions is read as version 1, whatever
version was asked for, or sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import Json, JsonObject

_WITH_CONDITIONS = 3
_KNOWN = (0, 1, _WITH_CONDITIONS)
_MARK = "_withcond_"


def check(
    policy: Mapping[str, Json], bindings: Sequence[Mapping[str, Json]], before: Mapping[str, Json]
) -> None:
    """Raise `ApiError` 400 for a policy whose version is none, or too low for conditions that it has or had before."""
    version = int(policy.get("version") or 0)
    if version not in _KNOWN:
        raise invalid(
            f"Invalid policy version ({version}): it can be 1 or 3.", ("policy.version", "it can be 1 or 3")
        )
    if version == _WITH_CONDITIONS:
        return
    if any(_MARK in str(binding.get("role")) for binding in bindings):
        raise invalid(
            "A policy that was read as version 1 and has conditions cannot be set: ask for version 3.",
            ("policy.bindings", "a role cannot be changed with its condition left out"),
        )
    if _conditional(bindings) or _conditional(before.get("bindings", ())):
        raise invalid(
            f"Specified policy version ({version or 1}) cannot be less than the existing policy version (3) or hold "
            "conditions: set the version to 3."
        )


def read(call: Call, policy: JsonObject) -> JsonObject:
    """Return a policy in the version that a call asks for, or in a lower one. Raises `ApiError` for none that there is."""
    requested = _requested(call)
    if requested not in _KNOWN:
        raise invalid(
            f"Invalid requested policy version ({requested}): it can be 1 or 3.",
            ("options.requested_policy_version", "it can be 1 or 3"),
        )
    if "bindings" not in policy:
        return policy
    if not _conditional(policy["bindings"]):
        return {**policy, "version": 1}
    if requested == _WITH_CONDITIONS:
        return {**policy, "version": _WITH_CONDITIONS}
    return {**policy, "version": 1, "bindings": [_lowered(binding) for binding in policy["bindings"]]}


def _requested(call: Call) -> int:
    for key in ("options.requestedPolicyVersion", "optionsRequestedPolicyVersion"):
        if call.query.get(key) is not None:
            return int(call.query[key])
    return int((call.body.get("options") or {}).get("requestedPolicyVersion") or 0)


def _conditional(bindings: Sequence[Mapping[str, Json]]) -> bool:
    return any(binding.get("condition") for binding in bindings)


def _lowered(binding: JsonObject) -> JsonObject:
    condition = binding.get("condition")
    if not condition:
        return binding
    mark = sha256(json.dumps(condition, sort_keys=True).encode()).hexdigest()[:20]
    return {"role": f"{binding['role']}{_MARK}{mark}", "members": binding["members"]}
