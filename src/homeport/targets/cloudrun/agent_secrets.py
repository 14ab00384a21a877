"""Secrets of a project's own that the agent's container is given: its account may read these, and no others for longer."""

from __future__ import annotations

from collections.abc import Iterable

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google, IamResource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.service import ServiceRole
from homeport.targets.cloudrun.containers import secrets_of
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
    """Return what lets the agent's account read secrets that its service is given, and that are `wanted` no more."""
    try:
        live = await google.get("run", f"v2/{names.full(names.companion(ServiceRole.AGENT))}")
    except (NotFound, ApiDisabled):
        return []
    given = {one.rpartition("/")[2] for one in secrets_of(live.get("template", {}))}
    return readers(google, names, given - set(wanted))
