"""Secrets of a project's own that the agent's container is given: its account may read these, and no others for longer."""

from __future__ import annotations

from collections.abc import Iterable

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google, IamResource
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.service import ServiceRole, role_of
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


async def unwanted_readers(google: Google, names: Names, wanted: Iterable[str]) -> list[Grant]:
    """Return what lets the agent's account read secrets that its service was once given, and that are no longer `wanted`."""
    mounted_secrets = await secrets_of_revisions(google, names.full(names.companion(ServiceRole.AGENT)))
    return readers(google, names, mounted_secrets - set(wanted))


async def secrets_of_revisions(google: Google, service: str) -> frozenset[str]:
    """
    Return the names of the secrets that the revisions of a service (`projects/…/services/NAME`) are given.

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
        pass
    return frozenset(secret.rpartition("/")[2] for secret in secrets)


async def possible_secrets(google: Google, name: str, inventory: Inventory) -> frozenset[str]:
    """
    Return the secrets on which the agent's account of the endpoint `name` may have a grant: those that its service was given.

    Where the service is gone and the account is not, as after a `down` that was killed, nobody knows which: then it is all
    secrets that no endpoint made.
    """
    mine = inventory.of(name)
    services = [thing for thing in mine if thing.is_part and role_of(thing.body) == ServiceRole.AGENT]
    secrets: set[str] = set()
    for service in services:
        path = f"projects/{google.project}/locations/{service.region}/services/{service.name}"
        secrets |= await secrets_of_revisions(google, path)
    account = Names(name=name, project=google.project, region="").companion_account(ServiceRole.AGENT)
    if not services and any((thing.kind, thing.name) == ("service account", account) for thing in mine):
        secrets |= {thing.name for thing in inventory.things if thing.kind == "secret" and not thing.endpoint}
    return frozenset(secrets)
