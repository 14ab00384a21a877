"""What one of Google's roads takes, and where a project's things of each kind are listed."""

from __future__ import annotations

from homeport.resources.google.service_extensions import AUTHZ, COLLECTIONS, POLICY, TRAFFIC
from homeport.targets.cloudrun.guard.kinds import GUARD_KINDS
from homeport.targets.cloudrun.listed_kind import ListedKind

_PLURALS = {
    POLICY: "authorization policies",
    TRAFFIC: "traffic extensions",
    AUTHZ: "authorization extensions",
}
ROAD_KINDS = (
    GUARD_KINDS[0],
    *(
        ListedKind(
            kind=kind,
            plural=_PLURALS[kind],
            api=api,
            path=f"v1/projects/{{project}}/locations/{{region}}/{collection}",
            items=collection,
        )
        for kind, (api, collection, _) in COLLECTIONS.items()
    ),
)
"""A template, and what names it: all of a region."""
