"""Where a project's dashboards, alert policies and notification channels are listed."""

from __future__ import annotations

from homeport.resources.google.monitoring import COLLECTIONS, POLICY
from homeport.targets.cloudrun.listed_kind import ListedKind

OBSERVE_KINDS = tuple(
    ListedKind(
        kind=kind,
        plural="alert policies" if kind == POLICY else f"{kind}s",
        api="monitoring",
        path=f"{version}/projects/{{project}}/{collection}",
        items=collection,
    )
    for kind, (version, collection) in COLLECTIONS.items()
)
