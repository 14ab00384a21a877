"""What a plan for Cloud Run tells."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.catalog.prices import load as load_prices
from homeport.engines.registry import module
from homeport.reconcile import Plan
from homeport.reconcile.fact import Fact
from homeport.targets.cloudrun import facts
from homeport.targets.cloudrun.durations import duration_fact
from homeport.targets.cloudrun.encryption_fact import EncryptionFact
from homeport.targets.cloudrun.iap.fact import IapFact
from homeport.targets.cloudrun.prebuilt import PREBUILT
from homeport.targets.cloudrun.preflight import Findings
from homeport.targets.cloudrun.regions.fact import RegionsFact
from homeport.targets.cloudrun.startup_cache.fact import CacheState, StartupCacheFact
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.facts import ModelFact


def facts_of(target: CloudRunTarget, plan: Plan, findings: Findings) -> tuple[Fact, ...]:
    """Return all that a plan tells, in its order."""
    return (*_as_wanted(target, findings), *_startup_cache(target, plan), *_duration(target, plan))


def _as_wanted(target: CloudRunTarget, findings: Findings) -> Iterator[Fact]:
    settings, model = target.spec.engine, target.chosen.model
    size = target.chosen.published.size or target.pinned_size
    estimate, best = target.estimate, target.estimate.best
    assert best is not None
    library = f"{target.chosen.tag} of {module(target.chosen.engine).TITLE}'s library"
    yield facts.ProjectFact(project=target.google.project, region=target.names.region)
    yield ModelFact(title=model.title, licence=model.licence)
    yield facts.ImageFact(name=target.chosen.engine, image=target.base)
    yield facts.WeightsFact(delivery=target.delivery, source=target.stored.uri if target.stored else library)
    if target.weights.adapters:
        yield facts.AdaptersFact(
            sources={name: adapter.uri for name, adapter in target.weights.adapters.items()}
        )
    yield facts.InstanceFact(
        gpu=target.shape.gpu,
        cpu=estimate.size.cpu,
        memory_gib=estimate.size.memory_gib,
        min_instances=target.spec.scaling.min,
        max_instances=target.spec.scaling.max,
        target_concurrency=target.spec.scaling.target_concurrency,
        target_cpu=target.spec.scaling.target_cpu,
    )
    yield facts.concurrency_of(best, settings.context)
    if findings.quotas:
        yield facts.QuotasFact(found=findings.quotas)
    if target.token:
        yield facts.HubTokenFact(source=target.token.source, secret=target.names.secret)
    yield facts.PriceFact.of(estimate, target.spec.scaling.min)
    yield from _warm_hours(target)
    # Each region has its own.
    stored_bytes = 0 if target.delivery == PREBUILT else size * (1 + len(target.further))
    yield facts.StayingFact.of(load_prices(), target.foundations.zones, stored_bytes, baked=target.baked)
    yield facts.ColdStartFact.of(target.cold_start)
    yield from _who_calls(target)
    yield from target.told
    yield from target.road.facts() if target.road else ()
    yield from target.edge.facts(load_prices(), screens=target.road is not None) if target.edge else ()
    yield from target.api_gateway.facts(load_prices()) if target.api_gateway else ()
    if target.further:
        priced = [(each.names.region, each.estimate) for each in target.every]
        yield RegionsFact.of(priced, target.spec.scaling.min)
    yield from target.observing.facts(load_prices()) if target.observing else ()
    keys = {each.names.region: each.foundations.key for each in target.every}
    yield from (*EncryptionFact.of(keys), *facts.of_companions(target.companions, target.names))


def _who_calls(target: CloudRunTarget) -> Iterator[Fact]:
    yield facts.CallersFact(public=target.spec.access.public, callers=target.callers)
    if target.iap:
        address = target.edge.address if target.edge else ""
        yield IapFact(members=target.iap.members, agent=target.iap.agent, address=address)


def _warm_hours(target: CloudRunTarget) -> Iterator[Fact]:
    """Yield what warm hours cost, in all regions together; nothing without any."""
    scaling, every = target.spec.scaling, [each.estimate for each in target.every]
    if scaling.warm and (hours := scaling.warm_hours) is not None:
        yield facts.WarmFact.of(every, scaling.warm, hours, target.moment)


def _startup_cache(target: CloudRunTarget, plan: Plan) -> tuple[Fact, ...]:
    """Return whether starts use what an earlier one compiled; nothing where nobody asked for that."""
    if target.settings.startup_cache != "auto":
        return ()
    pending = {action.resource.id for action in plan.pending}
    making = [each.estimate for each in target.every if _cache_of(target, each) in pending]
    state: CacheState = "to be made" if making else "there" if target.cache else "none"
    return (StartupCacheFact.of(state, target.no_cache, (target.cold_start, target.first_start), making),)


def _cache_of(target: CloudRunTarget, each: CloudRunTarget) -> str:
    """Return what the startup cache of a region's target is called in the whole; '' where there is none."""
    return (each.cache.resource.id + _in(target, each)) if each.cache else ""


def _in(target: CloudRunTarget, each: CloudRunTarget) -> str:
    """Return the end that ids of a region's own things have in the whole."""
    return "" if each is target else f" in {each.names.region}"


def _duration(target: CloudRunTarget, plan: Plan) -> tuple[Fact, ...]:
    """Return how long the plan takes; nothing where there is nothing to do."""
    size = target.chosen.published.size or target.pinned_size
    baked = size if target.baked else None
    starts = {target.service.id + _in(target, each): each.cold_start for each in target.every}
    starts |= {_cache_of(target, each): each.first_start for each in target.every if each.cache}
    return (duration_fact(plan, starts, baked),) if plan.pending else ()
