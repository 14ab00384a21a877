"""What `homeport list` shows of an endpoint, wherever it is: one shape for every target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from homeport.json_types import Json, JsonObject
from homeport.results import EndpointPart, Status

HEADER = ("NAME", "REGION", "STATE", "MODEL", "REVISION", "TRAFFIC", "INSTANCES", "COST/H", "VERIFIED")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEndpoint:
    """One endpoint; what a target does not have, or does not tell, is None or empty."""

    name: str
    on: str
    """The target: `local` or `cloudrun`."""
    state: str
    """`ready` or another word of the target's; on Cloud Run `no service` where only other things are left of it."""
    region: str = ""
    url: str = ""
    model: str = ""
    engine: str = ""
    revision: str = ""
    """What serves most of the traffic."""
    traffic: Mapping[str, int] = field(default_factory=dict)
    """Percent by revision."""
    min_instances: int | None = None
    max_instances: int | None = None
    gpu: str = ""
    """Of each instance, as the cloud calls it; '' where there is none, or it is not known."""
    usd_per_hour: float | None = None
    """List price of one instance while it runs; None where there is no price for it."""
    verified: Mapping[str, Json] | None = None
    """The last verification of `revision`: `at`, `passed`; None where there was none."""
    parts: tuple[EndpointPart, ...] = ()
    """Its further services, in whatever region."""
    other: tuple[str, ...] = ()
    """What else carries its mark and may cost something, such as `bucket home-weights`."""

    def as_json(self) -> JsonObject:
        """Return the endpoint as `--json` prints it."""
        return {
            "name": self.name,
            "on": self.on,
            "region": self.region,
            "state": self.state,
            "url": self.url,
            "model": self.model,
            "engine": self.engine,
            "revision": self.revision,
            "traffic": dict(self.traffic),
            "min_instances": self.min_instances,
            "max_instances": self.max_instances,
            "gpu": self.gpu,
            "usd_per_hour": self.usd_per_hour,
            "verified": dict(self.verified) if self.verified is not None else None,
            "parts": [part.as_json() for part in self.parts],
            "other": list(self.other),
        }

    def row(self) -> tuple[str, ...]:
        """Return the endpoint as a line of the table under `HEADER`."""
        instances = "" if self.max_instances is None else f"{self.min_instances or 0} to {self.max_instances}"
        if self.verified is None:
            verified = "no" if self.revision or self.url else ""
        else:
            verified = f"{'' if self.verified['passed'] else 'failed '}{self.verified['at']}"
        return (
            self.name,
            self.region or "here",
            self.state,
            self.model,
            self.revision,
            ", ".join(f"{percent} %" for percent in self.traffic.values()),
            instances,
            "" if self.usd_per_hour is None else f"${self.usd_per_hour:.2f}",
            verified,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotLookedFor:
    """A kind of thing that was not looked for, or not everywhere: that none is shown does not say that there is none."""

    kind: str
    """In the plural, such as `services`."""
    where: str = ""
    """The regions that were left out; '' where none was asked, or the kind has none."""
    why: str
    do: str
    """What lets it be seen."""
    refused: bool = False
    """Whether it was tried: then the list is incomplete, and `unread` says so, too."""

    def as_json(self) -> JsonObject:
        """Return it as `--json` prints it."""
        return {"kind": self.kind, "where": self.where, "why": self.why, "do": self.do}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Every endpoint of a target, as far as it could be read."""

    endpoints: tuple[ListedEndpoint, ...]
    unread: tuple[str, ...]
    """What could not be read, in words: then the list is incomplete."""
    not_looked_for: tuple[NotLookedFor, ...] = ()
    """Kinds that were not looked for, or not everywhere; those of `unread` are among them."""

    def as_json(self) -> JsonObject:
        """Return the list as `--json` prints it."""
        return {
            "endpoints": [endpoint.as_json() for endpoint in self.endpoints],
            "unread": list(self.unread),
            "not_looked_for": [one.as_json() for one in self.not_looked_for],
        }

    def gaps(self) -> Iterator[tuple[str, bool]]:
        """Yield in words what was not looked for, kinds with one reason together, and whether it was tried."""
        together: dict[tuple[str, str, str, bool], list[str]] = {}
        for one in self.not_looked_for:
            together.setdefault((one.where, one.why, one.do, one.refused), []).append(one.kind)
        for (where, why, do, refused), kinds in together.items():
            said = "not known, could not be read" if refused else "not looked for"
            yield f"{said}: {', '.join(kinds)}{f' in {where}' if where else ''}: {why}; do: {do}", refused


def of_status(status: Status) -> ListedEndpoint:
    """Return an endpoint of this machine: without a region, a revision and a price."""
    receipt, readable = status.verified, status.url is not None
    return ListedEndpoint(
        name=status.name,
        on="local",
        state=status.state,
        url=status.url or "",
        model=status.model or "",
        engine=status.engine or "",
        min_instances=1 if readable else None,
        max_instances=1 if readable else None,
        verified={"at": receipt["at"], "passed": receipt["passed"]} if receipt else None,
    )


def table(endpoints: Sequence[ListedEndpoint]) -> list[tuple[str, ...]]:
    """Return the lines of the table."""
    return [endpoint.row() for endpoint in endpoints]


__all__ = ["HEADER", "ListedEndpoint", "Listing", "NotLookedFor", "of_status", "table"]
