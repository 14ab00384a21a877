"""What a spec costs on Cloud Run: the shape on which it fits, its price, its cold start and the traffic, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homeport.catalog import cloudrun, prices
from homeport.catalog.cloudrun import Shape
from homeport.catalog.prices import Hourly, Prices
from homeport.cost.bill import Cost, cost
from homeport.cost.edge import edge_month, with_traffic
from homeport.cost.guard import guard_month, screened_tokens
from homeport.cost.regions import RegionCost, region_costs
from homeport.cost.throughput import YOURS, PricedInstance, Throughput, measured
from homeport.cost.usage import Usage
from homeport.cost.versus import INPUT_SHARE, Versus, compare, load
from homeport.engines.registry import delivery_of
from homeport.errors import EngineMissing, MemoryTooSmall
from homeport.fit import size_unknown
from homeport.fit.cloud import engine_of, estimate
from homeport.fit.cold_start import image_bytes
from homeport.fit.table import FitRequest, fit_request
from homeport.home import Home
from homeport.json_types import JsonObject

BUILD_MINUTES = 10
"""Builds of images with up to 3.3 GB of weights took 1.6 to 6.4 minutes, others up to 30: see docs/cost.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the options ask."""

    wanted: Mapping[str, Any]  # Any: values of homeport.toml
    """Keys of `[engine]` and `[cloudrun]`, over what the file says."""
    engine: str | None
    tokens_per_day: float | None
    tokens_per_second: float | None
    wakes: int
    versus: Path | None
    input_share: float | None
    prices: Path | None
    home: Home | None = None
    """Where benches are kept: without `tokens_per_second`, the newest of the file's endpoint on Cloud Run is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What would be served, as far as its cost goes."""

    title: str
    engine: str
    shape: Shape
    region: str
    zonal: bool
    min_instances: int
    warm_hours_per_week: float
    instances: int
    cold_start_s: tuple[float, float, float]
    weights_gib: float
    image_gib: float
    build_minutes: float
    edge: bool
    """Whether a load balancer stands before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostAnswer:
    """All that the command found."""

    what: What
    question: Question
    prices: Prices
    hourly: Hourly
    cost: Cost
    versus: Versus | None
    throughput: Throughput
    edge_with_traffic: str = ""
    """What its load balancer costs beside its month, in words; '' where there is none."""
    regions: tuple[RegionCost, ...] = ()
    """What each further region costs besides: all other figures are those of the first."""
    guard_with_traffic: str = ""
    """What its screen costs beside its month, in words; '' where there is none, or one that costs nothing."""

    @property
    def place(self) -> str:
        """Describe what is priced, such as `vllm, nvidia-l4, 8 CPU, 32 GiB, us-central1, no zonal redundancy`."""
        redundancy = "zonal redundancy" if self.what.zonal else "no zonal redundancy"
        return f"{self.what.engine}, {self.what.shape.text}, {self.what.region}, {redundancy}"

    def as_json(self) -> JsonObject:
        """Return the answer as `--json` prints it."""
        return {
            "what": asdict(self.what),
            "prices": {"dated": self.prices.dated},
            **self.cost.as_json(),
            "throughput": asdict(self.throughput),
            "edge_with_traffic": self.edge_with_traffic,
            "guard_with_traffic": self.guard_with_traffic,
            "regions": [asdict(region) for region in self.regions],
            "versus": None if self.versus is None else self.versus.as_json(),
        }


def answer(model: str | None, file: Path, question: Question) -> CostAnswer:
    """
    Return what `model`, or else the spec in `file`, costs.

    Raises what `fit_request` and `estimate` raise, `EngineMissing` where the engine has no weights of it, and
    `MemoryTooSmall` where it fits nowhere.
    """
    rates = prices.load(question.prices)
    wished = fit_request(model, file, **question.wanted)
    what = _what(wished, question, rates)
    limits = cloudrun.limits()
    throughput = _throughput(model, file, question, _priced(wished, what))
    usage = Usage(
        cold_start_s=what.cold_start_s,
        idle_s=limits.idle_s,
        billed_minimum_s=limits.billed_minimum_s,
        tokens_per_day=question.tokens_per_day,
        tokens_per_second=throughput.tokens_per_second,
        wakes_per_day=question.wakes,
        weights_gib=what.weights_gib,
        image_gib=what.image_gib,
        build_minutes=what.build_minutes,
        min_instances=what.min_instances,
        warm_hours_per_week=what.warm_hours_per_week,
        instances=what.instances,
    )
    hourly = rates.hourly(what.shape, what.region, zonal=what.zonal)
    balanced = wished.edge is not None and not wished.edge.is_api_gateway
    edge = edge_month(rates, wished.edge) if wished.edge is not None and balanced else None
    guard = guard_month(rates, wished.guard, wished.cloudrun.network)
    costs = cost(rates, hourly, usage, edge, guard)
    further = wished.edge.regions if wished.edge else ()
    standing = [one for one in (costs.storage, guard) if one is not None]
    comparison = None
    if question.versus is not None:
        listed, share = load(question.versus)
        chosen = next(value for value in (question.input_share, share, INPUT_SHARE) if value is not None)
        comparison = compare(costs.bill, listed, input_share=chosen)
    return CostAnswer(
        what=what,
        question=question,
        prices=rates,
        hourly=hourly,
        cost=costs,
        versus=comparison,
        throughput=throughput,
        edge_with_traffic="" if wished.edge is None else with_traffic(rates, wished.edge),
        guard_with_traffic=screened_tokens(rates, wished.guard),
        regions=region_costs(rates, what.shape, further, zonal=what.zonal, usage=usage, standing=standing),
    )


def _priced(wished: FitRequest, what: What) -> PricedInstance:
    return PricedInstance(model=wished.subject.model, engine=what.engine, gpu=what.shape.gpu)


def _throughput(model: str | None, file: Path, question: Question, priced: PricedInstance) -> Throughput:
    tokens_per_second = question.tokens_per_second
    if tokens_per_second is not None or model is not None or question.home is None:
        return Throughput(
            tokens_per_second=tokens_per_second, source="" if tokens_per_second is None else YOURS
        )
    return measured(question.home, file, priced)


def _what(wished: FitRequest, question: Question, rates: Prices) -> What:
    """Return what is wished for as it would be on Cloud Run: on the cheapest shape that fits."""
    engine = question.engine or engine_of(wished.settings, wished.cloudrun)
    if engine not in wished.subject.weights:
        raise EngineMissing(
            f"there are no weights of {wished.subject.model.name} for {engine}",
            hint=f"there are some for {', '.join(wished.subject.weights)}: `homeport cost --engine …`",
        )
    estimated = estimate(
        wished.subject.served(engine, wished.settings), wished.cloudrun, rates, wished.scaling
    )
    best = estimated.best
    if not estimated.choice.known:
        raise size_unknown(wished.subject.model)
    if best is None or best.place.shape is None:
        remedies = "; or ".join(remedy.change for remedy in estimated.choice.remedies)
        raise MemoryTooSmall(
            f"{wished.subject.model.name} does not fit, so it has no cost: {estimated.choice.why}",
            hint=remedies or "`homeport fit` shows what it lacks",
        )
    start = next(iter(estimated.cold_starts.values()))
    weights = best.what.weights.size / cloudrun.GIB
    delivery = delivery_of(engine, wished.cloudrun.delivery)
    baked, others = delivery == "baked", delivery == "prebuilt"
    return What(
        title=wished.subject.model.name,
        engine=engine,
        shape=best.place.shape,
        region=wished.cloudrun.region,
        zonal=wished.cloudrun.zonal_redundancy,
        min_instances=wished.scaling.min,
        warm_hours_per_week=hours.hours_a_week if (hours := wished.scaling.warm_hours) is not None else 0.0,
        instances=wished.scaling.max,
        cold_start_s=(start.low, start.likely, start.high),
        weights_gib=0 if baked or others else weights,
        image_gib=0 if others else image_bytes(engine) / cloudrun.GIB + (weights if baked else 0),
        build_minutes=0 if others else BUILD_MINUTES,
        edge=wished.edge is not None and not wished.edge.is_api_gateway,
    )
