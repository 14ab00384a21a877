"""What an endpoint on Cloud Run tells of itself, and what of that is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from homeport import patterns
from homeport.spec.table import SpecTable

_UNBUILT = {
    "spend_cap": "a budget of Google's can have a cap on one service of a project (spendCap), and whether Cloud Run is among those "
    "services was not confirmed; a cap would stop all Cloud Run of the project. budget writes mail, scaling.max bounds what runs",
}


LEAST_SHARE, MOST_SHARE = 0.94, 0.9999
"""Of an objective. With less, no failure whatever uses its budget up 14.4 times as fast, and that alert could not fire."""
_SHARE = 0.95
_MOST_TOLD = 5
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class ObserveSlo(SpecTable):
    """What requests are to keep. Two alerts for each objective fire where its error budget is used up too fast: see docs/observe.md."""

    ttft: str | None = Field(default=None, pattern=patterns.SECONDS, examples=["2s"])
    """Within which time the first token is to come, such as "2s" or "500ms", counted from when the engine has the request. An engine counts at fixed bounds: between two of them the next longer one is used, and the plan says so."""
    ttft_share: float = _SHARE
    """Of how many requests it is to come so soon: 0.94 to 0.9999."""
    availability: float | None = Field(default=None, examples=[0.99])
    """How many requests are to be answered without a 5xx or 429, by Cloud Run's own count of those that reach an instance; on this machine, how many scrapes the engine is to answer. 0.94 to 0.9999."""

    @property
    def ttft_s(self) -> float | None:
        """Return `ttft` in seconds."""
        if self.ttft is None:
            return None
        number = self.ttft.rstrip("ms")
        return round(float(number) * _SECONDS[self.ttft.removeprefix(number)], 6)

    @model_validator(mode="after")
    def _can_be_kept(self) -> ObserveSlo:
        if self.ttft is None and self.availability is None:
            raise ValueError('names no objective: set ttft, as in ttft = "2s", or availability, as in 0.99')
        if self.ttft_s == 0:
            raise ValueError("ttft is no time at all: no first token comes in 0")
        if self.ttft is None and self.ttft_share != _SHARE:
            raise ValueError("ttft_share says of how many requests, and there is no ttft: set it, too")
        for key, share in (("ttft_share", self.ttft_share), ("availability", self.availability)):
            if share is not None and 1 < share <= 100:
                raise ValueError(f"{key} is a share, not a percentage: write {share / 100:g}")
            if share is not None and not LEAST_SHARE <= share <= MOST_SHARE:
                raise ValueError(
                    f"{key} should be from {LEAST_SHARE} to {MOST_SHARE}, but is {share:g}: with more there is no budget "
                    "for a single error, and with less one that cannot be used up fast enough to tell"
                )
        return self


class Observe(SpecTable):
    """What the engine counts, in Cloud Monitoring: for an endpoint on Cloud Run, by Google's Managed Prometheus beside the engine."""

    metrics: bool = True
    """Whether it is sent there: only the series that homeport's dashboard and alerts use. The plan says what that costs."""
    alerts: tuple[Annotated[str, Field(pattern=patterns.MAILTO)], ...] = Field(
        default=(), examples=[["mailto:ops@example.com"]]
    )
    """Who is told when the engine stalls, queues, or is slow: `mailto:` addresses. Without any the alerts only show in the console."""

    traces: bool = False
    """Whether the engine, where it has them, and homeport's gateway, where one stands before it, send a span of each request; on Cloud Run of each that it samples, one in 10 s of each instance at most where clients ask for none. No text is in them."""
    otlp: str | None = Field(default=None, pattern=patterns.OTLP, examples=["http://127.0.0.1:4318"])
    """Who takes spans on this machine, if there are any: the address of a receiver of OpenTelemetry's protocol over HTTP, without /v1/traces. By default that of `OTEL_EXPORTER_OTLP_ENDPOINT`. On Cloud Run they go to Cloud Trace."""

    slo: ObserveSlo | None = Field(default=None, examples=[{"ttft": "2s", "availability": 0.99}])
    """Objectives of the endpoint, and alerts on how fast their error budgets are used up; also in `homeport export prometheus`."""

    callers: bool = False
    """Whether requests and tokens are counted by caller, too, for `homeport usage --by caller`: on Cloud Run, by homeport's gateway before the engine, under the address that the caller's token is for. Whoever may read the project's metrics then sees who asked, and how much."""

    uptime: bool = False
    """Whether Google asks the endpoint from three places of the world every five minutes, and an alert fires where two of them get no answer. Each question would wake a GPU, so that it wants scaling.min of 1 or more."""

    budget: int | None = Field(default=None, ge=1, le=10_000_000, examples=[50])
    """What the whole project may cost in a month, in the billing account's currency: at 50, 90 and 100 % Google writes to those who manage the account, and to `alerts`. It stops nothing. It needs `billing.budgets.*` on the billing account."""

    @field_validator("alerts", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="before")
    @classmethod
    def _is_built(cls, value: Any) -> Any:  # Any: what stands in the file
        for key, why in _UNBUILT.items() if isinstance(value, Mapping) else ():
            if key in value:
                raise ValueError(f"{key} is not built yet: {why}. Remove it")
        return value

    @model_validator(mode="after")
    def _has_something_to_tell(self) -> Observe:
        for key, value in {
            "alerts": self.alerts,
            "slo": self.slo,
            "callers": self.callers,
            "uptime": self.uptime,
            "budget": self.budget,
        }.items():
            if value and not self.metrics:
                raise ValueError(
                    f"{key} goes by the metrics, and metrics = false: set it to true, or remove {key}"
                )
        if self.budget and len(self.alerts) > _MOST_TOLD:
            raise ValueError(
                f"a budget writes to {_MOST_TOLD} addresses at most, and alerts names {len(self.alerts)}"
            )
        if len(set(self.alerts)) < len(self.alerts):
            raise ValueError("alerts names one address twice; name each once")
        return self


__all__ = ["LEAST_SHARE", "MOST_SHARE", "Observe", "ObserveSlo"]
