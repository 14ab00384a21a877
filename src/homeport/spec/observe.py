"""What an endpoint on Cloud Run tells of itself, and what of that is not built yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from homeport import patterns
from homeport.spec.table import SpecTable

_UNBUILT = {
    "traces": "spans need a collector of their own beside the engine",
    "slo": "objectives, and alerts on how fast they are used up",
    "budget": "a budget lies with the billing account, which homeport does not touch",
    "spend_cap": "a cap stops all Cloud Run of the project",
}


class Observe(SpecTable):
    """What the engine counts, in Cloud Monitoring: for an endpoint on Cloud Run, by Google's Managed Prometheus beside the engine."""

    metrics: bool = True
    """Whether it is sent there: only the series that homeport's dashboard and alerts use. The plan says what that costs."""
    alerts: tuple[Annotated[str, Field(pattern=patterns.MAILTO)], ...] = Field(
        default=(), examples=[["mailto:ops@example.com"]]
    )
    """Who is told when the engine stalls, queues, or is slow: `mailto:` addresses. Without any the alerts only show in the console."""

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
        if not self.metrics and self.alerts:
            raise ValueError(
                "alerts go by the metrics, and metrics = false: set it to true, or remove alerts"
            )
        if len(set(self.alerts)) < len(self.alerts):
            raise ValueError("alerts names one address twice; name each once")
        return self


__all__ = ["Observe"]
