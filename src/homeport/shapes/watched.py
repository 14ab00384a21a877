"""The shapes of what endpoints are seen to do."""

from __future__ import annotations

from homeport.metrics.rates import Rates
from homeport.shapes.base import JsonShape


class FirstTokensShape(JsonShape):
    """How many first tokens there were since the engine started, and how long they took together."""

    count: float
    seconds: float


class FiguresShape(JsonShape):
    """Figures of one engine at one moment: counts are since it started. Null is what it does not tell."""

    at: float
    """Seconds since the epoch."""
    running: float | None
    """Requests that are answered now."""
    waiting: float | None
    """Requests that wait for their turn."""
    kv_cache: float | None
    """Share of the cache that is taken: 0 to 1."""
    requests: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    prefill_seconds: float | None
    decode_seconds: float | None
    prefix_hits: float | None
    prefix_queries: float | None
    preemptions: float | None
    ttft: FirstTokensShape | None


class LiveEndpointShape(JsonShape):
    """One endpoint at one moment; it was not woken for this."""

    name: str
    on: str
    state: str
    why: str
    """Why it is not running."""
    model: str
    engine: str
    url: str
    region: str
    since: str | None
    file: str
    context: int | None
    parallel: int | None
    resident_bytes: int | None
    instances: float | None
    usd_per_hour: float | None
    """List price of one instance while it runs."""
    usd: float | None
    """What it has cost this month, at list prices."""
    figures: FiguresShape | None
    unknown: str
    """Why there are no figures."""
    rates: Rates | None
    """What happened since the look a second before."""


class LogLinesShape(JsonShape):
    """The last lines that an engine wrote, oldest first."""

    lines: list[str]
