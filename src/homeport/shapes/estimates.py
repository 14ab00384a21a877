"""The shapes of what `fit` and `cost` find."""

from __future__ import annotations

from typing import Literal

from homeport.cost.answer import What
from homeport.cost.figure import Figure
from homeport.cost.regions import RegionCost
from homeport.cost.throughput import Throughput
from homeport.cost.usage import Usage
from homeport.json_types import Json
from homeport.shapes.base import JsonShape


class TermShape(JsonShape):
    """A part of the memory that is taken, with its arithmetic."""

    what: str
    bytes: float
    how: str


class FitWeightsShape(JsonShape):
    """The weights that would be loaded."""

    source: str
    bytes: int
    quantization: str


class KvCacheShape(JsonShape):
    """The memory that is left for keys and values."""

    bytes: float
    tokens: int
    sequences: int
    sequence_bytes: int
    block_bytes: int
    how: str


class FitShape(JsonShape):
    """Whether a model fits one place, and what binds."""

    place: str
    gpu: str | None
    engine: str
    weights: FitWeightsShape
    context: int
    parallel: int
    fits: bool | None
    """None where what the model takes is not known."""
    problems: list[str]
    binds: str
    concurrency: int | None
    """How many requests of the context have room at once; None where `concurrency_uncounted` says why."""
    concurrency_uncounted: str
    """Why there is no number: not known, or no cache that grows with requests; '' where there is one."""
    ladder: dict[str, int | None]
    """The same by context; None also where the engine serves no text so long."""
    usable: TermShape | None
    fixed: list[TermShape] | None
    kv_cache: KvCacheShape | None
    """None where the model keeps none, too."""
    host: list[TermShape]
    host_bytes: float | None


class FitRowShape(FitShape):
    """A fit, with its price."""

    usd_per_hour: float | None
    unconfirmed_prices: list[str]


class StartTermShape(JsonShape):
    """A part of a cold start."""

    name: str
    low_s: float
    likely_s: float
    high_s: float
    how: str
    source: str
    checked: bool


class ColdStartShape(JsonShape):
    """An expected cold start."""

    low_s: float
    likely_s: float
    high_s: float
    text: str
    engine: str
    delivery: str
    factor: float
    own_starts: int
    unconfirmed: list[str]
    terms: list[StartTermShape]


class QuotaShape(JsonShape):
    """What the instances need of one quota."""

    quota: str
    needs: float
    default: float | None
    unit: str


class RemedyShape(JsonShape):
    """A change with which it would fit."""

    change: str
    settings: dict[str, Json]
    place: str
    usd_per_hour: float


class MostShape(JsonShape):
    """The most that one instance holds."""

    parallel: int | None
    """None where memory sets no number: see `concurrency_uncounted` of `chosen`."""
    context: int


class EstimateShape(JsonShape):
    """What the model would be on Cloud Run, with one engine."""

    fits: bool | None
    """None where what the model takes is not known."""
    why: str
    chosen: FitShape | None
    runner_up: str | None
    usd_per_hour: float | None
    unconfirmed_prices: list[str]
    cold_starts: dict[str, ColdStartShape]
    flags: dict[str, str]
    concurrency: int | None
    max_instances: int
    most: MostShape | None
    instances_of_default_quotas: int | None
    quotas: list[QuotaShape]
    remedies: list[RemedyShape]


class FitAnswerShape(JsonShape):
    """The result of `fit`: every place, then what each engine would be on Cloud Run."""

    model: str
    context: int
    parallel: int
    region: str
    prices_dated: str
    rows: list[FitRowShape]
    cloudrun: dict[str, EstimateShape]
    notes: list[str]


class PricesShape(JsonShape):
    """Which prices."""

    dated: str


class HourlyShape(JsonShape):
    """The price of an hour of one instance, by part."""

    cpu: float
    memory: float
    gpu: float
    unconfirmed: list[str]
    sources: list[str]
    how: str


class StateShape(JsonShape):
    """What a state of the endpoint costs."""

    name: str
    hour: Figure
    month: Figure


class TokensShape(JsonShape):
    """What a million tokens costs."""

    reserved: dict[str, Figure]
    used: Figure
    traffic: Figure | None


class CostShape(JsonShape):
    """The result of `cost`."""

    what: What
    prices: PricesShape
    currency: Literal["USD"]
    month_hours: float
    usage: Usage
    hourly: HourlyShape
    states: list[StateShape]
    storage: Figure
    edge: Figure | None
    guard: Figure | None
    builds: Figure
    wake_seconds: Figure
    wake: Figure
    scaling: Figure | None
    always_on: Figure | None
    tokens: TokensShape | None
    throughput: Throughput
    edge_with_traffic: str
    guard_with_traffic: str
    regions: list[RegionCost]
    versus: dict[str, Json] | None
