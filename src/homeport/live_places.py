"""The places whose endpoints are looked at again and again: one that cannot be read says why, and stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homeport.errors import HomeportError
from homeport.metrics.live import LiveEndpoint
from homeport.targets import registry
from homeport.targets.base import OpenOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class LivePlace:
    """What was found at one place."""

    on: str
    """The target."""
    endpoints: tuple[LiveEndpoint, ...] = ()
    unread: tuple[str, ...] = ()
    """What could not be read, in words: then endpoints may be missing."""
    error: HomeportError | None = None
    """Why nothing of it could be read."""

    def only(self, name: str | None) -> LivePlace:
        """Return it with the endpoint called `name` alone; as it is for None."""
        if name is None:
            return self
        return replace(
            self, endpoints=tuple(endpoint for endpoint in self.endpoints if endpoint.name == name)
        )

    def lines(self) -> list[str]:
        """Return what could not be read of it, in words."""
        remarks = [
            f"{registry.TITLES[self.on]}: not known, could not be read: {unread}" for unread in self.unread
        ]
        if self.error is not None:
            hint = f"; {self.error.hint}" if self.error.hint else ""
            remarks.append(f"{registry.TITLES[self.on]}: not known, could not be read: {self.error}{hint}")
        return remarks


async def look(on: str, file: Path, options: OpenOptions) -> LivePlace:
    """Return what the target `on` has now, or why that is not known."""
    try:
        live = await registry.live(on).endpoints(file, options)
    except HomeportError as error:
        return LivePlace(on=on, error=error)
    return LivePlace(on=on, endpoints=live.endpoints, unread=live.unread)


async def look_at(places: Sequence[str], file: Path, options: OpenOptions) -> list[LivePlace]:
    """Return what each of the targets has now."""
    return list(await asyncio.gather(*(look(on, file, options) for on in places)))
