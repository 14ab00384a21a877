"""Whom Identity-Aware Proxy lets in to a service, by its own policy for it."""

from __future__ import annotations

from homeport.errors import HomeportError
from homeport.google import Google, policy
from homeport.json_types import Json
from homeport.targets.cloudrun.iap.entry import ACCESSOR, COME_IN, resource_of
from homeport.targets.cloudrun.verification.observed_deployment import Entrant


async def entering(google: Google, service_path: str) -> tuple[Entrant, ...]:
    """
    Return whom the proxy's policy for a service lets in, by roles that do so. Raises what keeps the policy from being read.

    A role of which that cannot be read is taken for one that does, and says so.
    """
    bindings = (await policy.read(google, await resource_of(google, service_path))).get("bindings", ())
    lets_in = {role: await _lets_in(google, role) for role in {str(one["role"]) for one in bindings}}
    return tuple(
        Entrant(member=member, role=role, condition=_title(binding), unread=unread)
        for binding in bindings
        if (unread := lets_in[role := str(binding["role"])]) is not None
        for member in binding.get("members", ())
    )


async def _lets_in(google: Google, role: str) -> str | None:
    """Return '' for a role that lets people in, None for one that does not; else why that is not known."""
    if role == ACCESSOR:
        return ""
    try:
        body = await google.get("iam", f"v1/{role}")
    except HomeportError as error:
        return str(error)
    return "" if COME_IN in body.get("includedPermissions", ()) and not body.get("deleted") else None


def _title(binding: Json) -> str:
    condition = binding.get("condition") or {}
    return str(condition.get("title") or condition.get("expression") or "")
