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
from homeport.targets.cloudrun.observing import Observing
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.uptime import uptime_probe


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
    levels = service_levels(names.name, title_of_counter(engine), series, observe.slo, front=True)
    observing = Observing(
        google=target.google, names=names, observe=observe, watched=Watched(names.name, series, levels),
        in_front=counts_in_front(target.spec, engine),
    )  # fmt: skip
    return replace(target, observing=observing, beside=(*target.beside, *observing.containers))


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
