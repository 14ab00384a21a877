"""Whether a startup cache can be made: the job that does takes an instance with a GPU."""

from __future__ import annotations

from dataclasses import replace

from homeport.engines.registry import module
from homeport.targets.cloudrun.preflight import room
from homeport.targets.cloudrun.service_labels import read_labels
from homeport.targets.cloudrun.target import CloudRunTarget


async def with_room(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target as it is possible: without a startup cache where none can be made, with the reason. Reads only. Each region
    is asked for itself.

    One that is there needs no room. A service that is yet to be made has no instances, so that the job comes before them;
    beside a service that is there the quotas must hold one instance more than it may have. Where that is not known there is
    none, and the reason says that it is not known.
    """
    if target.settings.startup_cache != "auto":
        return target
    further = [await with_room(other) for other in target.further]
    return replace(await _alone(target), further=tuple(further))


async def _alone(target: CloudRunTarget) -> CloudRunTarget:
    if target.keeps is None:
        title = module(target.chosen.engine).TITLE
        return replace(target, no_cache=f"{title} compiles nothing, and so keeps nothing of a start")
    cache = target.cache
    if (
        cache is None
        or await cache.resource.read() is not None
        or await read_labels(target.google, target.names) is None
    ):
        return target
    lacking = await room(target.google, target.preflight_input())
    return replace(target, no_cache=f"its job wants an instance, and {lacking}") if lacking else target
