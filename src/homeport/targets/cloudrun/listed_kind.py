"""A kind of thing of a project, and where things of it are listed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKind:
    """A kind of thing that carries the mark, and where a project's things of it are listed."""

    kind: str
    """As `RestResource.kind` says it."""
    plural: str
    api: str
    """With `{region}` where each region has a host of its own."""
    path: str
    """With `{project}` and, where each region has a list of its own, `{region}`."""
    items: str
    """The key of the list in an answer."""
    somewhere: bool = False
    """
    Whether not each region has its API: things of it stand where the service is that tells of them, so that no other region is
    asked, and one that answers 404 is one without.
    """
    query: Mapping[str, Any] = field(default_factory=dict)  # Any: see ApiCall.query

    @property
    def regional(self) -> bool:
        """Tell whether each region has a list of its own."""
        return "{region}" in self.path
