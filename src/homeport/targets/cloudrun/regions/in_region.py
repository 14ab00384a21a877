"""
One endpoint in several regions as one graph: what a further region has of its own gets ids of its own, and waits its turn.

Each region's graph is made as if it were the only one. What is in the same place in both, such as an account, is one thing and is the
first region's; all else is wrapped here, so that it finds what it needs under the ids of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from homeport.errors import HomeportError
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs, Resource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import RestResource
from homeport.targets.cloudrun.doubts import Doubtful

_ALONE = frozenset({"APIs", "secret version"})
"""Kinds of which an endpoint has one thing, whatever the region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InRegion:
    """A thing of a further region."""

    thing: Resource
    region: str
    ids: Mapping[str, str] = field(repr=False)
    """What the whole calls the things of the region's own graph, by their ids in that."""
    before: tuple[str, ...] = ()
    """Ids of what must be there first besides, as the whole calls it."""

    @property
    def id(self) -> str:
        """Return kind, name and region."""
        return self.ids[self.thing.id]

    @property
    def kind(self) -> str:
        """Return what it is."""
        return self.thing.kind

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of what must be there first, as the whole calls them."""
        return tuple(dict.fromkeys((*(self.ids.get(need, need) for need in self.thing.needs), *self.before)))

    @property
    def reports_own_progress(self) -> bool:
        """Tell what the thing does."""
        return self.thing.reports_own_progress

    @property
    def goes_first(self) -> bool:
        """Tell what the thing does."""
        return self.thing.goes_first

    @property
    def doubt(self) -> str:
        """Return what a plan does not know of the thing, and where; '' for nothing."""
        doubt = self.thing.doubt if isinstance(self.thing, Doubtful) else ""
        return doubt if not doubt or self.region in doubt else f"{self.region}: {doubt}"

    async def read(self) -> Any | None:  # Any: the thing's own
        """Return what is live."""
        return await self.thing.read()

    def is_managed(self, live: Any) -> bool:  # Any: the thing's own
        """Return True if it carries the endpoint's mark."""
        return self.thing.is_managed(live)

    def unchanged_after_update(self, live: Any) -> Any | None:  # Any: the thing's own
        """Return what the thing does."""
        return self.thing.unchanged_after_update(live)

    def diff(self, live: Any, outputs: Outputs) -> tuple[Change, ...]:  # Any: the thing's own
        """Return how live differs from what is wanted."""
        return self.thing.diff(live, self._by_inner_id(outputs))

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be, and where."""
        return f"{self.thing.summary(self._by_inner_id(outputs))}, in {self.region}"

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: the thing's own
        """Make it."""
        try:
            return await self.thing.create(self._by_inner_id(outputs), _RegionProgress(progress, self.ids))
        except HomeportError as error:
            raise self._placed(error) from error.__cause__

    async def update(self, live: Any, outputs: Outputs, progress: Progress) -> Any:  # Any: the thing's own
        """Change it."""
        try:
            return await self.thing.update(
                live, self._by_inner_id(outputs), _RegionProgress(progress, self.ids)
            )
        except HomeportError as error:
            raise self._placed(error) from error.__cause__

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it."""
        gone = await self.thing.delete(_RegionProgress(progress, self.ids))
        return tuple(text if self.region in text else f"{text} in {self.region}" for text in gone)

    def _by_inner_id(self, outputs: Outputs) -> Outputs:
        return {inner: outputs[outer] for inner, outer in self.ids.items() if outer in outputs}

    def _placed(self, error: HomeportError) -> HomeportError:
        """Return the error with the region in its words: what it names is called alike in every region."""
        if not str(error).startswith(f"{self.region}: "):
            error.args = (f"{self.region}: {error}", *error.args[1:])
        return error


class _RegionProgress:
    """Tells of things under the ids of the whole."""

    def __init__(self, progress: Progress, ids: Mapping[str, str]) -> None:
        self._progress = progress
        self._ids = ids

    def started(self, key: str, what: str) -> None:
        self._progress.started(self._ids.get(key, key), what)

    def advanced(self, key: str, done: int, total: int) -> None:
        self._progress.advanced(self._ids.get(key, key), done, total)

    def finished(self, key: str, what: str) -> None:
        self._progress.finished(self._ids.get(key, key), what)

    def failed(self, key: str, what: str) -> None:
        self._progress.failed(self._ids.get(key, key), what)

    def note(self, text: str) -> None:
        self._progress.note(text)


def over_regions(
    name: str, first: Sequence[Resource], further: Iterable[tuple[str, Sequence[Resource]]], *, led_by: str
) -> list[Resource]:
    """
    Return all things of the endpoint `name`: those of its `first` region, and by region of each further one.

    A further region's things are made once the first one's service is there, whose labels tell of them; its service changes once the
    region before it was released. `led_by`, the id of what leads clients to all of them, comes last: a region that was not proven gets nothing.
    """
    service, release = f"service/{name}", f"release/{name}"
    places = {_place(resource): resource.id for resource in first}
    whole: list[Resource] = list(first)
    before, proven = release, list[str]()
    for region, resources in further:
        ids = {
            resource.id: places.get(_place(resource), f"{resource.id} in {region}") for resource in resources
        }
        for resource in resources:
            if _place(resource) in places:
                continue
            turn = (service, before) if resource.id == service else (service,)
            placed = InRegion(thing=resource, region=region, ids=ids, before=turn)
            whole.append(placed)
            places[_place(resource)] = placed.id
            if release in {resource.id, *resource.needs} and resource.kind in {"release", "grant"}:
                proven.append(placed.id)
        before = ids[release]
    return [
        replace(resource, after=(*resource.after, *proven))
        if resource.id == led_by and isinstance(resource, RestResource)
        else resource
        for resource in whole
    ]


def surplus_in(region: str, resources: Iterable[Resource], whole: Iterable[Resource]) -> list[Resource]:
    """Return things of a further region that are wanted no more; what is in the same place as a thing of the `whole` is wanted."""
    kept = {_place(resource) for resource in whole}
    gone = [resource for resource in resources if _place(resource) not in kept]
    ids = {resource.id: f"{resource.id} in {region}" for resource in gone}
    return [InRegion(thing=resource, region=region, ids=ids) for resource in gone]


def _place(resource: Resource) -> object:
    """Return where a thing is: two of one place are one thing."""
    if isinstance(resource, InRegion):
        return _place(resource.thing)
    if isinstance(resource, RestResource):
        return resource.address.api, resource.address.path
    if isinstance(resource, Grant):
        return resource.on, resource.role, resource.member
    return resource.id if resource.kind in _ALONE else id(resource)


__all__ = ["InRegion", "over_regions", "surplus_in"]
