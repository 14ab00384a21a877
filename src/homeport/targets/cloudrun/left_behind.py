"""What a first `up` left behind that was broken off before it made a service, which would have told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from homeport.errors import PermissionDenied
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs, Resource
from homeport.resources.base import BaseResource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.service_account import account
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.guard.found import unwanted_screen
from homeport.targets.cloudrun.observe.found import settings_of_metrics
from homeport.targets.cloudrun.service_labels import GUARD_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind(BaseResource):
    """A thing that nothing uses, since there is no service: it goes before one is made, which would not tell of it."""

    thing: Resource
    goes_first: ClassVar[bool] = True

    @property
    def id(self) -> str:
        """Return kind and name of the thing."""
        return self.thing.id

    @property
    def kind(self) -> str:
        """Return what it is."""
        return self.thing.kind

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of what it was made after."""
        return self.thing.needs

    async def read(self) -> Any | None:  # Any: the thing's own
        """Return what is live."""
        return await self.thing.read()

    def is_managed(self, live: Any) -> bool:  # Any: the thing's own
        """Return True if it carries the endpoint's mark."""
        return self.thing.is_managed(live)

    def diff(self, live: Any, outputs: Outputs) -> tuple[Change, ...]:  # Any: the thing's own
        """Return no change: it is to go."""
        return ()

    def summary(self, outputs: Outputs) -> str:
        """Return what goes."""
        return f"{self.thing.summary(outputs)}, left of an `up` that was broken off"

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: never
        """Raise `AssertionError`: it is not wanted."""
        raise AssertionError(f"{self.id} is not wanted")

    async def update(self, live: Any, outputs: Outputs, progress: Progress) -> Any:  # Any: never
        """Raise `AssertionError`: it is not wanted."""
        raise AssertionError(f"{self.id} is not wanted")

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it."""
        return await self.thing.delete(progress)


async def left_behind(wanted: Foundations, *, observed: bool) -> list[Resource]:
    """
    Return what tables that the file has no more took before there was a service: Model Armor's template and the way to it,
    the settings of the metrics' sidecar, and grants. Asked for where there is none.

    All of it is made after the account that serves: where that is not there, nothing is looked for. Raises `PermissionDenied`
    where something tells that there is a template, and nobody may see it.
    """
    google, names = wanted.google, wanted.names
    serves = account(google, names.name, names.runner, "")
    live = await serves.read()
    if live is None or not serves.is_managed(live):
        return []
    resources = await _screen(wanted) + ([] if observed else settings_of_metrics(google, names))
    return [resource if resource.goes_first else LeftBehind(thing=resource) for resource in resources]


async def _screen(foundations: Foundations) -> list[Resource]:
    resources = await unwanted_screen(foundations, {GUARD_LABEL: ""})
    try:
        for resource in resources:
            await resource.read()
    except PermissionDenied:
        if not await _is_any_granted(resources):
            return []  # Who makes a template grants that, and nothing else tells of one.
        raise
    return resources


async def _is_any_granted(resources: Sequence[Resource]) -> bool:
    return any([await resource.read() is not None for resource in resources if isinstance(resource, Grant)])


__all__ = ["LeftBehind", "left_behind"]
