"""What the endpoints of a project were used for: Cloud Monitoring's figures, with models and prices of what carries our mark."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from homeport.engines.names import NAMES
from homeport.google import Google
from homeport.listing import ListedEndpoint
from homeport.observe.query import of_project
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.targets.cloudrun.opening import door_for, settings_of
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.usage.cloud import CloudUsage, by_day, by_revision
from homeport.usage.report import NOT_KNOWN, By, UsageRow


async def usage(file: Path, options: OpenOptions, *, by: By, days: int, name: str | None) -> list[UsageRow]:
    """
    Return what each endpoint of the project was used for, by `by`; who called is not known there.

    Raises what `homeport list --on cloudrun` raises, and whatever keeps the metrics from being read.
    """
    settings = await settings_of(file)
    async with await door_for(settings, options) as door:
        endpoints, _ = await list_endpoints(door)
        here = {
            endpoint.name: endpoint
            for endpoint in endpoints
            if endpoint.url and name in {None, endpoint.name}
        }
        if not here:
            return []
        api, names = of_project(door), [names_on_cloud_run(engine) for engine in NAMES]
        if by == "day":
            records = await by_day(api, names, days=days, now=time.time())
            return [
                _row(record, record.when, here[record.service])
                for record in records
                if record.service in here
            ]
        records = await by_revision(api, names, days=days)
        mine = [record for record in records if record.service in here]
        models = await _models(door, here) if by == "model" else {}
    return _together(mine, models, here)


async def _models(google: Google, here: dict[str, ListedEndpoint]) -> dict[tuple[str, str], str]:
    """Return the model of each revision that there still is."""
    models: dict[tuple[str, str], str] = {}

    async def read(endpoint: ListedEndpoint) -> None:
        path = f"v2/projects/{google.project}/locations/{endpoint.region}/services/{endpoint.name}/revisions"
        async for revision in google.pages("run", path, "revisions"):
            short = str(revision["name"]).rpartition("/")[2]
            models[endpoint.name, short] = str(revision.get("annotations", {}).get(f"{ANNOTATION}model", ""))

    await asyncio.gather(*(read(endpoint) for endpoint in here.values()))
    return models


def _together(
    records: list[CloudUsage], models: dict[tuple[str, str], str], here: dict[str, ListedEndpoint]
) -> list[UsageRow]:
    groups: dict[tuple[str, str], dict[str, float]] = {}
    for record in records:
        sums = groups.setdefault(
            (models.get((record.service, record.revision)) or NOT_KNOWN, record.service), {}
        )
        for figure, value in record.figures.items():
            sums[figure] = sums.get(figure, 0.0) + value
    return [
        _row(CloudUsage(service, "", "", figures), key, here[service])
        for (key, service), figures in sorted(groups.items())
    ]


def _row(record: CloudUsage, key: str, endpoint: ListedEndpoint) -> UsageRow:
    """Return a line. Cloud Run's own counts are whole where there are any; tokens only where `[observe]` sends them."""
    figures = record.figures
    seconds = figures.get("seconds", 0.0)
    price = endpoint.usd_per_hour
    return UsageRow(
        key=key,
        endpoint=record.service,
        on="cloudrun",
        requests=round(figures.get("requests", 0.0)),
        prompt_tokens=_rounded(figures.get("prompt_tokens")),
        output_tokens=_rounded(figures.get("output_tokens")),
        starts=round(figures.get("starts", 0.0)),
        hours=seconds / 3600,
        usd=None if price is None else seconds / 3600 * price,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(round(value))
