"""What a spec would be on Cloud Run: the shape, its price, its cold start, and the settings that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from homeport.catalog import cloudrun
from homeport.catalog.cloudrun import Shape
from homeport.catalog.cpu_and_memory import NOTHING, CpuAndMemory
from homeport.catalog.prices import Hourly, Prices, load
from homeport.catalog.served_for import served_for
from homeport.engines.registry import delivery_of, ensure_honoured, keeps_start, module, on_cloud
from homeport.fit import Fit, Serving, cold_start
from homeport.fit.choice import Choice, choose
from homeport.fit.cold_start import ColdStart
from homeport.fit.devices import Place
from homeport.fit.outlook import CloudRunOutlook
from homeport.fit.own_starts import corrected
from homeport.json_types import JsonObject
from homeport.spec import CloudRun, Delivery, Engine, Scaling, Spec

CACHED: Delivery = "gcsfuse-cached"
"""A cache takes as much of the instance's memory as the weights are large: whether it fits is told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one model would be on Cloud Run."""

    choice: Choice
    wanted: CloudRun
    hourly: Hourly | None
    """Of the chosen shape; None where none fits."""
    cold_starts: Mapping[str, ColdStart]
    """By the delivery of the weights, the quickest first; empty where no shape fits."""
    quotas: tuple[QuotaFact, ...]
    scaling: Scaling = field(default_factory=Scaling)
    beside: CpuAndMemory = NOTHING
    """What further containers of an instance have."""

    @property
    def size(self) -> CpuAndMemory:
        """Return CPU and memory of an instance, of all its containers; nothing where no shape fits."""
        shape = self.best.place.shape if self.best else None
        if shape is None:
            return self.beside
        return CpuAndMemory(cpu=shape.cpu, memory_gib=shape.memory_gib) + self.beside

    def with_beside(self, beside: CpuAndMemory, prices: Prices) -> Estimate:
        """Return this with further containers in each instance, whose CPU and memory cost and count as well."""
        shape, cloud_settings = self.best.place.shape if self.best else None, self.wanted
        if shape is None:
            return self
        return replace(
            self,
            beside=beside,
            hourly=prices.hourly(
                shape, cloud_settings.region, zonal=cloud_settings.zonal_redundancy, beside=beside
            ),
            quotas=quotas(shape, cloud_settings, self.scaling, beside),
        )

    @property
    def best(self) -> Fit | None:
        """Return the chosen fit; None where nothing fits."""
        return self.choice.best

    @property
    def flags(self) -> Mapping[str, str]:
        """Return the engine's flags, or environment variables, with their values; empty where nothing fits."""
        return self.best.flags if self.best else {}

    @property
    def instances(self) -> int | None:
        """Return how many instances a new project's quotas allow; None where one of them is not known."""
        count, allowed = self.scaling.max, []
        for quota in self.quotas:
            if quota.default is None:
                return None
            allowed.append(int(quota.default * count / quota.needs))
        return min(allowed, default=0)

    @property
    def start(self) -> str:
        """Describe the cold starts in words, with a warning where one may take longer than a startup probe may."""
        most = cloudrun.limits().startup_s
        slow = [delivery for delivery, start in self.cold_starts.items() if start.high > most]
        words = "; ".join(f"{delivery} {start.text}" for delivery, start in self.cold_starts.items())
        words += f"; {_sources(self.cold_starts)}, worse was seen"
        if not slow:
            return words
        doubt = (
            ", on which Google's documents disagree" if "startup_s" in cloudrun.limits().unconfirmed else ""
        )
        return f"{words}; {' and '.join(slow)} may pass the {most // 60} min of a startup probe{doubt}"

    @property
    def price(self) -> str:
        """Describe what an hour costs, in words; '' where nothing fits."""
        if self.hourly is None:
            return ""
        mark = "?" if self.hourly.unconfirmed else ""
        idle = self.scaling.min * self.hourly.total
        asleep = f"${idle:.2f} an hour at least" if idle else "nothing while it is scaled to zero"
        return f"${self.hourly.total:.2f}{mark} an hour for each instance that runs, {asleep}"

    def as_json(self) -> JsonObject:
        """Return the estimate as `--json` prints it."""
        choice, best = self.choice, self.best
        return {
            "fits": best is not None if choice.known else None,
            "why": choice.why,
            "chosen": best.as_json() if best else None,
            "runner_up": choice.runner_up.place.name if choice.runner_up else None,
            "usd_per_hour": round(self.hourly.total, 4) if self.hourly else None,
            "unconfirmed_prices": list(self.hourly.unconfirmed) if self.hourly else [],
            "cold_starts": {delivery: start.as_json() for delivery, start in self.cold_starts.items()},
            "flags": dict(self.flags),
            "concurrency": best.what.settings.parallel if best else None,
            "max_instances": self.scaling.max,
            "most": {
                "parallel": None if best.uncounted else best.concurrency,
                "context": best.longest_context(),
            }
            if best
            else None,
            "instances_of_default_quotas": self.instances,
            "quotas": [quota.as_json() for quota in self.quotas],
            "remedies": [
                {
                    "change": remedy.change,
                    "settings": remedy.settings,
                    "place": remedy.fit.place.name,
                    "usd_per_hour": round(remedy.price, 4),
                }
                for remedy in choice.remedies
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaFact:
    """What `scaling.max` instances need of a quota, against what a new project has."""

    what: str
    needs: float
    default: float | None
    """None where nobody says."""
    unit: str

    @property
    def suffices(self) -> bool:
        """Tell whether a new project's quota is known to be enough."""
        return self.default is not None and self.needs <= self.default

    @property
    def text(self) -> str:
        """Describe the quota in words."""
        has = (
            "nobody says what a new project has"
            if self.default is None
            else f"a new project has {self.default:g}"
        )
        return f"{self.what} wants {self.needs:g} {self.unit}, {has}"

    def as_json(self) -> JsonObject:
        """Return the quota as `--json` prints it."""
        return {"quota": self.what, "needs": self.needs, "default": self.default, "unit": self.unit}


def estimate(what: Serving, wanted: CloudRun, prices: Prices, scaling: Scaling | None = None) -> Estimate:
    """
    Return the cheapest shape that fits, in the wanted region, with the wanted GPU or any.

    Raises `SpecError` where the engine is for this machine alone or cannot honour the settings, the region has no
    such GPU, or there is no price for it.
    """
    delivery_of(what.engine, wanted.delivery)
    ensure_honoured(what.engine, what.settings)
    price = partial(_price, prices=prices, wanted=wanted)
    choice = choose(what, price=price, region=wanted.region, gpu=wanted.gpu)
    best = choice.best
    if best is None or best.place.shape is None:
        return Estimate(choice=choice, wanted=wanted, hourly=None, cold_starts={}, quotas=())
    shape, scaling = best.place.shape, scaling or Scaling()
    return Estimate(
        choice=choice,
        wanted=wanted,
        hourly=prices.hourly(shape, wanted.region, zonal=wanted.zonal_redundancy),
        cold_starts=cold_starts(best, wanted),
        quotas=quotas(shape, wanted, scaling),
        scaling=scaling,
    )


def engine_of(settings: Engine, wanted: CloudRun) -> str:
    """Return the engine that would serve on Cloud Run: the one that is asked for, else the preferred one."""
    return on_cloud(settings.kind, wanted.delivery)[0]


def outlook(spec: Spec, spec_file: Path) -> CloudRunOutlook:
    """
    Return what the spec would be on Cloud Run, as a plan for this machine shows it.

    Raises what `subject` and `estimate` raise.
    """
    from homeport.fit.subject import subject

    cloud_settings = spec.cloudrun or CloudRun()
    engine = engine_of(spec.engine, cloud_settings)
    model_subject = subject(spec.model, spec_file.parent, weights=spec.weights)
    model_subject = replace(model_subject, model=served_for(model_subject.model, spec.task))
    if engine not in model_subject.weights:
        return CloudRunOutlook(
            fits=False, words=f"no: there are no weights of {model_subject.model.name} for {engine}"
        )
    estimated = estimate(model_subject.served(engine, spec.engine), cloud_settings, load(), spec.scaling)
    if not estimated.choice.known:
        return CloudRunOutlook(
            fits=None, words=estimated.choice.why, engine=engine, region=cloud_settings.region
        )
    if estimated.best is None or estimated.hourly is None:
        change = f"; would fit: {estimated.choice.remedies[0].change}" if estimated.choice.remedies else ""
        words = (
            f"does not fit {cloud_settings.gpu} in {cloud_settings.region}: {estimated.choice.why}{change}"
        )
        return CloudRunOutlook(fits=False, words=words, engine=engine, region=cloud_settings.region)
    return CloudRunOutlook(
        fits=True,
        words=f"{engine} on {estimated.best.place.name} in {cloud_settings.region} ({estimated.choice.why})",
        engine=engine,
        place=estimated.best.place.name,
        region=cloud_settings.region,
        concurrency=None if estimated.best.uncounted else estimated.best.concurrency,
        uncounted=estimated.best.uncounted,
        context_tokens=estimated.best.what.settings.context,
        usd_per_hour=round(estimated.hourly.total, 4),
        price=estimated.price,
        cold_start=estimated.start,
        missing_quotas=tuple(quota.text for quota in estimated.quotas if not quota.suffices),
    )


def cold_starts(result: Fit, wanted: CloudRun) -> dict[str, ColdStart]:
    """
    Return the expected cold starts of a fit on Cloud Run, by the delivery of the weights, the quickest first.

    Images that others have built are there for few models: theirs is told where the file wants it.
    """
    engine, size = result.what.engine, result.what.weights.size
    restored = keeps_start(engine, wanted.startup_cache)
    return {
        delivery: corrected(
            cold_start.expected(engine=engine, delivery=delivery, weights_bytes=size, kept=restored)
        )
        for delivery in module(engine).DELIVERIES
        if delivery != CACHED and (delivery != "prebuilt" or delivery == wanted.delivery)
    }


def quotas(
    shape: Shape, wanted: CloudRun, scaling: Scaling, beside: CpuAndMemory = NOTHING
) -> tuple[QuotaFact, ...]:
    """
    Return what the instances need of the region's quotas, and what a new project has of them; each has `beside` of
    further containers.
    """
    gpu = cloudrun.gpu(shape.gpu)
    assert gpu is not None
    limits, count = cloudrun.limits(), scaling.max
    redundancy = "zonal" if wanted.zonal_redundancy else "no-zonal"
    return (
        QuotaFact(
            what=gpu.quota[redundancy],
            needs=count * gpu.quota_unit,
            default=None if wanted.zonal_redundancy else gpu.default_quota * gpu.quota_unit,
            unit="GPU" if gpu.quota_unit == 1 else "thousandths of a GPU",
        ),
        QuotaFact(
            what="CpuAllocPerProjectRegion",
            needs=count * (shape.cpu + beside.cpu),
            default=limits.cpu_quota_milli / 1000,
            unit="CPU",
        ),
        QuotaFact(
            what="MemAllocPerProjectRegion",
            needs=count * (shape.memory_gib + beside.memory_gib),
            default=limits.memory_quota / 2**30,
            unit="GiB",
        ),
    )


def _price(place: Place, *, prices: Prices, wanted: CloudRun) -> float:
    assert place.shape is not None
    return prices.hourly(place.shape, wanted.region, zonal=wanted.zonal_redundancy).total


def _sources(starts: Mapping[str, ColdStart]) -> str:
    """Return what expected cold starts rest on: of the ways that starts of the user's own correct, these, too."""
    published = "expected from published figures"
    own = [
        f"{name} times {start.factor:.2f} by {start.own_starts} of your own"
        for name, start in starts.items()
        if start.own_starts
    ]
    return ", ".join((published, *own))
