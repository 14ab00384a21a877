"""One thing that shall exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from homeport.progress import Progress

KNOWN_AFTER_APPLY = "(known after apply)"

Outputs = Mapping[str, Any]
"""What is live, by resource id. Each resource knows the type of those that it needs, hence Any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One way in which live differs from wanted."""

    path: str
    before: str
    after: str


class Resource(Protocol):
    """
    One thing that shall exist: it can read itself live, say how live differs, make and unmake itself.

    Every method may be called again after a crash at any point: what is already so stays as it is.
    """

    @property
    def id(self) -> str:
        """Its kind and name, such as `process/home`."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the resources that must be there first."""

    async def read(self) -> Any | None:
        """What is live, for `diff` and for those that need it; None where it does not exist."""

    def diff(self, live: Any, outputs: Outputs) -> tuple[Change, ...]:
        """How `live` differs from what is wanted. A need that is not in `outputs` is yet to be made."""

    def summary(self, outputs: Outputs) -> str:
        """What it will be, in a few words, for a plan."""

    async def create(self, outputs: Outputs, progress: Progress) -> Any:
        """Make it, and return what is live then."""

    async def update(self, live: Any, outputs: Outputs, progress: Progress) -> Any:
        """Make `live` what is wanted, and return what is live then."""

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it; says what went, in a few words each: nothing where there was nothing."""
