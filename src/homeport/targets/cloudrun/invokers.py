"""Who may call the model's service: those whom the file names and services of the endpoint, and nobody else."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google, IamResource, policy
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.service import ServiceRole
from homeport.spec import Spec
from homeport.targets.cloudrun.names import Names

INVOKERS = ("roles/run.servicesInvoker", "roles/run.invoker")
"""Roles that let somebody call a service: the one that homeport grants, and the older one that people grant by hand."""

LETS_CALL = frozenset(
    {
        *INVOKERS,
        "roles/run.admin",
        "roles/run.developer",
        "roles/run.serviceAgent",
        "roles/editor",
        "roles/owner",
    }
)
"""Google's own roles with `run.routes.invoke`."""
_EVERYBODY = "allUsers"
"""`allAuthenticatedUsers` are let in by a token, too, and have a name by it."""


def callers(google: Google, spec: Spec, names: Names) -> list[Grant]:
    """Return the grants of those who are named, once something verified serves."""
    return [
        _grant(google, names, INVOKERS[0], member, needs=(f"release/{names.name}",))
        for member in spec.access.callers
    ]


class Openness(Enum):
    """Whether Cloud Run lets everybody call a service, without a token."""

    CLOSED = "is closed"
    OPEN = "is open"
    PERHAPS = "may be open"
    """Everybody has a role of which it is not known here whether it lets them call."""


async def openness(google: Google, path: str) -> Openness:
    """Return whether Cloud Run asks nobody for a token at the service `path`. Raises whatever keeps that from being read."""
    if (await google.get("run", f"v2/{path}")).get("invokerIamDisabled"):
        return Openness.OPEN
    held = await policy.read(google, IamResource(api="run", path=f"v2/{path}"))
    roles = {
        binding["role"] for binding in held.get("bindings", ()) if _EVERYBODY in binding.get("members", ())
    }
    if roles & LETS_CALL:
        return Openness.OPEN
    return Openness.PERHAPS if roles else Openness.CLOSED


async def unexpected_invokers(google: Google, names: Names, callers: Collection[str]) -> list[Grant]:
    """
    Return the grants that others than `callers` have on the model's service, such as that of somebody who was
    named before. What an account of the endpoint's own has goes last, after what runs as it: that serves until then.
    """
    try:
        live = await policy.read(google, IamResource(api="run", path=f"v2/{names.service}"))
    except (NotFound, ApiDisabled):
        return []
    named = {member.casefold() for member in callers}
    own = own_members(names)
    return [
        _grant(google, names, binding["role"], member, runs_as=own.get(member.casefold(), ""))
        for binding in live.get("bindings", ())
        if binding["role"] in INVOKERS and not binding.get("condition")
        for member in binding.get("members", ())
        if member.casefold() not in named
    ]


def own_members(names: Names) -> dict[str, str]:
    """
    Return the accounts of the endpoint's own that may be let in to the model, by the member that each is in lower case: of services
    beside it, and of an API gateway. One that is wanted no more may call it until what runs as it has gone: after the proof of what
    serves next, which so takes it for no stranger.
    """
    beside = (names.companion_account(role) for role in ServiceRole if role is not ServiceRole.MODEL)
    return {f"serviceaccount:{names.email(id_)}".casefold(): id_ for id_ in (*beside, names.edge_account)}


def _grant(
    google: Google, names: Names, role: str, member: str, needs: tuple[str, ...] = (), runs_as: str = ""
) -> Grant:
    """Return a grant on the model's service; `runs_as` is the endpoint's own account that it goes before, '' for none."""
    make = ServingGrant if runs_as else Grant
    return make(
        google=google,
        role=role,
        member=member,
        on=IamResource(api="run", path=f"v2/{names.service}"),
        known_as=f"service/{names.name}",
        needs=(*needs, f"service-account/{runs_as}") if runs_as else needs,
    )
