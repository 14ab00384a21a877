"""What the ledger comes to: by day, by model, by caller."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from homeport.json_types import JsonObject
from homeport.usage.ledger import LedgerRow

By = Literal["day", "caller", "model"]
NOT_KNOWN = "not known"
_COLUMNS = ("requests", "prompt_tokens", "output_tokens", "starts", "hours", "usd")
HEADER = ("REQUESTS", "TOKENS IN", "TOKENS OUT", "STARTS", "HOURS", "COST")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What one day, model or caller came to. None is not known; `partly` names sums that lack something."""

    key: str
    endpoint: str
    on: str
    """The target."""
    region: str = ""
    """'' on this machine."""
    requests: float | None
    prompt_tokens: float | None
    output_tokens: float | None
    starts: int | None
    """Starts of its engine; on Cloud Run, of instances: each one is a cold start."""
    hours: float | None
    """On this machine the time that its engine ran; on Cloud Run the time that was billed."""
    usd: float | None = None
    """At list prices; None where it is not known, as for a machine of one's own."""
    partly: tuple[str, ...] = field(default=())

    def as_json(self) -> JsonObject:
        """Return the row as `--json` prints it."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "partly"} | {
            "partly": list(self.partly)
        }

    def cells(self) -> tuple[str, ...]:
        """Return the figures for a table under `HEADER`: `≥` before a sum that lacks something."""
        return tuple(self._cell(name) for name in _COLUMNS)

    def _cell(self, name: str) -> str:
        value = getattr(self, name)
        if value is None:
            return NOT_KNOWN
        text = {"hours": f"{value:,.2f}", "usd": f"${value:,.2f}"}.get(name, f"{value:,.0f}")
        return f"≥ {text}" if name in self.partly else text


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """What endpoints were used for, as far as it could be read."""

    rows: tuple[UsageRow, ...]
    unread: tuple[str, ...] = ()
    """What could not be read, in words: then there may be more."""
    notes: tuple[str, ...] = ()
    """What is not known, why, and what to do about it."""


_KEYS: Mapping[By, Callable[[LedgerRow], str]] = MappingProxyType(
    {
        "day": lambda row: row.hour[:10],
        "model": lambda row: row.model,
        "caller": lambda _: NOT_KNOWN,  # All callers of an endpoint on this machine share its key.
    }
)


def grouped(rows: Iterable[LedgerRow], by: By) -> list[UsageRow]:
    """Return the sums of this machine's ledger, by `by` and endpoint."""
    groups: dict[tuple[str, str], list[LedgerRow]] = {}
    for row in rows:
        groups.setdefault((_KEYS[by](row), row.endpoint), []).append(row)
    return [_sum(key, endpoint, group) for (key, endpoint), group in sorted(groups.items())]


def _sum(key: str, endpoint: str, rows: list[LedgerRow]) -> UsageRow:
    sums: dict[str, float | None] = {}
    partly = []
    for name in ("requests", "prompt_tokens", "output_tokens"):
        values = [getattr(row, name) for row in rows]
        known = [value for value in values if value is not None]
        sums[name] = sum(known) if known else None
        if known and len(known) < len(values):
            partly.append(name)
    return UsageRow(
        key=key,
        endpoint=endpoint,
        on="local",
        region="",
        **sums,
        starts=sum(row.starts for row in rows),
        hours=sum(row.seconds for row in rows) / 3600,
        partly=tuple(partly),
    )


def as_csv(rows: Iterable[UsageRow], by: By) -> str:
    """Return the rows as CSV with a header; a figure that is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((by, "endpoint", "on", *_COLUMNS, "partly", "region"))
    for row in rows:
        figures = (_plain(getattr(row, name)) for name in _COLUMNS)
        writer.writerow(
            (_safe(row.key), _safe(row.endpoint), row.on, *figures, " ".join(row.partly), row.region)
        )
    return text.getvalue().removesuffix("\n")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if value != int(value) else f"{int(value)}"


def _safe(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: names of models come from outside."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
