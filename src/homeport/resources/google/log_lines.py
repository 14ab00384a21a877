"""The last lines that something in the cloud wrote before it failed."""

from __future__ import annotations

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.json_types import Json

_MOST = 50


async def newest_entries(google: Google, query: str, most: int) -> list[Json]:
    """Return the newest entries of a query of Cloud Logging, at most as many, in no order that counts. Raises as requests do."""
    body = {
        "resourceNames": [f"projects/{google.project}"],
        "filter": query,
        "orderBy": "timestamp desc",
        "pageSize": most,
    }
    page = await google.post("logging", "v2/entries:list", body, repeatable=True)
    return list(page.get("entries") or ())


async def last_lines(google: Google, query: str) -> list[str]:
    """Return the newest lines of a query of Cloud Logging, in their order; none where the log cannot be read: that must not
    hide why something failed.
    """
    try:
        entries = await newest_entries(google, query, _MOST)
    except HomeportError:
        return []
    # Lines that were written at once have one time; what orders them is Logging's own id.
    entries.sort(key=lambda entry: (entry["timestamp"], entry["insertId"]))
    return [str(entry.get("textPayload", "")) for entry in entries]


def last_words(lines: list[str], by: str) -> str:
    """Return what stands behind `by` in the last line that has it; '' where there is none."""
    return next((line.partition(by)[2] for line in reversed(lines) if by in line), "")
