"""The endpoints of a project on Cloud Run as one looks at them again and again: none is woken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from homeport.engines.names import NAMES
from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.listing import ListedEndpoint
from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.observe.live_figures import LiveFigures, instances, live_figures
from homeport.observe.query import of_project
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.targets.cloudrun.opening import door_for, settings_of

_NONE = "Cloud Monitoring has no sample of it: no instance runs, or its file has no [observe]"


async def endpoints(file: Path, options: OpenOptions) -> LiveListing:
    """Return every endpoint of the project by its mark, and what could not be read. Raises what `homeport list --on cloudrun` raises."""
    settings = await settings_of(file)
    async with await door_for(settings, options) as door:
        listed, unread = await list_endpoints(door)
        engines = {endpoint.engine for endpoint in listed if endpoint.engine in NAMES}
        figures, counts, why = await _figures(door, engines)
    return LiveListing(
        endpoints=tuple(_live(endpoint, figures, counts, why) for endpoint in listed),
        unread=tuple(failure.text for failure in unread),
    )


async def _figures(
    google: Google, engines: set[str]
) -> tuple[Mapping[tuple[str, str], LiveFigures], Mapping[str, float], str]:
    """Return what is known by engine and name, how many instances there are by name, and why not more is."""
    api, names = of_project(google), {engine: names_on_cloud_run(engine) for engine in engines}
    try:
        answers = await asyncio.gather(*(live_figures(api, known) for known in names.values()))
        counts = await instances(api) if engines else {}
    except NoCredentials:
        raise
    except HomeportError as error:
        return {}, {}, f"its figures cannot be read from Cloud Monitoring: {error}"
    by_endpoint = {
        (engine, name): figures
        for engine, by_name in zip(names, answers, strict=True)
        for name, figures in by_name.items()
    }
    return by_endpoint, counts, _NONE


def _live(
    endpoint: ListedEndpoint,
    figures: Mapping[tuple[str, str], LiveFigures],
    counts: Mapping[str, float],
    why: str,
) -> LiveEndpoint:
    measured = figures.get((endpoint.engine, endpoint.name))
    return LiveEndpoint(
        name=endpoint.name,
        on="cloudrun",
        state=endpoint.state,
        model=endpoint.model,
        engine=endpoint.engine,
        url=endpoint.url,
        region=endpoint.region,
        usd_per_hour=endpoint.usd_per_hour,
        instances=counts.get(endpoint.name),
        snapshot=measured.snapshot if measured else None,
        rates=measured.rates if measured else None,
        unknown="" if measured else why,
    )
