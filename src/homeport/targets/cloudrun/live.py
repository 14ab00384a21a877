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
from homeport.observe.live_figures import LiveFigures, Where, instances, live_figures
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
) -> tuple[Mapping[tuple[str, Where], LiveFigures], Mapping[Where, float], str]:
    """Return what is known by engine and place, how many instances there are by place, and why not more is."""
    api, names = of_project(google), {engine: names_on_cloud_run(engine) for engine in engines}
    try:
        answers = await asyncio.gather(*(live_figures(api, known) for known in names.values()))
        counts = await instances(api) if engines else {}
    except NoCredentials:
        raise
    except HomeportError as error:
        return {}, {}, f"its figures cannot be read from Cloud Monitoring: {error}"
    by_endpoint = {
        (engine, where): figures
        for engine, by_place in zip(names, answers, strict=True)
        for where, figures in by_place.items()
    }
    return by_endpoint, counts, _NONE


def _live(
    endpoint: ListedEndpoint,
    figures: Mapping[tuple[str, Where], LiveFigures],
    counts: Mapping[Where, float],
    why: str,
) -> LiveEndpoint:
    where = (endpoint.name, endpoint.region)
    measured = figures.get((endpoint.engine, where))
    return LiveEndpoint(
        name=endpoint.name,
        on="cloudrun",
        state=endpoint.state,
        model=endpoint.model,
        engine=endpoint.engine,
        url=endpoint.url,
        region=endpoint.region,
        usd_per_hour=endpoint.usd_per_hour,
        instances=counts.get(where),
        snapshot=measured.snapshot if measured else None,
        rates=measured.rates if measured else None,
        unknown="" if measured else why,
    )
