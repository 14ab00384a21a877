"""Things for which Google takes no name from whoever makes them: each request makes another, so that there may be several of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.resources.google.rest import RestResource

DUPLICATES = "duplicates"
"""In what is live, the names of more of the same: two `up` at once may each make one."""


def one_of(found: Iterable[Json], *, first: Callable[[Json], int] = lambda _: 0) -> Json | None:
    """Return the one that stays, the least by `first` and then by name, with the names of the others; None where there is none."""
    ordered = sorted(found, key=lambda live: (first(live), str(live["name"])))
    if not ordered:
        return None
    live, *others = ordered
    return {**live, DUPLICATES: [str(other["name"]) for other in others]} if others else live


@dataclass(frozen=True, slots=True, kw_only=True)
class UnnamedResource(RestResource):
    """One such thing, known by its mark. Where it is there more than once, a plan shows that, and its `up` leaves one."""

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return how live differs from what is wanted: one that is there twice does, too."""
        others = live.get(DUPLICATES)
        more = (Change(path=DUPLICATES, before=others, after=None),) if others else ()
        return (*RestResource.diff(self, live, outputs), *more)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what differs in the one that stays, once all others are gone."""
        for name in live.get(DUPLICATES, ()):
            await self.remove_duplicate(str(name))
        if not RestResource.diff(self, live, outputs):
            return {key: value for key, value in live.items() if key != DUPLICATES}
        return await RestResource.update(self.at(live), live, outputs, progress)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it, however often it is there; nothing where there is nothing."""
        live = await self.read()
        return await self.unmake(live) if live is not None else ()

    async def unmake(self, live: Json) -> tuple[str, ...]:
        """Unmake what was read; says what went."""
        for name in (live["name"], *live.get(DUPLICATES, ())):
            await self.remove(str(name))
        return (self.summary({}),)

    async def remove(self, name: str) -> None:
        """Unmake the one of that name, if it is still there."""
        raise NotImplementedError

    async def remove_duplicate(self, name: str) -> None:
        """Unmake another one, of that name, while the one that stays is there."""
        await self.remove(name)

    def at(self, live: Json) -> Self:
        """Return it under the name that Google gave it."""
        raise NotImplementedError
