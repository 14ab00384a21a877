"""An endpoint in several regions, taken apart: what each further region has alone, and what it shares with the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from homeport.reconcile import Resource
from homeport.targets.cloudrun.regions.in_region import InRegion


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPart:
    """A further region, as if it were the only one."""

    region: str
    resources: tuple[Resource, ...]
    """All that there is for it, each under the id that it has there."""
    whole: Mapping[str, str]
    """What the whole calls those that this region has alone, by their ids in it."""


def of_the_first(resources: Sequence[Resource]) -> list[Resource]:
    """Return what the first region has, and what all share."""
    return [resource for resource in resources if not isinstance(resource, InRegion)]


def of_the_further(resources: Sequence[Resource]) -> Iterator[RegionPart]:
    """Yield the further regions, in their order."""
    by_id = {resource.id: resource for resource in resources}
    placed = [resource for resource in resources if isinstance(resource, InRegion)]
    for region in dict.fromkeys(one.region for one in placed):
        own = [one for one in placed if one.region == region]
        ids = own[0].ids
        alone = {one.id for one in own}
        shared = {
            inner: by_id[outer] for inner, outer in ids.items() if outer not in alone and outer in by_id
        }
        # Of the first region's own, such as the account of an agent that is there and may call the model here.
        elsewhere = {need for one in own for need in one.thing.needs if need not in ids and need in by_id}
        shared |= {need: by_id[need] for need in sorted(elsewhere)}
        yield RegionPart(
            region=region,
            resources=(*(_bare(inner, one) for inner, one in shared.items()), *(one.thing for one in own)),
            whole={one.thing.id: one.id for one in own},
        )


def _bare(inner: str, shared: Resource) -> Resource:
    thing = shared.thing if isinstance(shared, InRegion) else shared
    if thing.id != inner:
        raise TypeError(f"{thing.id} is shared by regions, one of which calls it {inner}")
    return thing


__all__ = ["RegionPart", "of_the_first", "of_the_further"]
