"""A thing of Google's that has an address: read, made, changed and unmade by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.google.operations import is_operation
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs, needs_of, resolve
from homeport.reconcile.diff import Rules, differences
from homeport.resources.base import BaseResource
from homeport.resources.google.propagation import patient

LABEL = "homeport"
"""The label's key; its value is the endpoint's name. What cannot have labels says `homeport=NAME` in its description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a thing is, in Google's own terms."""

    api: str
    """Such as `secretmanager`."""
    path: str
    """Of the thing, such as `v1/projects/p/secrets/home`."""
    made_at: str
    """Where it is made by POST, such as `v1/projects/p/secrets`."""
    query: Mapping[str, str] = field(default_factory=dict)
    """What the POST's query says, such as its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestResource(BaseResource):
    """
    One such thing.

    Its `wanted` body may hold `Ref`s to what other things turn out to be. Only what is wanted is compared with
    what is live, so that whatever Google sets by itself is no difference.
    """

    google: Google
    name: str
    """Of the endpoint that it belongs to."""
    id: str
    kind: str
    """What it is, in people's words, such as `secret`: exporters know it by this."""
    address: Address
    wanted: Mapping[str, Any]  # Any: JSON, and Refs
    after: tuple[str, ...] = ()
    """Ids of things that must be there first and that `wanted` does not refer to."""
    rules: Rules = field(default_factory=Rules)
    change: Literal["mask", "merge", "never"] = "mask"
    """How it takes a change: fields named by a mask; those that are sent."""
    marked: Literal["labels", "description"] = "labels"
    """Where it says that it is ours."""
    deadline: float = 600.0
    """Seconds that making, changing or unmaking it may take."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of what must be there first."""
        return tuple(dict.fromkeys((*self.after, *needs_of(self.wanted))))

    async def read(self) -> Json | None:
        """Return what is live. An API that is off has no things."""
        try:
            return await self.google.get(self.address.api, self.address.path)
        except (NotFound, ApiDisabled):
            return None

    def is_managed(self, live: Json) -> bool:
        """Return True if it carries the endpoint's label."""
        if self.marked == "labels":
            return bool(live.get("labels", {}).get(LABEL) == self.name)
        return f"{LABEL}={self.name}" in str(live.get("description", "")).split()

    def unchanged_after_update(self, live: Json) -> Json | None:
        """Return what we do not write, such as its name and address, and what cannot be changed."""
        return {
            key: value for key, value in live.items() if key not in self.wanted or key in self.rules.immutable
        }

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return how live differs from what is wanted."""
        return differences(resolve(self.wanted, outputs), live, rules=self.rules)

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.kind} {self.address.path.rpartition('/')[2]}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, and wait until it is there."""
        google = patient(self.google, outputs, self.needs)
        operation = await google.post(
            self.address.api,
            self.address.made_at,
            self._body(outputs),
            repeatable=True,
            **self.address.query,
        )
        return await self._settled(operation, progress)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what differs, if it is still as it was read. What cannot be changed is neither sent nor in the mask."""
        body, query = self._body(outputs), dict[str, str]()
        body = {key: value for key, value in body.items() if key not in self.rules.immutable}
        if self.change == "mask":
            query["updateMask"] = ",".join(sorted(key for key in body if key != "name"))
        if "etag" in live and self.change == "mask":
            body["etag"] = live["etag"]
        if "metageneration" in live:
            query["ifMetagenerationMatch"] = live["metageneration"]
        google = patient(self.google, outputs, self.needs)
        changed = await google.patch(self.address.api, self.address.path, body, **query)
        return await self._settled(changed, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it; nothing where there is nothing."""
        try:
            operation = await self.google.delete(self.address.api, self.address.path)
        except (NotFound, ApiDisabled):
            return ()
        await self._finished(operation, progress)
        return (self.summary({}),)

    def _body(self, outputs: Outputs) -> JsonObject:
        body: JsonObject = resolve(self.wanted, outputs, final=True)
        return body

    async def _settled(self, answer: Json, progress: Progress) -> Json:
        if not await self._finished(answer, progress):
            return answer
        return await self.google.get(self.address.api, self.address.path)

    async def _finished(self, answer: Json, progress: Progress) -> bool:
        """Wait for an operation to end; says whether the answer was one."""
        if not is_operation(answer):
            return False
        await self.google.finish(
            self.address.api, answer, progress=progress, key=self.id, deadline=self.deadline
        )
        return True


__all__ = ["LABEL", "Address", "RestResource"]
