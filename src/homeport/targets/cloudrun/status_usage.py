"""What an endpoint on Cloud Run was used for, as `status` tells it: asked of Cloud Monitoring, which wakes nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from homeport.engines.names import NAMES
from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.json_types import Json
from homeport.observe.query import of_project
from homeport.results import RegionState, Status
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.usage.cloud import altogether

_KEPT = timedelta(days=42)
"""For how long Cloud Monitoring keeps what Cloud Run counts. UNCONFIRMED: Google's page of quotas was not read again."""
_PATIENCE_S = 15.0
"""A status is told without it where Cloud Monitoring takes longer."""


async def with_usage(google: Google, status: Status, now: datetime | None = None) -> Status:
    """Return the status with what the endpoint was used for, or why that is not known."""
    if status.usage_unknown:
        return status
    moment = now or datetime.now(UTC)
    try:
        began = datetime.fromisoformat(status.started_at or "")
    except ValueError:
        return replace(status, usage_unknown="Cloud Run does not tell when its service was made")
    since = max(began, moment - _KEPT)
    engines = [status.engine] if status.engine in NAMES else NAMES
    try:
        async with asyncio.timeout(_PATIENCE_S):
            counted = await altogether(
                of_project(google), [names_on_cloud_run(engine) for engine in engines],
                seconds=(moment - since).total_seconds(),
            )  # fmt: skip
    except NoCredentials:
        raise
    except TimeoutError:
        return replace(status, usage_unknown=f"Cloud Monitoring did not answer within {_PATIENCE_S:g} s")
    except HomeportError as error:
        return replace(status, usage_unknown=f"it cannot be read from Cloud Monitoring: {error}")
    usage = _altogether(
        [_usage(counted.get((status.name, place.region), {}), place) for place in _places(status)]
    )
    if since > began:
        usage["since"] = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    return replace(status, usage=usage)


def _places(status: Status) -> Sequence[RegionState]:
    """Return the regions of an endpoint; of one that is in one region, that."""
    return status.regions or (
        RegionState(
            region=status.region or "", state=status.state, model=status.model, traffic={}, verified=None,
            closed=False, usd_per_hour=status.usd_per_hour, min_instances=status.min_instances or 0,
        ),
    )  # fmt: skip


def _altogether(parts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """Return the sums of regions; what is not known of one is not known of all, unless nobody asked it and none of it ran."""
    sums: dict[str, Json] = {}
    for key in parts[0]:
        values = [part[key] for part in parts if part[key] is not None or not _idle(part)]
        sums[key] = None if None in values or not values else round(sum(values), 4)
    return sums


def _idle(part: Mapping[str, Json]) -> bool:
    return bool(part["requests"] == 0 and part["hours"] == 0)


def _usage(figures: Mapping[str, float], place: RegionState) -> dict[str, Json]:
    """Return what was counted. Tokens come only where `[observe]` sends them."""
    # Of Cloud Run's own counts nothing is written while there is nothing, nor in the first minutes: where something else was
    # counted, or instances always run, seconds that are not there are no nought.
    seconds = figures.get("seconds")
    if seconds is None and not any(figures.values()) and not place.min_instances:
        seconds = 0.0
    talked = any(figures.get(name) for name in ("prompt_tokens", "output_tokens"))
    requests = figures.get("requests", None if talked else 0.0)
    hours = None if seconds is None else seconds / 3600
    price = place.usd_per_hour
    return {
        "requests": None if requests is None else round(requests),
        **{
            name: None if figures.get(name) is None else round(figures[name])
            for name in ("prompt_tokens", "output_tokens")
        },
        "hours": None if hours is None else round(hours, 4),
        "usd": None if hours is None or price is None else round(hours * price, 4),
    }
