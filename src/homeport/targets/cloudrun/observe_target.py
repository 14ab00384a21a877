"""The file's `[observe]` on a target: the engine's metrics, told within the instance, and the sidecar that takes them away."""

from __future__ import annotations

from dataclasses import replace

from homeport.engines.registry import module
from homeport.errors import Unsupported
from homeport.observe.objectives import service_levels
from homeport.observe.panels import Watched
from homeport.targets.cloudrun.observing import Observing
from homeport.targets.cloudrun.target import CloudRunTarget


def with_observe(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the sidecar of its file's `[observe]`; as it is where there is none, or no metrics are wanted.

    Raises `Unsupported` for an engine that tells nothing, or not what an objective is about.
    """
    observe = target.spec.observe
    if observe is None or not observe.metrics:
        return target
    engine = module(target.chosen.engine)
    if engine.METRICS is None or engine.METRICS_PATH is None:
        raise Unsupported(
            f"{engine.TITLE} tells nothing that could be observed",
            hint="set engine.kind to another engine, or remove [observe]",
        )
    names = target.names
    levels = service_levels(names.name, engine.TITLE, engine.METRICS, observe.slo, front=True)
    watched = Watched(names.name, engine.METRICS, levels)
    made = Observing(google=target.google, names=names, observe=observe, watched=watched)
    return replace(target, observing=made, beside=(*target.beside, made.container))
