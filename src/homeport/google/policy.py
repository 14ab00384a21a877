"""
Who may do what on a thing: read, changed and written under its etag, again while somebody else is quicker. Changes
by one client to one policy wait for each other.

`grant` and `revoke` add and remove the members they are given and nothing else. Other members, other roles,
conditions and audit settings stay as they are, and nothing is written where nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from homeport.google.retry import while_conflicting
from homeport.json_types import Json, JsonObject

if TYPE_CHECKING:
    from homeport.google.client import Google

_VERSION = 3
Policy = Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantCondition:
    """When a grant holds."""

    title: str
    expression: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A role for some members, such as `serviceAccount:NAME@PROJECT.iam.gserviceaccount.com`."""

    role: str
    members: tuple[str, ...]
    condition: GrantCondition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IamResource:
    """
    A thing that has a policy.

        Guarded(api="secretmanager", path="v1/projects/p/secrets/s")
        Guarded(api="storage", path="storage/v1/b/bucket")
        Guarded(api="cloudresourcemanager", path="v3/projects/p")
        Guarded(api="iam", path="v1/projects/p/serviceAccounts/NAME@p.iam.gserviceaccount.com")
    """

    api: str
    """`cloudresourcemanager`, `storage`, `secretmanager`, `artifactregistry`, `run`, `iap` or `iam`."""
    path: str
    """The thing's own path, with its version."""


async def grant(google: Google, thing: IamResource, bindings: Iterable[Binding]) -> bool:
    """Let all of `bindings` hold; says whether something had to be written."""
    every = tuple(bindings)
    return await _changed(google, thing, lambda policy: granted(policy, every))


async def revoke(google: Google, thing: IamResource, bindings: Iterable[Binding]) -> bool:
    """Let none of `bindings` hold; says whether something had to be written."""
    unwanted = tuple(bindings)
    return await _changed(google, thing, lambda policy: revoked(policy, unwanted))


async def read(google: Google, thing: IamResource) -> Json:
    """Return the policy as it is, with its conditions and its etag."""
    if thing.api == "storage":
        return await google.get("storage", f"{thing.path}/iam", optionsRequestedPolicyVersion=_VERSION)
    if thing.api in {"cloudresourcemanager", "iap"}:
        body = {"options": {"requestedPolicyVersion": _VERSION}}
        return await google.post(thing.api, f"{thing.path}:getIamPolicy", body, repeatable=True)
    options = {"options.requestedPolicyVersion": _VERSION}
    if thing.api == "iam":
        return await google.post(thing.api, f"{thing.path}:getIamPolicy", repeatable=True, **options)
    return await google.get(thing.api, f"{thing.path}:getIamPolicy", **options)


def holds(policy: Policy, bindings: Iterable[Binding]) -> bool:
    """Return True if all of `bindings` hold. The version that a policy is read back as says nothing of that."""
    return bool(granted(policy, bindings).get("bindings", ()) == policy.get("bindings", ()))


def conditions_of(policy: Policy, role: str, member: str) -> tuple[GrantCondition | None, ...]:
    """Return the conditions under which `member` has `role`, None for without one; () where it has it in no way."""
    return tuple(
        _condition(binding.get("condition"))
        for binding in policy.get("bindings", ())
        if binding.get("role") == role
        and folded(member) in {folded(other) for other in binding.get("members", ())}
    )


def granted(policy: Policy, bindings: Iterable[Binding]) -> JsonObject:
    """Return `policy` with `bindings`; equal to it where they hold already."""
    held = [dict(binding) for binding in policy.get("bindings", ())]
    for wanted in bindings:
        matching = [binding for binding in held if _matches(binding, wanted)]
        has = {folded(member) for binding in matching for member in binding.get("members", ())}
        missing = [member for member in dict.fromkeys(wanted.members) if folded(member) not in has]
        if not missing:
            continue
        if matching:
            matching[0]["members"] = [*matching[0].get("members", ()), *missing]
        else:
            held.append(_new(wanted, missing))
    conditional = any("condition" in binding for binding in held)
    version = {"version": _VERSION} if conditional and policy.get("version", 1) < _VERSION else {}
    return {**policy, **version, "bindings": held} if held or "bindings" in policy else dict(policy)


def revoked(policy: Policy, bindings: Iterable[Binding]) -> JsonObject:
    """Return `policy` without `bindings`; equal to it where they do not hold."""
    held = [dict(binding) for binding in policy.get("bindings", ())]
    for unwanted in bindings:
        going = {folded(member) for member in unwanted.members}
        for binding in held:
            if _matches(binding, unwanted) and going & {
                folded(member) for member in binding.get("members", ())
            }:
                binding["members"] = [member for member in binding["members"] if folded(member) not in going]
    left = [
        binding
        for binding, before in zip(held, policy.get("bindings", ()), strict=True)
        if binding.get("members") or binding == before
    ]
    return {**policy, "bindings": left} if "bindings" in policy else dict(policy)


def folded(member: str) -> str:
    """Return the member in lower case where Google ignores case: e-mails and domains, not principals."""
    return member.lower() if member.startswith(("user:", "serviceAccount:", "group:", "domain:")) else member


async def _changed(
    google: Google, thing: IamResource, change: Callable[[Policy], dict[str, Any]]
) -> bool:  # Any: JSON
    async def cycle() -> bool:
        before = await read(google, thing)
        after = change(before)
        if after.get("bindings", ()) == before.get("bindings", ()):
            return False
        if thing.api == "storage":
            await google.put("storage", f"{thing.path}/iam", after)
        else:
            await google.post(thing.api, f"{thing.path}:setIamPolicy", {"policy": after}, repeatable=True)
        return True

    async with google.in_turn(thing):
        return await while_conflicting(cycle)


def _matches(binding: Mapping[str, Json], wanted: Binding) -> bool:
    return (
        bool(binding.get("role") == wanted.role) and _condition(binding.get("condition")) == wanted.condition
    )


def _condition(raw: Mapping[str, Json] | None) -> GrantCondition | None:
    if not raw:
        return None
    return GrantCondition(
        title=str(raw.get("title", "")),
        expression=str(raw.get("expression", "")),
        description=str(raw.get("description", "")),
    )


def _new(wanted: Binding, members: list[str]) -> JsonObject:
    added: JsonObject = {"role": wanted.role, "members": members}
    if wanted.condition is not None:
        condition = {"title": wanted.condition.title, "expression": wanted.condition.expression}
        if wanted.condition.description:
            condition["description"] = wanted.condition.description
        added["condition"] = condition
    return added
