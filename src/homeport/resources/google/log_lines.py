"""The last lines that something in the cloud wrote before it failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from dataclasses import dataclass, field

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.google.listing import pages
from homeport.json_types import Json

_MOST = 50
SEARCH_S = 30.0
"""Google says of no search how long it takes."""
UNFINISHED = f"its log was not searched to the end within {SEARCH_S:.0f} s"
_LARGEST_PAGE = 1000
"""Logging gives no more at once."""


@dataclass(slots=True)
class LogSearch:
    """What a search of the log finds before its time is over."""

    found: list[Json] = field(default_factory=list)
    finished: bool = False


async def searched(google: Google, query: str, most: int, *, since: str) -> LogSearch:
    """
    Return what is found of the newest entries of a query behind the time `since`, in some seconds. Raises as requests do.

    Logging may look through all that it keeps for entries that are not there, and who waits for the reason of a failure is
    not to wait for that.
    """
    search = LogSearch()
    begin = f'{query} AND timestamp>="{since}"' if since else query
    with suppress(TimeoutError):
        async with asyncio.timeout(SEARCH_S):
            async for entry in entries(google, begin, "timestamp desc", min(most, _LARGEST_PAGE)):
                search.found.append(entry)
                if len(search.found) == most:
                    break
            search.finished = True
    return search


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


async def last_lines(google: Google, query: str, *, since: str) -> list[str]:
    """
    Return the newest lines of a query of Cloud Logging behind the time `since`, in their order.

    None where the log cannot be read: that must not hide why something failed. Where it was not searched to its end, a line
    of homeport's own at the beginning says so.
    """
    try:
        search = await searched(google, query, _MOST, since=since)
    except HomeportError:
        return []
    newest = search.found
    # Lines that were written at once have one time; what orders them is Logging's own id.
    newest.sort(key=lambda entry: (entry["timestamp"], entry["insertId"]))
    lines = [str(entry.get("textPayload", "")) for entry in newest]
    return lines if search.finished else [f"(homeport: {UNFINISHED})", *lines]


def last_words(lines: list[str], by: str) -> str:
    """Return what stands behind `by` in the last line that has it; '' where there is none."""
    return next((line.partition(by)[2] for line in reversed(lines) if by in line), "")
