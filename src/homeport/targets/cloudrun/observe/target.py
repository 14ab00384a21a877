"""The file's `[observe]` on a target: the engine's metrics, told within the instance, and the sidecar that takes them away."""

from __future__ import annotations

from dataclasses import replace

from homeport.engines.registry import module
from homeport.errors import Unsupported
from homeport.observe.objectives import service_levels
from homeport.observe.panels import Watched
from homeport.observe.uptime import UptimeWatch
from homeport.targets.cloudrun.front import (
    counts_in_front,
    has_front,
    names_on_cloud_run,
    title_of_counter,
)
from homeport.targets.cloudrun.observe.sidecar import CALLERS_PORT, Observing
from homeport.targets.cloudrun.observe.uptime import uptime_probe
from homeport.targets.cloudrun.target import CloudRunTarget

_AS_ONE = (
    "observe.callers counts all clients of the API gateway as one, its own account: it calls the service as that, and no page of Google's "
    "says that it tells whose key it took"
)


def with_observe(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the sidecar of its file's `[observe]`; as it is where there is none, or no metrics are wanted.

    Where the engine tells nothing, the gateway before it counts. Raises `Unsupported` for an objective that nobody counts, and
    for spans that nobody sends or takes away.
    """
    observe = target.spec.observe
    if observe is not None and observe.traces and not observe.metrics:
        raise Unsupported(
            "observe.traces on Cloud Run goes by the collector that stands beside the engine with the metrics, and metrics = false",
            hint="set observe.metrics to true, or remove traces",
        )
    if observe is None or not observe.metrics:
        return target
    if observe.callers:
        _ensure_callers_are_known(target)
    if (
        observe.traces
        and not module(target.chosen.engine).TRACES
        and not has_front(target.spec, target.chosen.engine)
    ):
        raise Unsupported(
            f"{module(target.chosen.engine).TITLE} sends no spans, and observe.traces asks for them",
            hint="add [guard], whose gateway sends them, set engine.kind to another engine, or remove traces",
        )
    engine, names = target.chosen.engine, target.names
    series = names_on_cloud_run(engine)
    edge = target.spec.edge
    apart = edge is not None and bool(edge.regions)
    title = title_of_counter(engine)
    levels = service_levels(names.name, title, series, observe.slo, front=True, apart=apart)
    in_front = counts_in_front(target.spec, engine)
    beside = CALLERS_PORT if observe.callers and not in_front else None
    watched = Watched(names.name, series, levels, beside=beside, apart=apart)
    observing = Observing(
        google=target.google, names=names, observe=observe, watched=watched, in_front=in_front
    )
    as_one = observe.callers and edge is not None and edge.is_api_gateway
    notes = (*target.notes, *((_AS_ONE,) if as_one else ()))
    return replace(target, observing=observing, beside=(*target.beside, *observing.containers), notes=notes)


def _ensure_callers_are_known(target: CloudRunTarget) -> None:
    if target.spec.access.public:
        raise Unsupported(
            "observe.callers goes by the tokens that Cloud Run has looked at, and access.public lets everybody in without one: any name "
            "could be written into a request",
            hint="remove callers, or name who may call it in access.callers instead of public",
        )


async def with_uptime(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the uptime check of its file's `[observe]`; as it is where none is wanted.

    Raises whatever keeps the project's number from being read, by which the account that asks is named.
    """
    observing = target.observing
    if observing is None or not observing.observe.uptime:
        return target
    names, public = target.names, target.spec.access.public
    probe = await uptime_probe(target.google, names, public=public)
    watched = replace(observing.watched, uptime=UptimeWatch(names.name, names.region))
    return replace(target, observing=replace(observing, probe=probe, watched=watched))
