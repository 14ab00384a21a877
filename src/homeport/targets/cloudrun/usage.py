"""What the endpoints of a project were used for: Cloud Monitoring's figures, with models and prices of what carries our mark."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from homeport.engines.names import NAMES
from homeport.errors import HomeportError, NoCredentials
from homeport.gateway.callers import UNKNOWN
from homeport.google import Google
from homeport.listing import ListedEndpoint
from homeport.observe.query import of_project
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.targets.cloudrun.inventory import SERVICES, Unread
from homeport.targets.cloudrun.invokers import lets_everybody_in
from homeport.targets.cloudrun.opening import door_for, settings_of
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.teardown import ensure_known
from homeport.usage.cloud import CloudUsage, by_caller, by_day, by_revision
from homeport.usage.report import NOT_KNOWN, By, UsageReport, UsageRow

_UNCOUNTED = "set callers = true in [observe] and `homeport up --on cloudrun`; what was asked before that stays without a name"
_FORGED = "it {} to everybody, who then may write any name into a request. `homeport verify --on cloudrun` says how, and `homeport up` closes it"
_Here = Mapping[tuple[str, str], ListedEndpoint]
"""The endpoints that are asked for, by name and region: one name may serve in several, each at its own price."""


async def usage(file: Path, options: OpenOptions, *, by: By, days: int, name: str | None) -> UsageReport:
    """
    Return what each endpoint of the project was used for, by `by`, and what could not be read.

    Raises what `homeport list --on cloudrun` raises, `NotRunning` where nothing there carries the mark of `name`, and whatever
    keeps the metrics from being read.
    """
    settings = await settings_of(file)
    async with await door_for(settings, options) as door:
        endpoints, all_unread = await list_endpoints(door)
        unread = [part for part in all_unread if part.kind == SERVICES.kind]
        if name is not None and all(endpoint.name != name for endpoint in endpoints):
            # Nothing of it was seen: whatever could not be read may be its own.
            unread = [*all_unread, *await ensure_known(door, name)]
        here = {
            (endpoint.name, endpoint.region): endpoint
            for endpoint in endpoints
            if endpoint.url and name in {None, endpoint.name}
        }
        rows: list[UsageRow] = []
        notes: list[str] = []
        if here and by == "caller":
            rows, notes, unseen = await _by_caller(door, here, days)
            unread += unseen
        elif here:
            rows, without_model = await _rows(door, here, by, days)
            unread += without_model
    parts = tuple(dict.fromkeys(part.text for part in unread))
    return UsageReport(rows=tuple(rows), unread=parts, notes=tuple(notes))


async def _by_caller(
    google: Google, here: _Here, days: int
) -> tuple[list[UsageRow], list[str], list[Unread]]:
    """Return a line of each caller; one for all, with a reason, where an endpoint does not count by caller or names cannot be believed."""
    counted: dict[tuple[str, str], list[CloudUsage]] = {}
    for record in await by_caller(of_project(google), days=days):
        if (record.service, record.region) in here:
            counted.setdefault((record.service, record.region), []).append(record)
    others = {place: endpoint for place, endpoint in here.items() if place not in counted}
    rows, unread = await _rows(google, others, "caller", days) if others else ([], [])
    notes = [_unnamed(service, region, _UNCOUNTED) for service, region in others]
    for (service, region), records in counted.items():
        why = await _open(google, service, region)
        if isinstance(why, Unread):
            unread.append(why)
        if why:
            notes.append(
                _unnamed(
                    service, region, _FORGED.format("may be open" if isinstance(why, Unread) else "is open")
                )
            )
        rows += _of_callers(records, named=not why)
    return sorted(rows, key=lambda row: (row.endpoint, row.region, row.key)), notes, unread


def _unnamed(service: str, region: str, why: str) -> str:
    return f"who called {service} in {region} is not known: {why}"


async def _open(google: Google, service: str, region: str) -> bool | Unread:
    """Return whether Cloud Run lets everybody in now; what could not be read, where that is not known."""
    try:
        return await lets_everybody_in(
            google, f"projects/{google.project}/locations/{region}/services/{service}"
        )
    except NoCredentials:
        raise
    except HomeportError as error:
        what = f"who may call {service} in {region}"
        return Unread(kind="grant", region=region, what=what, error=error)


def _of_callers(records: list[CloudUsage], *, named: bool) -> list[UsageRow]:
    groups: dict[str, list[CloudUsage]] = {}
    for record in records:
        known = named and record.caller not in {"", UNKNOWN}
        groups.setdefault(record.caller if known else NOT_KNOWN, []).append(record)
    return [row for key, group in groups.items() if (row := _of_one_caller(key, group)).requests]


def _of_one_caller(key: str, records: list[CloudUsage]) -> UsageRow:
    """Return a line. Starts, hours and money are the endpoint's, and nobody's in particular."""

    def total(figure: str) -> float:
        return float(round(sum(record.figures.get(figure, 0.0) for record in records)))

    first = records[0]
    return UsageRow(
        key=key,
        endpoint=first.service,
        on="cloudrun",
        region=first.region,
        requests=total("requests"),
        prompt_tokens=total("prompt_tokens"),
        output_tokens=total("output_tokens"),
        starts=None,
        hours=None,
        partly=("prompt_tokens", "output_tokens") if total("untold") else (),
    )


async def _rows(google: Google, here: _Here, by: By, days: int) -> tuple[list[UsageRow], list[Unread]]:
    api, names = of_project(google), [names_on_cloud_run(engine) for engine in NAMES]
    if by == "day":
        records = await by_day(api, names, days=days, now=time.time())
        mine = [record for record in records if (record.service, record.region) in here]
        return [_row(record, record.when, here[record.service, record.region]) for record in mine], []
    records = await by_revision(api, names, days=days)
    mine = [record for record in records if (record.service, record.region) in here]
    models, unread = await _models(google, here) if by == "model" else ({}, [])
    return _together(mine, models, here), unread


async def _models(google: Google, here: _Here) -> tuple[dict[tuple[str, str, str], str], list[Unread]]:
    """Return the model of each revision that there still is, by service, region and revision, and what could not be read."""
    models: dict[tuple[str, str, str], str] = {}
    unread: list[Unread] = []

    async def read(endpoint: ListedEndpoint) -> None:
        path = f"v2/projects/{google.project}/locations/{endpoint.region}/services/{endpoint.name}/revisions"
        try:
            async for revision in google.pages("run", path, "revisions"):
                short = str(revision["name"]).rpartition("/")[2]
                model = str(revision.get("annotations", {}).get(f"{ANNOTATION}model", ""))
                models[endpoint.name, endpoint.region, short] = model
        except NoCredentials:
            raise
        except HomeportError as error:
            what = f"models of the revisions of {endpoint.name} in {endpoint.region}"
            unread.append(Unread(kind="revision", region=endpoint.region, what=what, error=error))

    await asyncio.gather(*(read(endpoint) for endpoint in here.values()))
    return models, unread


def _together(
    records: list[CloudUsage], models: Mapping[tuple[str, str, str], str], here: _Here
) -> list[UsageRow]:
    groups: dict[tuple[str, str, str], dict[str, float]] = {}
    for record in records:
        model = models.get((record.service, record.region, record.revision)) or NOT_KNOWN
        sums = groups.setdefault((model, record.service, record.region), {})
        for figure, value in record.figures.items():
            sums[figure] = sums.get(figure, 0.0) + value
    return [
        _row(CloudUsage(service, region, "", "", figures), key, here[service, region])
        for (key, service, region), figures in sorted(groups.items())
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
        region=record.region,
        requests=round(figures.get("requests", 0.0)),
        prompt_tokens=_rounded(figures.get("prompt_tokens")),
        output_tokens=_rounded(figures.get("output_tokens")),
        starts=round(figures.get("starts", 0.0)),
        hours=seconds / 3600,
        usd=None if price is None else seconds / 3600 * price,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(round(value))
