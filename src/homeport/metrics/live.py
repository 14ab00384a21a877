"""An endpoint as one looks at it again and again: its figures, and what happened since the last look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from homeport.json_types import JsonObject
from homeport.metrics.rates import Rates, between
from homeport.metrics.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEndpoint:
    """One endpoint at one moment. It was neither woken nor asked for a token; what is not known is None."""

    name: str
    on: str
    """The target."""
    state: str
    """On this machine as its processes tell: `running`, or what is instead; on Cloud Run as `homeport list` has it."""
    why: str = ""
    """Why it is not running."""
    model: str = ""
    engine: str = ""
    url: str = ""
    region: str = ""
    since: str | None = None
    """ISO 8601, UTC."""
    file: str = ""
    """The homeport.toml that it was started for."""
    context: int | None = None
    """Tokens of one request."""
    parallel: int | None = None
    """Requests at once."""
    resident_bytes: int | None = None
    """Memory that its processes hold."""
    instances: float | None = None
    usd_per_hour: float | None = None
    """List price of one instance while it runs."""
    usd: float | None = None
    """What it has cost this month, at list prices."""
    snapshot: Snapshot | None = None
    unknown: str = ""
    """Why there is no snapshot."""
    rates: Rates | None = None
    """What happened since the last look; None at the first."""

    def as_json(self) -> JsonObject:
        """Return the endpoint as `--json` prints it."""
        plain: JsonObject = {
            name: getattr(self, name) for name in self.__slots__ if name not in {"snapshot", "rates"}
        }
        return {
            **plain,
            "figures": self.snapshot.as_json() if self.snapshot else None,
            "rates": self.rates.as_json() if self.rates else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveListing:
    """Every endpoint of a target, as far as it could be read."""

    endpoints: tuple[LiveEndpoint, ...]
    unread: tuple[str, ...] = ()
    """What could not be read, in words: then endpoints may be missing."""


class Looks:
    """Remembers the last look at each endpoint, so that the next one can tell what happened meanwhile."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str, str], Snapshot] = {}

    def looked(self, endpoints: Iterable[LiveEndpoint]) -> list[LiveEndpoint]:
        """Return the endpoints with their rates since the last look. A target that tells rates itself is left as it is."""
        with_rates = []
        for endpoint in endpoints:
            key = (endpoint.on, endpoint.region, endpoint.name)
            before = self._before.get(key)
            if endpoint.snapshot is not None:
                self._before[key] = endpoint.snapshot
            if endpoint.rates is None and before is not None and endpoint.snapshot is not None:
                with_rates.append(replace(endpoint, rates=between(before, endpoint.snapshot)))
            else:
                with_rates.append(endpoint)
        return with_rates
