"""What the verbs return: one type each, with one JSON shape, whatever the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from homeport.json_types import Json, JsonObject

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.reconcile import Plan
    from homeport.verify import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class UpResult:
    """Result of `up` and `swap`: the endpoint, the applied plan and the verification report."""

    endpoint: Endpoint
    plan: Plan
    changed: tuple[str, ...]
    """Ids of the resources that were made or changed; empty where all was as the file says."""
    report: Report | None
    """None where nothing changed and the last verification still holds, or none was wanted."""
    timeline: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each part of the start, where the target tells them."""
    access: Mapping[str, str]
    """Who may use the endpoint: label and words."""
    next_steps: str
    """What can be done with it now, in words, with the commands."""

    def as_json(self) -> JsonObject:
        """Return the result as `--json` prints it."""
        return {
            "endpoint": _address(self.endpoint),
            "changed": list(self.changed),
            "access": dict(self.access),
            "timeline_s": dict(self.timeline),
            "report": self.report.as_json() if self.report else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Result of `down`."""

    name: str
    gone: tuple[str, ...]
    """What went, in a few words each, in that order."""
    kept: str = ""
    """What stays on purpose, and how it is removed, in words; '' for nothing."""

    def as_json(self) -> JsonObject:
        """Return the result as `--json` prints it. What could not be removed is an error, and not in here."""
        return {"name": self.name, "removed": list(self.gone), "kept": self.kept}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPart:
    """A further service of an endpoint, beside the one that serves its model."""

    name: str
    role: str
    """Such as `agent` or `gateway`."""
    region: str
    state: str
    """`ready`, or the cloud's own words."""
    url: str
    min_instances: int
    max_instances: int | None
    usd_per_hour: float | None
    """List price of one instance while it runs; None where there is no price for it."""

    def as_json(self) -> JsonObject:
        """Return the part as `--json` prints it."""
        return {key: getattr(self, key) for key in self.__slots__}

    @property
    def text(self) -> str:
        """Return it in words, such as `service home-agent in us-central1 (agent, ready, $0.07 an hour while it runs)`."""
        price = "" if self.usd_per_hour is None else f", ${self.usd_per_hour:.2f} an hour while it runs"
        return f"service {self.name} in {self.region} ({self.role}, {self.state}{price})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionState:
    """The endpoint in one of several regions that serve it behind one address."""

    region: str
    state: str
    """`ready`, or the cloud's own words."""
    model: str | None
    """What most of its requests are answered by; None where that could not be read."""
    traffic: Mapping[str, int]
    """Percent of the region's requests, by revision."""
    verified: Mapping[str, Json] | None
    """The last verification of what serves there; None where there was none."""
    closed: bool
    """Whether it takes requests from the load balancer alone."""
    usd_per_hour: float | None = None
    """List price of one instance there while it runs; None where there is no price for it."""
    min_instances: int = 0
    """How many instances always run there."""

    def as_json(self) -> JsonObject:
        """Return the region as `--json` prints it."""
        return {key: _plain(getattr(self, key)) for key in self.__slots__}

    @property
    def text(self) -> str:
        """Return it in words."""
        serving = ", ".join(f"{percent} % {name}" for name, percent in self.traffic.items()) or "no traffic"
        proven = (
            f"verified {self.verified['at']}" if self.verified and self.verified["passed"] else "not verified"
        )
        door = "" if self.closed else ", its own address is open"
        return f"{self.state}, {self.model or 'a model that is not known'}, {serving}, {proven}{door}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An endpoint as it is now. What its target does not have is None."""

    name: str
    target: str
    state: str
    """`ready`; else what it is instead, such as `starting`, `dead`, `unreadable`, or the cloud's own words."""
    reason: str = ""
    """Why it is not ready, where that is known."""
    region: str | None = None
    url: str | None = None
    """Ends in `/v1`."""
    behind: Mapping[str, str] | None = None
    """What else its load balancer leads to, in words with the address: by the first part of the path."""
    gateway: str | None = None
    """Where clients with a key ask, by an API gateway; ends in `/v1`."""
    iap: tuple[str, ...] | None = None
    """Who comes in through Identity-Aware Proxy, in words; empty for nobody. None where it does not stand before the service, or where `unread` says why that is not known."""
    behind_iap: bool = False
    """Whether Identity-Aware Proxy stands before the service."""
    model: str | None = None
    engine: str | None = None
    context: int | None = None
    """Tokens of one request."""
    parallel: int | None = None
    """Requests at once."""
    weights: Mapping[str, str] | None = None
    """source, revision and digest, as far as they are known."""
    adapters: Mapping[str, str] | None = None
    """Digest of each adapter, by the name that it is served under."""
    image: str | None = None
    """The digest of the container's image."""
    startup_cache: str | None = None
    """The digest of the manifest of what its starts use of an earlier one; `none` where that could not be made."""
    traffic: Mapping[str, int] | None = None
    """Percent of the requests, by revision."""
    verified: Mapping[str, Json] | None = None
    """The last verification of what serves: `at`, `passed` and `counts`; None where there was none."""
    receipts: Mapping[str, Mapping[str, Json]] | None = None
    """The verification of every revision that is known, by its name."""
    pid: int | None = None
    """Of the engine as it is now; of the last one where none runs."""
    supervisor_pid: int | None = None
    restarts: int | None = None
    """How often it was started again since `up`."""
    last_restart: Mapping[str, str] | None = None
    """`at` and `reason` of the last one."""
    resident_bytes: int | None = None
    """Memory that its processes hold."""
    started_at: str | None = None
    """ISO 8601, UTC. On Cloud Run, when its service was made."""
    timeline_s: Mapping[str, float] | None = None
    """Seconds of each part of the start."""
    usage: Mapping[str, Json] | None = None
    """What it was used for: `requests`, `prompt_tokens`, `output_tokens`, `hours`, `usd`; null is not known. Counted from `since`, which is `started_at` where it has no such key. None, too, where that was not asked."""
    usage_unknown: str = ""
    """Why it is not known what it was used for; '' where it is, or where nothing was counted."""
    usd_per_hour: float | None = None
    """List price of one instance while it runs; None on this machine, and where there is no price for it."""
    min_instances: int | None = None
    """How many instances always run; None on this machine."""
    regions: tuple[RegionState, ...] = ()
    """All regions that serve it behind one address, the first one first; none where there is one alone."""
    also_in: tuple[str, ...] = ()
    """Further regions in which there is one of this name, which is paid for, too."""
    parts: tuple[EndpointPart, ...] = ()
    """Its further services, in whatever region."""
    unread: tuple[str, ...] = ()
    """What could not be read, in words: the status is incomplete."""
    rollback_to: str | None = None
    """What `rollback` would let serve again: here a model, on Cloud Run a revision."""
    rollback_unknown: str = ""
    """Why it is not known whether there is something that `rollback` would let serve again; '' where it is."""
    rollback_refused: str = ""
    """Why `rollback` would refuse what went before: it could not serve any more, or not as the file wants; '' where it would not."""
    spec_file: str | None = None
    log: str | None = None
    """The file that its engine writes."""

    def as_json(self) -> JsonObject:
        """Return the status as `--json` prints it: every key, whatever the target."""
        plain = {key: getattr(self, key) for key in self.__slots__}
        return {key: _plain(value) for key, value in plain.items()}


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, EndpointPart | RegionState):
        return value.as_json()
    return [_plain(member) for member in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Result of `rollback`."""

    serving: str
    """What serves now: a revision's name, or the model's."""
    endpoint: Endpoint | None = None
    """None where it could not be read once that served."""
    changed: tuple[str, ...] = ()
    """Ids of the resources that were made or changed."""
    timeline: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each part of the start; empty where nothing had to start."""
    report: Report | None = None
    """None where nothing was verified anew: a revision on Cloud Run was, before it first served."""

    def as_json(self) -> JsonObject:
        """Return the result as `--json` prints it."""
        return {
            "serving": self.serving,
            "endpoint": _address(self.endpoint) if self.endpoint else None,
            "changed": list(self.changed),
            "timeline_s": dict(self.timeline),
            "report": self.report.as_json() if self.report else None,
        }


def _address(endpoint: Endpoint) -> JsonObject:
    return {"name": endpoint.name, "base_url": endpoint.base_url, "model": endpoint.model}
