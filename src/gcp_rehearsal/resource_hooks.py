"""What is special about one collection of things; the rest is generic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.state import Kept

if TYPE_CHECKING:
    from gcp_rehearsal.call import Call
    from gcp_rehearsal.errors import ApiError

Handler = Callable[["Call"], Any]  # Any: JSON, or a Reply
"""Answers one method: JSON, or a `Reply` where status or headers matter. Raises `ApiError`."""


def _prepare(call: Call, body: dict[str, Any], before: Kept | None) -> None:  # Any: JSON
    """Nothing to check, no defaults."""


def _made(call: Call, kept: Kept) -> None:
    """Nothing else happens."""


def _done(call: Call, kept: Kept) -> ApiError | None:
    """Nothing can fail."""
    return None


def _show(call: Call, kept: Kept) -> dict[str, Any]:  # Any: JSON
    return kept.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a collection does at the turns of its things' lives. Every part has a default that does nothing."""

    prepare: Callable[[Call, dict[str, Any], Kept | None], None] = _prepare  # Any: JSON
    """Before a thing is made or changed: checks the body that it will have, and sets what Google sets."""
    made: Callable[[Call, Kept], None] = _made
    """Just after it was made or changed."""
    done: Callable[[Call, Kept], ApiError | None] = _done
    """When the operation that made or changed it ends; an error fails the operation."""
    remove: Callable[[Call, Kept], None] = _made
    """Before it is deleted; may refuse."""
    show: Callable[[Call, Kept], dict[str, Any]] = _show  # Any: JSON
    """How it is answered."""
    seconds: float = 0.0
    """How long an operation on it takes."""
    reserved: float = 0.0
    """For how many seconds its name stays reserved after a delete."""
    whole: bool = False
    """Whether a PATCH without a mask replaces all that can be written."""


PLAIN = Kind()
