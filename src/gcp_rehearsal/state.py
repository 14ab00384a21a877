"""What exists in the rehearsed cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gcp_rehearsal.json_types import JsonObject


@dataclass(slots=True, kw_only=True)
class StoredResource:
    """One thing that exists, or did and keeps its name reserved."""

    api: str
    """Such as `run`, whatever the version."""
    name: str
    """Its path without host and version, such as `projects/p/locations/l/services/s`."""
    collection: str
    """The methods' common name, such as `run.projects.locations.services`."""
    project: str
    """The id of the project that pays for it."""
    body: JsonObject
    """As Google would answer a GET."""
    created: float = 0.0
    version: int = 1
    """Counts up with every write; etags and fingerprints are made of it."""
    hidden: dict[str, Any] = field(default_factory=dict)  # Any: whatever a behaviour must remember
    """What Google knows of it and does not show."""

    @property
    def id(self) -> str:
        """Return the last part of its name."""
        return self.name.rpartition("/")[2]


class Store:
    """Everything that exists, by API and name."""

    def __init__(self) -> None:
        self._all: dict[str, dict[str, StoredResource]] = {}

    def get(self, api: str, name: str) -> StoredResource | None:
        """Return the thing of that name, or None."""
        return self._all.get(api, {}).get(name)

    def put(self, kept: StoredResource) -> StoredResource:
        """Keep it, over what had its name."""
        self._all.setdefault(kept.api, {})[kept.name] = kept
        return kept

    def remove(self, kept: StoredResource) -> None:
        """Forget it, and all that lies under its name."""
        names = self._all[kept.api]
        del names[kept.name]
        for name in [name for name in names if name.startswith(f"{kept.name}/")]:
            del names[name]

    def under(self, api: str, collection_path: str) -> Iterator[StoredResource]:
        """Return the things directly in a collection's path, such as `projects/p/secrets`; `-` stands for any segment."""
        pattern = collection_path.split("/")
        for resource in list(self._all.get(api, {}).values()):
            segments = resource.name.split("/")
            if len(segments) == len(pattern) + 1 and all(
                want in {have, "-"} for have, want in zip(segments, pattern, strict=False)
            ):
                yield resource

    def of(self, api: str, collection: str = "") -> Iterator[StoredResource]:
        """Yield all things of an API, or of one of its collections."""
        for resource in list(self._all.get(api, {}).values()):
            if not collection or resource.collection == collection:
                yield resource

    def everything(self) -> Iterator[StoredResource]:
        """Yield all things."""
        for api in list(self._all):
            yield from self.of(api)
