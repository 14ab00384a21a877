"""How long each thing of a deployment on Cloud Run takes to be made, by what was published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from homeport.catalog.durations import Durations, durations
from homeport.fit.cold_start import ColdStart
from homeport.reconcile import Plan, Resource
from homeport.reconcile.duration_fact import DurationFact
from homeport.reconcile.schedule import Span, schedule
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.targets.cloudrun.regions.in_region import InRegion


def duration_fact(plan: Plan, starts: Mapping[str, ColdStart], baked_bytes: int | None) -> DurationFact:
    """
    Return how long it takes to apply `plan`, in which the things with the ids of `starts` start an engine.

    `baked_bytes` are those of the weights that the built image holds; None where it holds none.
    """
    table = durations()
    resources = [action.resource for action in plan.pending]
    spans = dict(_spans(table, resources, baked_bytes))
    for id_ in starts.keys() & {resource.id for resource in resources}:
        start = starts[id_]
        spans[id_] = Span(
            low_s=start.low,
            high_s=start.high,
            how="its first instance starts: the expected cold start",
            source="homeport/catalog/cold_start.toml",
            checked=not start.unconfirmed,
        )
    return DurationFact.of(schedule(plan.actions, spans), table.dated.isoformat())


def _spans(
    table: Durations, resources: Iterable[Resource], baked_bytes: int | None
) -> Iterable[tuple[str, Span]]:
    for planned in resources:
        resource = planned.thing if isinstance(planned, InRegion) else planned
        size, kind = 0, resource.kind
        if isinstance(resource, StoredWeights):
            if resource.folder is not None:  # From this machine: nobody knows how fast it sends.
                continue
            size = resource.pin.size
        elif resource.id == "image/serving" and baked_bytes is not None:
            size, kind = baked_bytes, "image with weights"
        span = table.of(kind, size)
        if span is not None:
            yield planned.id, span
