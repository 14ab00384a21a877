"""What the endpoints of a project were used for: Cloud Monitoring's figures, with models and prices of what carries our mark."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from homeport.engines.names import NAMES
from homeport.errors import HomeportError, NoCredentials
from homeport.gateway.callers import OTHERS, UNKNOWN
from homeport.google import Google
from homeport.listing import ListedEndpoint
from homeport.observe.query import of_project
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.endpoints import list_endpoints
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.targets.cloudrun.inventory import SERVICES, Unread
from homeport.targets.cloudrun.invokers import Openness, openness
from homeport.targets.cloudrun.opening import door_for, settings_of
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.teardown import ensure_known
from homeport.usage.cloud import CloudUsage, by_caller, by_day, by_revision
from homeport.usage.report import NOT_KNOWN, By, UsageReport, UsageRow

_UNCOUNTED = "set callers = true in [observe] and `homeport up --on cloudrun`; what was asked before that stays without a name"
_ARRIVES = (
    "its gateway counts by caller, and has told of no request in this time: what came before it did has no name, nor has a look at the "
    "models. `homeport observe check --on cloudrun` says whether counts arrive"
)
_BEYOND = (
    "about {:,} requests that Cloud Run counted at {} in {} are no caller's: looks such as /v1/models and uptime checks, what came before "
    "callers were counted, and the last that an instance counted"
)
_REST = (
    "names rest on Cloud Run handing on the token that it looked at, also where that is in X-Serverless-Authorization: "
    "`homeport observe check --on cloudrun` tries it"
)
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
    """
    Return a line of each caller; one for all, with a reason, where an endpoint does not count by caller or names cannot be believed.

    What Cloud Run counted beyond all callers is nobody's, and told besides: no request is left out.
    """
    counted: dict[tuple[str, str], list[CloudUsage]] = {}
    for record in await by_caller(of_project(google), days=days):
        if (record.service, record.region) in here and record.figures.get("requests"):
            counted.setdefault((record.service, record.region), []).append(record)
    everything, unread = await _rows(google, here, "caller", days)
    rows = [row for row in everything if (row.endpoint, row.region) not in counted]
    notes = []
    for service, region in here:
        if (service, region) not in counted:
            why, unseen = await _why_nobody(google, service, region)
            notes.append(_unnamed(service, region, why))
            unread += unseen
    for (service, region), records in counted.items():
        state, unseen = await _open(google, service, region)
        unread += unseen
        named = state is Openness.CLOSED
        notes += [] if named else [_unnamed(service, region, _FORGED.format(state.value))]
        of_all = sum(
            row.requests or 0 for row in everything if (row.endpoint, row.region) == (service, region)
        )
        beyond = max(0, round(of_all - sum(record.figures["requests"] for record in records)))
        notes += [_BEYOND.format(beyond, service, region)] if beyond else []
        rows += _of_callers(records, beyond, named=named)
    if any(row.key not in {NOT_KNOWN, OTHERS} for row in rows):
        notes.append(_REST)
    return sorted(rows, key=lambda row: (row.endpoint, row.region, row.key)), notes, unread


async def _why_nobody(google: Google, service: str, region: str) -> tuple[str, list[Unread]]:
    """Return why no caller of a service was counted, and what to do about that; what could not be read, besides."""
    try:
        live = await google.get("run", f"v2/{_path(google, service, region)}")
    except NoCredentials:
        raise
    except HomeportError as error:
        what = f"whether the gateway of {service} in {region} counts by caller"
        return f"{_ARRIVES}; if it does not: {_UNCOUNTED}", [
            Unread(kind="service", region=region, what=what, error=error)
        ]
    containers = live.get("template", {}).get("containers", ())
    tells = any("--callers" in container.get("args", ()) for container in containers)
    return _ARRIVES if tells else _UNCOUNTED, []


def _path(google: Google, service: str, region: str) -> str:
    return f"projects/{google.project}/locations/{region}/services/{service}"


def _unnamed(service: str, region: str, why: str) -> str:
    return f"who called {service} in {region} is not known: {why}"


async def _open(google: Google, service: str, region: str) -> tuple[Openness, list[Unread]]:
    """Return whether Cloud Run lets everybody in now, and what could not be read, where that is not known."""
    try:
        return await openness(google, _path(google, service, region)), []
    except NoCredentials:
        raise
    except HomeportError as error:
        what = f"who may call {service} in {region}"
        return Openness.PERHAPS, [Unread(kind="grant", region=region, what=what, error=error)]


def _of_callers(records: list[CloudUsage], beyond: int, *, named: bool) -> list[UsageRow]:
    """Return a line of each caller, with `beyond`, the requests that no caller counted, among those who are not known."""
    groups: dict[str, list[CloudUsage]] = {}
    for record in records:
        known = named and record.caller not in {"", UNKNOWN}
        groups.setdefault(record.caller if known else NOT_KNOWN, []).append(record)
    if beyond:
        nobody = {"requests": float(beyond), "untold": float(beyond)}
        groups.setdefault(NOT_KNOWN, []).append(replace(records[0], figures=nobody, caller=""))
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
