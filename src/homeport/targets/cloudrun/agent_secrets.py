"""Secrets of a project's own that the agent's container is given: its account may read these, and no others for longer."""

from __future__ import annotations

from collections.abc import Iterable

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google, IamResource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.service import ServiceRole, role_of
from homeport.targets.cloudrun.containers import secrets_of
from homeport.targets.cloudrun.inventory import Inventory
from homeport.targets.cloudrun.names import Names

READER = "roles/secretmanager.secretAccessor"


def readers(google: Google, names: Names, secrets: Iterable[str]) -> list[Grant]:
    """Return what lets the agent's account read these secrets, each by its name, which nothing of homeport makes."""
    runs_as = names.companion_account(ServiceRole.AGENT)
    return [
        Grant(
            google=google,
            role=READER,
            member=f"serviceAccount:{names.email(runs_as)}",
            on=IamResource(api="secretmanager", path=f"v1/projects/{names.project}/secrets/{one}"),
            known_as=f"secret/{one}",
            needs=("apis", f"service-account/{runs_as}"),
        )
        for one in sorted(set(secrets))
    ]


async def unwanted_readers(google: Google, names: Names, wanted: Iterable[str]) -> list[Grant]:
    """Return what lets the agent's account read secrets that its service was ever given, and that are `wanted` no more."""
    given = await ever_given(google, names.full(names.companion(ServiceRole.AGENT)))
    return readers(google, names, given - set(wanted))


async def ever_given(google: Google, service: str) -> frozenset[str]:
    """
    Return the names of the secrets that the revisions of a service (`projects/…/services/NAME`) are given.

    Each revision stays as long as its service, so what one had is known also where a change was broken off that should have
    taken it back.
    """
    found: set[str] = set()
    try:
        live = await google.get("run", f"v2/{service}")
        found.update(secrets_of(live.get("template", {})))
        async for one in google.pages("run", f"v2/{service}/revisions", "revisions"):
            found.update(secrets_of(one))
    except (NotFound, ApiDisabled):
        pass
    return frozenset(one.rpartition("/")[2] for one in found)


async def perhaps_given(google: Google, name: str, inventory: Inventory) -> frozenset[str]:
    """
    Return the secrets on which the agent's account of the endpoint `name` may have a grant: those that its service was given.

    Where that is gone and the account is not, as after a `down` that was killed, nobody knows any more: then all secrets that
    no endpoint made.
    """
    mine = inventory.of(name)
    services = [one for one in mine if one.is_part and role_of(one.body) == ServiceRole.AGENT]
    found: set[str] = set()
    for one in services:
        path = f"projects/{google.project}/locations/{one.region}/services/{one.name}"
        found |= await ever_given(google, path)
    account = Names(name=name, project=google.project, region="").companion_account(ServiceRole.AGENT)
    if not services and any((one.kind, one.name) == ("service account", account) for one in mine):
        found |= {one.name for one in inventory.things if one.kind == "secret" and not one.endpoint}
    return frozenset(found)
