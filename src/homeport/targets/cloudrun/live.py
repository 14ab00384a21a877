"""The endpoints of a project on Cloud Run as one looks at them again and again: none is woken."""

from __future__ import annotations

from pathlib import Path

from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun.lifecycle import listing


async def endpoints(file: Path, options: OpenOptions) -> LiveListing:
    """Return every endpoint of the project by its mark, and what could not be read. Raises what `homeport list --on cloudrun` raises."""
    found = await listing(file, options)
    endpoints = (
        LiveEndpoint(
            name=one.name,
            on="cloudrun",
            state=one.state,
            model=one.model,
            engine=one.engine,
            url=one.url,
            region=one.region,
            usd_per_hour=one.usd_per_hour,
            unknown="its figures are not read from Cloud Monitoring",
        )
        for one in found.endpoints
    )
    return LiveListing(endpoints=tuple(endpoints), unread=found.unread)
