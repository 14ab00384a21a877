"""The endpoints of this machine as one looks at them again and again: no token is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from homeport.errors import HomeportError
from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.metrics.reading import Reading, read
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.condition import State, unprobed
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.resources.local.process_tree import resident
from homeport.resources.local.stopping import running_processes
from homeport.targets.base import OpenOptions
from homeport.targets.local.status import UNREADABLE


async def endpoints(file: Path, options: OpenOptions) -> LiveListing:
    """Return every endpoint that was started here and not taken down, with what its engine tells now."""
    del file
    home = options.home
    records = [(name, endpoint_record.read(home.endpoint(name))) for name in home.endpoints()]
    live_endpoints = await asyncio.gather(
        *(
            _endpoint(record, home.endpoint(name))
            if isinstance(record, EndpointRecord)
            else _unreadable(name, record.reason)
            for name, record in records
            if record is not None
        )
    )
    return LiveListing(endpoints=tuple(live_endpoints))


async def _unreadable(name: str, reason: str) -> LiveEndpoint:
    return LiveEndpoint(
        name=name, on="local", state=UNREADABLE, why=reason, unknown="its record is unreadable"
    )


async def _endpoint(record: EndpointRecord, folder: Path) -> LiveEndpoint:
    observed = unprobed(record, folder)
    runs = observed.state is State.RUNNING
    reading = await _read(record, folder) if runs else Reading(None, f"it is {observed.state}")
    launch = record.launch
    return LiveEndpoint(
        name=record.name,
        on="local",
        state=observed.state,
        why=observed.why,
        model=launch["model"],
        engine=launch["engine"],
        url=f"{record.url}/v1",
        since=record.started_at,
        file=record.spec_file,
        context=launch["context"],
        parallel=launch["parallel"],
        resident_bytes=resident(running_processes(folder)) if observed.engine else None,
        snapshot=reading.snapshot,
        unknown=reading.why,
    )


async def _read(record: EndpointRecord, folder: Path) -> Reading:
    try:
        # To make sure that it is the engine's key takes a hash of 15 ms, which a wrong one is not worth here.
        key = endpoint_key.of_record(record, folder).current()
    except HomeportError as error:
        return Reading(None, str(error))
    return await read(record.url, record.launch["engine"], key)
