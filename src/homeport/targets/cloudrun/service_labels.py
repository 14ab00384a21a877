"""
Labels of the model's service that say what it had once.

A plan looks for what that took, and what the file may want no more, only where one of them says so: all others are asked
nothing more, and for no permission on it.
"""

from __future__ import annotations

from collections.abc import Mapping

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
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
CACHE_LABEL = "homeport-startup-cache"
"""That of a service that starts with a startup cache, and of the bucket of its caches."""


def edge_labels(kind: str) -> dict[str, str]:
    """Return the label of a service with a load balancer of that kind."""
    return {EDGE_LABEL if kind == "global" else REGIONAL_EDGE_LABEL: kind}


async def labels_there(google: Google, names: Names) -> Mapping[str, str] | None:
    """Return the labels of the endpoint's service; None where there is none."""
    try:
        service = await google.get("run", f"v2/{names.service}")
    except (NotFound, ApiDisabled):
        return None
    return dict(service.get("labels", {}))
