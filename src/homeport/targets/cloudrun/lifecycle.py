"""How endpoints on Cloud Run are opened and listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from homeport import google
from homeport.errors import Unsupported
from homeport.listing import Listing
from homeport.naming import ensure_named, is_of
from homeport.results import Status
from homeport.spec import CloudRun, Spec
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun import hub_token
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.foundations import DOMAINS
from homeport.targets.cloudrun.inventory import take_inventory
from homeport.targets.cloudrun.name_rules import ensure_possible
from homeport.targets.cloudrun.names import names_of
from homeport.targets.cloudrun.not_looked_for import not_looked_for
from homeport.targets.cloudrun.opening import door_for, settings_of
from homeport.targets.cloudrun.regions.one_region import CAPABILITIES, CloudRunLifecycle
from homeport.targets.cloudrun.regions.report import check_of
from homeport.targets.cloudrun.regions.several_regions import SeveralRegions
from homeport.targets.cloudrun.regions.unnamed import where_it_stands
from homeport.targets.cloudrun.usage import usage
from homeport.targets.cloudrun.verification.checks import check_names

TABLES = ("cloudrun", "scaling", "access")
FIRST_STEP = "homeport plan --on cloudrun"


@asynccontextmanager
async def open_target(spec: Spec, spec_file: Path, options: OpenOptions) -> AsyncIterator[CloudRunLifecycle]:
    """Give the endpoint of `spec` on Cloud Run, for the logged-in user. Raises `SpecError`, `NoCredentials`."""
    ensure_named(spec, spec_file)
    env = options.env
    project = options.project or (spec.cloudrun or CloudRun()).project or ""
    async with await google.from_env(env, project=project) as door:
        if door.project:
            ensure_possible(names_of(spec, door), DOMAINS)
        at = await where_it_stands(door, spec)
        spec = at.spec
        kind = SeveralRegions if spec.edge is not None and spec.edge.regions else CloudRunLifecycle
        yield kind(
            google=door,
            spec=spec,
            spec_file=spec_file,
            notes=(at.note,) if at.note else (),
            seen=at.seen,
            via=env.get("HOMEPORT_GOOGLE_URL", ""),
            token=options.hub_token,
            env_token=env.get(hub_token.VARIABLE, ""),
            ask_token=options.ask_hub_token,
        )


@asynccontextmanager
async def open_named(name: str, file: Path, options: OpenOptions) -> AsyncIterator[CloudRunLifecycle]:
    """
    Give the endpoint called `name`, of which the marks in the cloud tell: enough to look at it and to take it away.

    Project and region are those of `file`, if there is one. Raises `NoCredentials`; `SpecError` without a project.
    """
    settings = await settings_of(file)
    spec = Spec.model_validate({"name": name, "cloudrun": {"region": settings.region} if settings else {}})
    async with await door_for(settings, options) as door:
        via, own = options.env.get("HOMEPORT_GOOGLE_URL", ""), await asyncio.to_thread(is_of, file, name)
        yield CloudRunLifecycle(google=door, spec=spec, spec_file=file, via=via, by_name=not own, filed=False)


async def listing(file: Path, options: OpenOptions) -> Listing:
    """Return every endpoint of the project by its mark, and what could not be read. Needs no file."""
    settings = await settings_of(file)
    async with await door_for(settings, options) as door:
        inventory = await take_inventory(door)
        endpoints, unread = await list_endpoints(door, inventory)
        return Listing(
            endpoints=endpoints,
            unread=tuple(failure.text for failure in unread),
            not_looked_for=not_looked_for(inventory, unread),
        )


def place(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the project that the environment names, or '', and the region of a file that names none."""
    return {"project": google.project_of(env), "region": CloudRun().region}


def names(options: OpenOptions) -> list[str] | None:
    """Return None: Google knows."""
    del options
    return None


async def statuses(options: OpenOptions) -> list[Status]:
    """Raise `Unsupported`: `homeport.deployment` refuses it before."""
    del options
    raise Unsupported("endpoints on Cloud Run are listed, and looked at one by one")


__all__ = [
    "CAPABILITIES",
    "FIRST_STEP",
    "TABLES",
    "CloudRunLifecycle",
    "check_names",
    "check_of",
    "listing",
    "names",
    "open_named",
    "open_target",
    "place",
    "statuses",
    "usage",
]
