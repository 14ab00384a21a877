"""Lists of Google's, page by page: one that says that it lacks some is never taken for a whole one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from homeport.errors import Incomplete
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


async def pages(get: Callable[[str | None], Awaitable[Any]], what: str) -> AsyncIterator[Any]:  # Any: JSON
    """Yield all pages of a list, each by its token. Raises `Incomplete` where Google left something of `what` out."""
    token: str | None = None
    while True:
        page = await get(token)
        if missing := left_out(page):
            raise Incomplete(
                f"Google could not reach {', '.join(missing)}: what there is of {what} is not known",
                hint="wait a few minutes, then run the same command again",
            )
        yield page
        token = page.get("nextPageToken")
        if not token:
            return


__all__ = ["left_out", "pages"]
