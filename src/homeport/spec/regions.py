"""Several regions of one endpoint: what a file must say for that, and what is not built together with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from homeport.patterns import IN_REGION


def refusal(spec: Any) -> str:  # Any: the spec, whose module imports this one
    """Return why the file's endpoint cannot be served in its further regions; '' where it can, or has none."""
    if spec.edge is None or not spec.edge.regions:
        return ""
    return _unplaced(spec.edge.regions, spec.cloudrun) or next(
        (why for value, why in _one_regions(spec) if value), ""
    )


def _unplaced(regions: Sequence[str], settings: Any) -> str:  # Any: as above
    """Return why an endpoint cannot be in these further regions; '' where it can."""
    gpu = settings.gpu if settings else "auto"
    home = settings.region if settings and "region" in settings.model_fields_set else ""
    if not home:
        return (
            "edge.regions are further ones, and which is the first must be said: it makes what all of them share, and is changed before "
            'them. Set region in [cloudrun], as in region = "europe-west4"'
        )
    if home in regions:
        return f"edge.regions are further ones, and {home} is that of [cloudrun] already; remove it there"
    offered = gpu_regions(gpu)
    unknown = [region for region in regions if region not in offered]
    if unknown:
        device = "GPU" if gpu == "auto" else gpu
        return f"edge.regions names {unknown[0]}, which has no {device}; there is one in {', '.join(offered)}"
    return ""


def _one_regions(spec: Any) -> Iterator[tuple[object, str]]:  # Any: as above
    """Yield what a file may say that is of one region, each with why it does not go together with several."""
    of_key = (
        "edge.regions wants a key in each region: a key of Cloud KMS is of one region, and what lies in another takes none of it. Write "
        f"{IN_REGION} in access.encryption_key where the location stands, as in projects/P/locations/{IN_REGION}/keyRings/K/cryptoKeys/N"
    )
    of_template = (
        "edge.regions is not built together with guard.template: a template of Model Armor is in one region, and each region screens by one "
        "of its own. Leave template out, and `up` makes one in each"
    )
    of_road = (
        'edge.regions is not built together with guard.where other than "gateway": one of Google\'s roads stands once at the load balancer, '
        "with the template of one region. Remove where, and each region screens by a gateway of its own, or remove regions"
    )
    yield spec.guard is not None and not spec.guard.in_gateway, of_road
    key = spec.access.encryption_key
    yield key and f"/locations/{IN_REGION}/" not in key, of_key
    yield spec.guard is not None and spec.guard.template, of_template


def gpu_regions(gpu: str) -> Sequence[str]:
    """Return the regions that have a GPU of that name; with `auto` those that have any."""
    from homeport.catalog import cloudrun as catalog  # Late: most files name no further region.

    named = None if gpu == "auto" else catalog.gpu(gpu)
    return named.regions if named is not None else catalog.regions()


__all__ = ["gpu_regions", "refusal"]
