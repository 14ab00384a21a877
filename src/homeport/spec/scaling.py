"""`[scaling]`: how many instances there are."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, field_validator, model_validator

from homeport.spec.table import SpecTable
from homeport.spec.warm_hours import EXAMPLE, WarmHours, parse

LEAST_TARGET, MOST_TARGET_CONCURRENCY, MOST_TARGET_CPU = 0.1, 0.95, 0.9
"""Of Cloud Run's scaling controls, by the discovery document run.v2 of 2026-10-31."""


class Scaling(SpecTable):
    """How many instances there are on Cloud Run, and when another is started."""

    min: int = Field(default=0, ge=0, le=100)
    """Instances that always run, and always cost; 0 scales to zero."""
    max: int = Field(default=1, ge=1, le=100)
    """The most instances at once: a limit of the cost, too."""
    target_concurrency: float | None = Field(default=None, examples=[0.8])
    """The share of `engine.parallel` that instances have on average before another starts: 0.1 to 0.95, or 0 for never. Unset it is about 0.6; set, Cloud Run keeps to it also with few instances."""
    target_cpu: float | None = Field(default=None, examples=[0.0])
    """The same for CPU: 0.1 to 0.9, or 0 for never. An engine on a GPU hardly uses it."""
    warm: tuple[str, ...] = Field(default=(), examples=[[EXAMPLE]])
    """Hours of the week in which one instance always runs, and costs, where `min` is 0. Days, times and one IANA time zone; a window may go past midnight."""

    @field_validator("warm", mode="before")
    @classmethod
    def _array(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @property
    def warm_hours(self) -> WarmHours | None:
        """Return `warm` as hours of a week; None where there are none."""
        return parse(self.warm) if self.warm else None

    def least(self, moment: datetime | None) -> int:
        """Return how many instances always run at `moment`; without one, outside of all warm hours."""
        hours = self.warm_hours
        return 1 if hours is not None and moment is not None and hours.is_warm(moment) else self.min

    @property
    def most_warm(self) -> int:
        """Return the largest number of instances that always run at any time."""
        return 1 if self.warm else self.min

    @model_validator(mode="after")
    def _can_be(self) -> Scaling:
        if self.min > self.max:
            raise ValueError(f"min is {self.min}, more than max, {self.max}")
        for name, target, most in (
            ("target_concurrency", self.target_concurrency, MOST_TARGET_CONCURRENCY),
            ("target_cpu", self.target_cpu, MOST_TARGET_CPU),
        ):
            if target is not None and target != 0 and not LEAST_TARGET <= target <= most:
                raise ValueError(
                    f"{name} should be from {LEAST_TARGET:g} to {most:g}, or 0, but is {target:g}"
                )
        if self.warm and self.min:
            raise ValueError(f"min is {self.min}: so many always run, and warm would change nothing")
        _ = self.warm_hours
        if self.target_concurrency == 0 and self.target_cpu == 0:
            raise ValueError("target_concurrency and target_cpu are both 0, so that nothing would scale")
        return self
