"""One thing that should exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.secret import Secret

KNOWN_AFTER_APPLY = "(known after apply)"

Live: TypeAlias = Any  # Any: each resource has a form of its own, which it and those that need it know
"""What is live of a resource, as its `read` returns it."""
Outputs = Mapping[str, Live]
"""What is live, by resource id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which live differs from wanted."""

    path: str
    """As people read it, such as `template.containers[serving].image`; '' is the thing as a whole."""
    before: Json
    """JSON; None where there is nothing. A `Secret` is shown as `***`."""
    after: Json
    """JSON, as `before`; `KNOWN_AFTER_APPLY`, also within it, where a need is yet to be made."""
    replaces: bool = False
    """Whether it can only be had by deleting the thing and making it again."""

    def as_json(self) -> JsonObject:
        """Return the change as `--json` prints it."""
        return {
            "path": self.path,
            "before": shown(self.before),
            "after": shown(self.after),
            "replaces": self.replaces,
        }


class Resource(Protocol):
    """
    One thing that should exist: it can read itself live, say how live differs, make and unmake itself.

    Every method may be called again after a crash at any point: what is already so stays as it is. One that
    changes something returns when the change can be read; where another change came first, it raises
    `Conflict`, `AlreadyExists` or `NotFound`, and is asked again what there is to do.
    """

    @property
    def id(self) -> str:
        """Return its kind and name, such as `process/home`."""

    @property
    def kind(self) -> str:
        """Return what it is, in people's words, such as `service` or `bucket`: what an exporter knows it by."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the resources that must be there first; for a body with references `needs_of(body)`."""

    @property
    def reports_own_progress(self) -> bool:
        """Tell whether it tells its own progress, in words of its own. If not, which is the rule, the
        executor tells under its id when work on it begins and ends; what it tells under its id beyond bytes
        is dropped.
        """

    @property
    def goes_first(self) -> bool:
        """Tell whether, once it is wanted no more, it is deleted before anything else; if not, which is the
        rule, at the end.
        """

    async def read(self) -> Live | None:
        """Return what is live, for `diff` and for those that need it; None where it does not exist."""

    def is_managed(self, live: Live) -> bool:
        """Return True if homeport made `live`, for this very endpoint. What is not ours is neither changed nor deleted."""

    def unchanged_after_update(self, live: Live) -> Live | None:
        """
        Return what an update of `live` leaves as it is, in the same form, for the plans of those that need
        it; None for nothing. They see all that is left out as known after apply.
        """

    def diff(self, live: Live, outputs: Outputs) -> tuple[Change, ...]:
        """Return how `live` differs from what is wanted. A need that is not in `outputs` is yet to be made."""

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be, in a few words, for a plan."""

    async def create(self, outputs: Outputs, progress: Progress) -> Live:
        """Make it, and return what is live then."""

    async def update(self, live: Live, outputs: Outputs, progress: Progress) -> Live:
        """Make `live` what is wanted, and return what is live then. Another's change since `live` is a `Conflict`."""

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """
        Unmake it, and what a crash left of it half made; return when it is gone.

        Says what went, in a few words each: nothing where there was nothing. Others' things are no concern of
        it: it is only called for what is `ours`, or where `read` found nothing.
        """


def shown(value: Json) -> Json:
    """Return JSON with `***` in the place of every secret."""
    if isinstance(value, Secret):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: shown(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [shown(inner) for inner in value]
    return value
