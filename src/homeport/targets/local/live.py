"""The endpoints of this machine as one looks at them again and again: no token is asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from homeport.errors import HomeportError
from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.metrics.reading import Reading, read
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.condition import State, unasked
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.resources.local.process_tree import resident
from homeport.resources.local.stopping import running_processes
from homeport.targets.base import OpenOptions
from homeport.targets.local.status import UNREADABLE


async def endpoints(file: Path, options: OpenOptions) -> LiveListing:
    """Return every endpoint that was started here and not taken down, with what its engine tells now."""
    del file
    home = options.home
    found = [(name, endpoint_record.read(home.endpoint(name))) for name in home.endpoints()]
    looked = await asyncio.gather(
        *(
            _endpoint(record, home.endpoint(name))
            if isinstance(record, EndpointRecord)
            else _unreadable(name, record.reason)
            for name, record in found
            if record is not None
        )
    )
    return LiveListing(endpoints=tuple(looked))


async def _unreadable(name: str, reason: str) -> LiveEndpoint:
    return LiveEndpoint(
        name=name, on="local", state=UNREADABLE, why=reason, unknown="its record is unreadable"
    )


async def _endpoint(record: EndpointRecord, folder: Path) -> LiveEndpoint:
    found = unasked(record, folder)
    runs = found.state is State.RUNNING
    reading = await _read(record, folder) if runs else Reading(None, f"it is {found.state}")
    launch = record.launch
    return LiveEndpoint(
        name=record.name,
        on="local",
        state=found.state,
        why=found.why,
        model=launch["model"],
        engine=launch["engine"],
        url=f"{record.url}/v1",
        since=record.started_at,
        file=record.spec_file,
        context=launch["context"],
        parallel=launch["parallel"],
        resident_bytes=resident(running_processes(folder)) if found.engine else None,
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
