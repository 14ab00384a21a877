"""Where a project's entries of Agent Registry are listed."""

from __future__ import annotations

from homeport.resources.google.agent_registry import API, KIND
from homeport.targets.cloudrun.listed_kind import ListedKind

ENTRY_KINDS = (
    ListedKind(
        kind=KIND,
        plural="registry entries",
        api=API,
        path="v1/projects/{project}/locations/{region}/services",
        items="services",
        somewhere=True,
    ),
)
