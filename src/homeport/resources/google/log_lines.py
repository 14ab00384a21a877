"""The last lines that something in the cloud wrote before it failed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.google.listing import pages
from homeport.json_types import Json

_MOST = 50
_LARGEST_PAGE = 1000
"""Logging gives no more at once."""


async def newest_entries(google: Google, query: str, most: int) -> list[Json]:
    """Return the newest entries of a query of Cloud Logging, at most as many, in no order that counts. Raises as requests do."""
    newest = []
    async for entry in entries(google, query, "timestamp desc", min(most, _LARGEST_PAGE)):
        newest.append(entry)
        if len(newest) == most:
            break
    return newest


async def entries(google: Google, query: str, order: str, at_once: int) -> AsyncIterator[Json]:
    """
    Yield all entries of a query of Cloud Logging in an order, so many `at_once`. Raises as requests do.

    A page may be empty with others behind it: Logging gives a search up for a moment, and goes on by the page's token.
    """
    body = {
        "resourceNames": [f"projects/{google.project}"],
        "filter": query,
        "orderBy": order,
        "pageSize": at_once,
    }

    def get(token: str | None) -> Awaitable[Json]:
        asked = body if token is None else {**body, "pageToken": token}
        return google.post("logging", "v2/entries:list", asked, repeatable=True)

    async for page, _ in pages(get):
        for entry in page.get("entries") or ():
            yield entry


async def last_lines(google: Google, query: str) -> list[str]:
    """Return the newest lines of a query of Cloud Logging, in their order; none where the log cannot be read: that must not
    hide why something failed.
    """
    try:
        newest = await newest_entries(google, query, _MOST)
    except HomeportError:
        return []
    # Lines that were written at once have one time; what orders them is Logging's own id.
    newest.sort(key=lambda entry: (entry["timestamp"], entry["insertId"]))
    return [str(entry.get("textPayload", "")) for entry in newest]


def last_words(lines: list[str], by: str) -> str:
    """Return what stands behind `by` in the last line that has it; '' where there is none."""
    return next((line.partition(by)[2] for line in reversed(lines) if by in line), "")
