"""The answer to how much traffic wants: what `--json` prints, and what it comes to in the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from homeport.capacity.outcome import CapacityOutcome
from homeport.json_types import JsonObject
from homeport.spec import Engine
from homeport.spec.edit import TomlKey


@dataclass(frozen=True, slots=True, kw_only=True)
class EnoughInstances:
    """What more instances alone, all else as it is, would do for objectives that are not kept."""

    max_instances: int | None
    """The smallest `scaling.max` with which they are kept, as is likely; None where no number of instances suffices."""
    kept: float
    """The share of requests that keeps them so; without such a number, with as many as there may be."""
    month_flat_usd: float
    """Of a month whose every hour is as the trace."""
    quotas: tuple[str, ...]
    """Those of a new project that do not suffice for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCapacity:
    """One way to serve the traffic."""

    engine: str
    place: str
    concurrency: int
    target_concurrency: float | None
    min_instances: int
    max_instances: int
    delivery: str
    cold_start_s: tuple[float, float, float]
    usd_per_hour: float
    """Of one instance."""
    step: str
    """How long a step takes, in words."""
    likely: CapacityOutcome
    slow: CapacityOutcome
    fast: CapacityOutcome
    keeps: bool
    """Whether the objectives are kept, as is likely."""
    keeps_slow: bool
    enough: EnoughInstances | None
    """What `scaling.max` alone would change; None where the objectives are kept, or none were asked for."""
    month_flat_usd: float
    month_flat_band_usd: tuple[float, float]
    month_curve_usd: float
    month_gpu_hours: float
    """By the curve of the day."""
    day_refused: int
    day_how: str
    quotas: tuple[str, ...]
    """Those of a new project that do not suffice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityPlan:
    """The answer: what `--json` prints."""

    model: str
    trace: str
    requests: int
    seconds: float
    requests_per_second: float
    context: int
    region: str
    objectives: dict[str, float]
    share: float
    curve: str
    prices_dated: str
    as_written: PlannedCapacity | None
    """With the file's own settings; None where the model does not fit so."""
    best: PlannedCapacity | None
    """The cheapest that keeps the objectives; None where it was not looked for, or nothing does."""
    given: dict[str, str | int | bool]
    """What the options said of the file's keys: all ways are planned with these."""
    runners_up: tuple[str, ...]
    notes: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Return what `--json` prints."""
        return asdict(self)


def settings_of(plan: CapacityPlan) -> Sequence[TomlKey]:
    """Return the keys of homeport.toml that make the cheapest way so, with all that the options said; none where there is no such way."""
    best = plan.best
    if best is None:
        return ()
    keys: dict[tuple[str, str], Any] = {  # Any: values of homeport.toml
        ("engine" if key in Engine.model_fields else "cloudrun", key): value
        for key, value in plan.given.items()
    }
    keys |= {
        ("engine", "kind"): best.engine,
        ("engine", "parallel"): best.concurrency,
        ("cloudrun", "gpu"): best.place.split()[0],
        ("scaling", "min"): best.min_instances,
        ("scaling", "max"): best.max_instances,
    }
    if best.target_concurrency is not None:
        keys["scaling", "target_concurrency"] = best.target_concurrency
    return [(table, key, json.dumps(value)) for (table, key), value in keys.items()]
