"""Secrets of a project's own that the agent's container is given: its account may read these, and no others for longer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from homeport.errors import ApiDisabled, NotFound, PermissionDenied
from homeport.google import Google, IamResource
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.service import ServiceRole, role_of
from homeport.resources.google.service_account import account
from homeport.targets.cloudrun.containers import secrets_of
from homeport.targets.cloudrun.inventory import Inventory
from homeport.targets.cloudrun.names import Names

READER = "roles/secretmanager.secretAccessor"


def readers(google: Google, names: Names, secrets: Iterable[str]) -> list[Grant]:
    """Return what lets the agent's account read these secrets, each by its name; homeport makes none of them."""
    runs_as = names.companion_account(ServiceRole.AGENT)
    return [
        ServingGrant(
            google=google,
            role=READER,
            member=f"serviceAccount:{names.email(runs_as)}",
            on=IamResource(api="secretmanager", path=f"v1/projects/{names.project}/secrets/{secret}"),
            known_as=f"secret/{secret}",
            needs=("apis", f"service-account/{runs_as}"),
        )
        for secret in sorted(set(secrets))
    ]


async def unwanted_readers(
    google: Google, names: Names, wanted: Iterable[str], *, stays: bool
) -> list[Grant]:
    """
    Return what lets the agent's account read secrets that are no longer `wanted`.

    The revisions of its service tell which it was given, and go with it: what it was granted goes later, and may be left. So while
    the account is there each secret of the project is looked at. Raises what keeps one from being read; it is passed over where
    the agent `stays`, since the account goes on telling of it.
    """
    given = await secrets_of_revisions(google, names.full(names.companion(ServiceRole.AGENT)))
    held = await _secrets_that_let_in(google, names, passes_over=stays)
    return readers(google, names, ((given or frozenset()) | held) - set(wanted))


async def _secrets_that_let_in(google: Google, names: Names, *, passes_over: bool) -> frozenset[str]:
    """Return the secrets of the project that the agent's account may read; none without an account that homeport made."""
    runs_as = account(google, names.name, names.companion_account(ServiceRole.AGENT), "")
    live = await runs_as.read()
    if live is None or not runs_as.is_managed(live):
        return frozenset()

    async def lets_in(grant: Grant) -> bool:
        try:
            return await grant.read() is not None
        except PermissionDenied:
            if passes_over:
                return False
            raise

    parent = f"v1/projects/{names.project}/secrets"
    try:
        ids = [
            str(found["name"]).rpartition("/")[2]
            async for found in google.pages("secretmanager", parent, "secrets")
        ]
    except ApiDisabled:
        return frozenset()
    except PermissionDenied:
        if passes_over:
            return frozenset()
        raise
    secret_ids = sorted(set(ids))
    answers = await asyncio.gather(*(lets_in(grant) for grant in readers(google, names, secret_ids)))
    return frozenset(secret for secret, held in zip(secret_ids, answers, strict=True) if held)


async def secrets_of_revisions(google: Google, service: str) -> frozenset[str] | None:
    """
    Return the names of the secrets that the revisions of a service (`projects/…/services/NAME`) are given; None where there is none.

    Each revision stays as long as its service, so what one was given is still known after a change that should have taken it
    back was broken off.
    """
    secrets: set[str] = set()
    try:
        live = await google.get("run", f"v2/{service}")
        secrets.update(secrets_of(live.get("template", {})))
        async for revision in google.pages("run", f"v2/{service}/revisions", "revisions"):
            secrets.update(secrets_of(revision))
    except (NotFound, ApiDisabled):
        return None
    return frozenset(secret.rpartition("/")[2] for secret in secrets)


async def possible_secrets(google: Google, name: str, inventory: Inventory) -> frozenset[str]:
    """
    Return the secrets on which the agent's account of the endpoint `name` may have a grant: those that its service was given, and
    while the account is there all of the project: what an agent before this one was granted may be left.
    """
    mine = inventory.of(name)
    services = [thing for thing in mine if thing.is_part and role_of(thing.body) == ServiceRole.AGENT]
    secrets: set[str] = set()
    for service in services:
        path = f"projects/{google.project}/locations/{service.region}/services/{service.name}"
        secrets |= await secrets_of_revisions(google, path) or frozenset()
    runs_as = account_id(google, name)
    if any((thing.kind, thing.name) == ("service account", runs_as) for thing in mine):
        secrets |= {thing.name for thing in inventory.things if thing.kind == "secret"}
    return frozenset(secrets)


def account_id(google: Google, name: str) -> str:
    """Return the id of the account that the agent of the endpoint `name` runs as."""
    return Names(name=name, project=google.project, region="").companion_account(ServiceRole.AGENT)
