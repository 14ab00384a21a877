"""How long steps of a deployment take at Google: `durations.toml`, dated and sourced."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeport.reconcile.schedule import Span

SHIPPED = Path(__file__).parent / "durations.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Published durations by the kind of a resource."""

    dated: date
    """The day on which they were read."""
    steps: Mapping[str, Mapping[str, Any]]  # Any: the values of a TOML table

    def of(self, kind: str, size: int = 0) -> Span | None:
        """
        Return how long a step of that kind takes, for so many bytes where it depends on them.

        None is *not known*: nothing was published of it, or nothing of that size.
        """
        entry = self.steps.get(kind)
        if entry is None or size > entry.get("most_bytes", size):
            return None
        if "seconds" in entry:
            low, high = entry["seconds"]
            how = str(entry["how"])
        elif size:
            slow, fast = entry["bytes_per_s"]
            low, high = size / fast, size / slow
            how = f"{size / 1e9:.1f} GB at {slow / 1e6:g} to {fast / 1e6:g} MB/s: {entry['how']}"
        else:
            return None
        return Span(low_s=low, high_s=high, how=how, source=entry["source"], checked=entry["checked"])


@cache
def durations() -> Durations:
    """Return the durations that come with homeport."""
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    return Durations(dated=table["dated"], steps=MappingProxyType(table["step"]))
