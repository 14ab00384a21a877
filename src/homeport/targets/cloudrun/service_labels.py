"""
Labels of the model's service that say what it had once.

A plan looks for what that took, and what the file may want no more, only where one of them says so: all others are asked
nothing more, and for no permission on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.targets.cloudrun.names import Names

EDGE_LABEL = "homeport-edge"
"""The label of a service that had a global load balancer once."""
REGIONAL_EDGE_LABEL = "homeport-edge-regional"
"""That of one that had a regional one."""
API_GATEWAY_LABEL = "homeport-api-gateway"
"""The label of a service that had an API gateway once: in the region that it says."""
OBSERVE_LABEL = "homeport-observe"
"""That of a service whose metrics went to Cloud Monitoring once."""
BUDGET_LABEL = "homeport-budget"
"""That of a service that had a budget: it stays until that is seen to be gone, since nothing else tells of it."""
TRACES_LABEL = "homeport-traces"
"""That of a service whose spans went to Cloud Trace once."""
GUARD_LABEL = "homeport-guard"
"""The label of a service that Model Armor screened once."""
IAP_LABEL = "homeport-iap"
"""That of a service that stood behind Identity-Aware Proxy once."""
ROAD_LABEL = "homeport-guard-road"
"""That of a service that one of Google's own roads screened once, at its load balancer."""
REGISTRY_LABEL = "homeport-agent-registry"
"""
That of one beside which an agent stood whose card was in Agent Registry once, and of the agent's own: it stays until the entry is seen
to be gone. It is on both, since somebody may delete either by hand.
"""
CACHE_LABEL = "homeport-startup-cache"
"""That of a service that starts with a startup cache, and of the bucket of its caches."""


FURTHER_LABEL = "homeport-further"
"""That of a service that repeats the endpoint in a further region; its value is the region that goes before."""
_IN = "homeport-in-"
"""How labels begin of a service whose endpoint was repeated once: the rest is the region in which."""


def region_labels(regions: Sequence[str]) -> dict[str, str]:
    """Return the labels of the service in the first region of an endpoint that is repeated in `regions`."""
    return {f"{_IN}{region}": "edge" for region in regions}


def further_regions_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the further regions that a service's labels tell of, where the endpoint is or was once."""
    return tuple(sorted(label.removeprefix(_IN) for label in labels if label.startswith(_IN)))


class Labelling(Protocol):
    """What gives the service labels that tell of it."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Return them."""


def labels_of(*every: Labelling | None) -> dict[str, str]:
    """Return the labels of all that there is."""
    return {key: value for one in every if one is not None for key, value in one.labels.items()}


def repeats(service: Mapping[str, Json]) -> str:
    """Return the first region of the endpoint that a service repeats in another; '' for one that repeats none."""
    return str(service.get("labels", {}).get(FURTHER_LABEL, ""))


def is_further(service: Mapping[str, Json]) -> bool:
    """Return True if a service repeats an endpoint whose first region is another."""
    return bool(repeats(service))


def edge_labels(kind: str) -> dict[str, str]:
    """Return the label of a service with a load balancer of that kind."""
    return {EDGE_LABEL if kind == "global" else REGIONAL_EDGE_LABEL: kind}


async def read_labels(google: Google, names: Names) -> Mapping[str, str] | None:
    """Return the labels of the endpoint's service; None where there is none."""
    return await labels_of_service(google, names.service)


async def labels_of_service(google: Google, service: str) -> Mapping[str, str] | None:
    """Return the labels of the service of that full name; None where there is none."""
    try:
        live = await google.get("run", f"v2/{service}")
    except (NotFound, ApiDisabled):
        return None
    return dict(live.get("labels", {}))
