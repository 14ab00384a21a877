"""Lists of Google's, page by page: one that says that it lacks some is never taken for a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from homeport.errors import GoogleError, Incomplete
from homeport.json_types import Json

_PLACES = ("unreachable", "unreachables", "unreachableLocations")
"""What the APIs call the places that an answer leaves out, by their discovery documents."""
_LACKS = frozenset({"UNREACHABLE", "PARTIAL_SUCCESS", "LIST_OVERHEAD_QUOTA_EXCEED"})
"""Codes of Compute Engine's warnings by which something may be missing; others, such as NO_RESULTS_ON_PAGE, take nothing away."""


def left_out(page: Mapping[str, Json]) -> list[str]:
    """Return what an answer leaves out, as the APIs say it: places, or Compute Engine's warning; nothing for a whole one."""
    warning = page.get("warning") or {}
    missing = [str(warning.get("message") or "some of it")] if warning.get("code") in _LACKS else []
    return [*(str(place) for key in _PLACES for place in page.get(key) or ()), *missing]


def not_reached(lacks: Iterable[str]) -> GoogleError:
    """Return the error that comes with a list that lacks some, for one who goes on with the rest."""
    return GoogleError(f"Google could not reach {', '.join(dict.fromkeys(lacks))}", hint="wait a few minutes")


def incomplete(lacks: Iterable[str], what: str) -> Incomplete:
    """Return the error that a list of `what` ends with that must be whole."""
    error = not_reached(lacks)
    return Incomplete(
        f"{error}: what there is of {what} is not known",
        hint=f"{error.hint}, then run the same command again",
    )


async def pages(
    get: Callable[[str | None], Awaitable[Any]],
) -> AsyncIterator[tuple[Any, list[str]]]:  # Any: JSON
    """Yield all pages of a list, each by its token, and with what it lacks, as `left_out`: whether that is too much is the caller's to say."""
    token: str | None = None
    while True:
        page = await get(token)
        yield page, left_out(page)
        token = page.get("nextPageToken")
        if not token:
            return


__all__ = ["incomplete", "left_out", "not_reached", "pages"]
