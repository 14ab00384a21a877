"""What Model Armor takes, and where a project's things of each kind are listed."""

from __future__ import annotations

from homeport.resources.google.model_armor import ENDPOINT, TEMPLATE
from homeport.targets.cloudrun.listed_kind import ListedKind

GUARD_KINDS = (
    ListedKind(
        kind=TEMPLATE, plural="Model Armor templates", api="modelarmor.{region}.rep",
        path="v1/projects/{project}/locations/{region}/templates", items="templates",
    ),
    ListedKind(
        kind=ENDPOINT, plural="regional endpoints", api="networkconnectivity",
        path="v1/projects/{project}/locations/{region}/regionalEndpoints", items="regionalEndpoints",
    ),
)  # fmt: skip
