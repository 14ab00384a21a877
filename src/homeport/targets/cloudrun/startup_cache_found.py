"""What there is of a startup cache in a project, found again by its mark: whoever may write it, and a job that was left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.rest import Address, RestResource
from homeport.resources.google.service_account import account
from homeport.targets.cloudrun.inventory import Thing
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_spec import CACHE_LABEL
from homeport.targets.cloudrun.startup_cache import cache_grants
from homeport.targets.cloudrun.startup_cache_kinds import JOB


async def unwanted_cache(google: Google, names: Names, *, wanted: bool) -> list[Resource]:
    """
    Return who could still write caches once the file wants none, to be taken away.

    What was written stays until the endpoint goes: a rollback goes to a revision that reads it. It is looked for where the
    service says that it had a cache once.
    """
    if wanted or not await _had_one(google, names):
        return []
    maker = replace(account(google, names.name, names.cacher, ""), wanted={})
    grants = [one for one in cache_grants(google, names) if f"/{names.cacher}/" in one.id]
    return [maker, *(replace(one, needs=(maker.id,)) for one in grants)]


def _job(google: Google, name: str, thing: Thing) -> RestResource:
    parent = f"v2/projects/{google.project}/locations/{thing.region}/jobs"
    return RestResource(
        google=google,
        name=name,
        id=f"job/{thing.name}",
        kind=JOB,
        address=Address(api="run", path=f"{parent}/{thing.name}", made_at=parent),
        wanted={},
    )


MAKE: Mapping[str, Callable[[Google, str, Thing], RestResource]] = {JOB: _job}
"""How a resource is made of what was found: enough of it to be read and taken away."""


async def _had_one(google: Google, names: Names) -> bool:
    service = await labels_there(google, names)
    return service is not None and CACHE_LABEL in service


async def labels_there(google: Google, names: Names) -> Mapping[str, str] | None:
    """Return the labels of the endpoint's service; None where there is none."""
    try:
        service = await google.get("run", f"v2/{names.service}")
    except (NotFound, ApiDisabled):
        return None
    return dict(service.get("labels", {}))
