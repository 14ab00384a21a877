"""What `homeport top` shows, as a table of text and as a screen that is drawn again and again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from homeport.live_places import LivePlace
from homeport.metrics.live import LiveEndpoint
from homeport.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

NOT_KNOWN = "not known"
_COLUMNS = ("NAME", "WHERE", "STATE", "RUN", "WAIT", "OUT/S", "IN/S", "TTFT", "KV", "MEMORY", "COST", "MODEL")
_LESS_NEEDED = ("MODEL", "IN/S", "WHERE", "KV", "COST", "WAIT", "MEMORY", "TTFT")
"""What a narrow window does without, in this order."""
_SHORT = "?"
"""Stands for what is not known, where there is no room for the words."""


def header() -> tuple[str, ...]:
    """Return the titles of the columns."""
    return _COLUMNS


def rows(found: Iterable[LiveEndpoint], unknown: str = NOT_KNOWN) -> list[tuple[str, ...]]:
    """Return the endpoints as rows of a table."""
    return [_row(endpoint, unknown) for endpoint in found]


def unknown(found: Iterable[LiveEndpoint]) -> list[str]:
    """Return, for each endpoint of which figures are not known, why."""
    return [
        f"{endpoint.name}{f' in {endpoint.region}' if endpoint.region else ''}: {endpoint.unknown}"
        for endpoint in found
        if endpoint.snapshot is None and endpoint.unknown
    ]


def _row(endpoint: LiveEndpoint, nothing: str) -> tuple[str, ...]:
    snapshot, rates = endpoint.snapshot, endpoint.rates
    return (
        endpoint.name,
        endpoint.region or "here",
        endpoint.state,
        _number(snapshot.running if snapshot else None, nothing),
        _number(snapshot.waiting if snapshot else None, nothing),
        _number(rates.output_tokens_per_s if rates else None, nothing, 1),
        _number(rates.prompt_tokens_per_s if rates else None, nothing, 1),
        _first_token(endpoint, nothing),
        nothing if snapshot is None or snapshot.kv_cache is None else f"{snapshot.kv_cache:.0%}",
        nothing if endpoint.resident_bytes is None else f"{endpoint.resident_bytes / 2**20:,.0f} MiB",
        _cost(endpoint),
        endpoint.model,
    )


def _first_token(endpoint: LiveEndpoint, nothing: str) -> str:
    if endpoint.rates is not None and endpoint.rates.ttft_s is not None:
        return f"{endpoint.rates.ttft_s * 1000:,.0f} ms"
    counted = endpoint.snapshot is not None and endpoint.snapshot.ttft is not None
    return "–" if counted else nothing


def _cost(endpoint: LiveEndpoint) -> str:
    if endpoint.usd is not None:
        return f"${endpoint.usd:,.2f}"
    return "" if endpoint.usd_per_hour is None else f"${endpoint.usd_per_hour:.2f}/h"


def _number(value: float | None, nothing: str, digits: int = 0) -> str:
    return nothing if value is None else f"{value:,.{digits}f}"


class TopScreen:
    """What is drawn on a terminal, for as wide as that is at the moment."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._found: dict[str, tuple[float, LivePlace]] = {}

    def show(self, place: LivePlace, *, at: float) -> None:
        """Show from now on what was found at a place."""
        self._found[place.on] = (at, place)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        places = [place for _, place in self._found.values()]
        endpoints = [endpoint for place in places for endpoint in place.endpoints]
        unread = [line for place in places for line in place.lines()]
        lines = [_title([at for at, _ in self._found.values()]), ""]
        lines += table_lines(endpoints, options.max_width) if endpoints else [] if unread else [_nobody(self)]
        lines += ["", *unread, *unknown(endpoints)]
        for line in lines[: options.max_height]:
            yield Text(printable(line, keep=""), no_wrap=True, overflow="ellipsis")

    @property
    def looked(self) -> bool:
        """Tell whether anything was looked at yet."""
        return bool(self._found)


def table_lines(found: Sequence[LiveEndpoint], width: int) -> list[str]:
    """Return the table as lines of at most `width`, without the columns that are needed least where it is narrow."""
    columns = list(_COLUMNS)
    cells = [dict(zip(_COLUMNS, row, strict=True)) for row in rows(found, _SHORT)]
    droppable = list(_LESS_NEEDED)
    while _width(columns, cells) > width and droppable:
        columns.remove(droppable.pop(0))
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in columns}
    titles = {name: name for name in columns}
    lines = [
        "  ".join(row[name].ljust(widths[name]) for name in columns).rstrip() for row in (titles, *cells)
    ]
    if any(row[name] == _SHORT for row in cells for name in columns):
        lines += ["", f"{_SHORT} {NOT_KNOWN}"]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def _width(columns: Sequence[str], cells: Sequence[dict[str, str]]) -> int:
    return sum(max(len(name), *(len(row[name]) for row in cells)) + 2 for name in columns) - 2


def _title(moments: Sequence[float]) -> str:
    if not moments:
        return "homeport top · looking …"
    clock = time.strftime("%H:%M:%S", time.localtime(max(moments)))
    return f"homeport top · {clock} · Ctrl-C ends it"


def _nobody(screen: TopScreen) -> str:
    return "no endpoint runs here; `homeport up` starts one" if screen.looked else ""
