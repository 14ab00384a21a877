"""From which traffic on an endpoint of one's own is cheaper than an API that is paid by the token."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from homeport.catalog.prices import is_amount
from homeport.cost.bill import MILLION, Bill
from homeport.cost.usage import DAY_S, MONTH_DAYS, Usage
from homeport.errors import SpecError
from homeport.json_types import JsonObject
from homeport.toml_file import read_toml

INPUT_SHARE = 0.75
"""The share of tokens that are the prompts', where nobody says otherwise."""
STEPS = (*(digit * 10**power for power in range(4, 9) for digit in (1, 3)), 10**9)
"""Tokens a day in the table: ten thousand to a billion."""
_LEAST = 1e-9
"""USD per million tokens: a price below is a slip."""
_KEYS = {"name", "input", "output", "source", "dated"}
_HINT = 'each API is a table: [[api]] with name = "…", input = 0.10, output = 0.40 in USD per million tokens'


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API that is paid by the token."""

    name: str
    input: float
    """USD for a million tokens of prompts."""
    output: float
    """USD for a million tokens of answers."""
    source: str = ""
    dated: str = ""

    def million(self, input_share: float) -> float:
        """Return the USD for a million tokens, of which `input_share` are the prompts'."""
        return input_share * self.input + (1 - input_share) * self.output

    def month(self, tokens: float, input_share: float) -> float:
        """Return the USD a month at `tokens` a day."""
        return tokens * MONTH_DAYS / MILLION * self.million(input_share)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where an endpoint of one's own begins to be cheaper than an API."""

    api: str
    mode: str
    """`scaling` or `always on`."""
    tokens: float | None
    """Tokens a day from which on it is; None for never."""
    until: float | None
    """Tokens a day from which on the API is cheaper again, since one more instance is needed; mostly None."""
    month: float | None
    """USD a month that both cost at `tokens`."""
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One line of the table: USD a month at a traffic; None where the instances cannot serve it."""

    tokens: float
    scaling: float | None
    always_on: float | None
    apis: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """An endpoint of one's own beside APIs."""

    bill: Bill
    apis: tuple[Api, ...]
    input_share: float
    break_evens: tuple[BreakEven, ...]
    rows: tuple[ComparisonRow, ...]

    @property
    def measured(self) -> bool:
        """Tell whether a throughput is known. Without one only the endpoint that is always on can be priced."""
        return self.bill.usage.tokens_per_second is not None

    def as_json(self) -> JsonObject:
        """Return the comparison, for `--json`."""
        table = asdict(self)
        del table["bill"]
        return table


def load(path: Path) -> tuple[tuple[Api, ...], float | None]:
    """
    Return the APIs in the user's file, and its `input_share` where it has one. Raises `SpecError` naming what
    is wrong.
    """
    table = read_toml(path, hint=_HINT)
    unknown = sorted(set(table) - {"api", "input_share"})
    if unknown:
        raise SpecError(f"{path}: {unknown[0]}: unknown key; known: api, input_share", hint=_HINT)
    entries = table.get("api")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"{path}: there is no API in it", hint=_HINT)
    apis = tuple(_api(entry, f"{path}: api {number}") for number, entry in enumerate(entries, start=1))
    names = [api.name for api in apis]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpecError(f"{path}: two APIs are called {twice!r}", hint="names must differ")
    share = table.get("input_share")
    if share is not None:
        _check_share(share, f"{path}: input_share")
    return apis, share


def compare(bill: Bill, apis: tuple[Api, ...], *, input_share: float = INPUT_SHARE) -> Versus:
    """Return the endpoint beside `apis`: where it begins to be cheaper, and what each costs at which traffic."""
    _check_share(input_share, "input_share")
    modes: dict[str, Callable[[float], float | None]] = {"always on": bill.always_on}
    if bill.usage.tokens_per_second is not None:
        modes = {"scaling": bill.scaling, **modes}
    return Versus(
        bill=bill,
        apis=apis,
        input_share=input_share,
        break_evens=tuple(
            _break_even(bill, api, mode, month, input_share) for api in apis for mode, month in modes.items()
        ),
        rows=tuple(
            ComparisonRow(
                tokens=tokens,
                scaling=bill.scaling(tokens) if "scaling" in modes else None,
                always_on=bill.always_on(tokens),
                apis=tuple(api.month(tokens, input_share) for api in apis),
            )
            for tokens in STEPS
        ),
    )


def _api(entry: Mapping[str, Any], where: str) -> Api:  # Any: the values of a TOML table
    unknown = sorted(set(entry) - _KEYS)
    if unknown:
        raise SpecError(f"{where}: {unknown[0]}: unknown key; known: {', '.join(sorted(_KEYS))}", hint=_HINT)
    name, source, dated = entry.get("name"), entry.get("source", ""), entry.get("dated", "")
    if not isinstance(name, str) or not name.strip():
        raise SpecError(f"{where}: name: should be a text, but is {name!r}", hint=_HINT)
    for key in ("input", "output"):
        if not is_amount(price := entry.get(key)) or 0 < float(price or 0) < _LEAST:
            raise SpecError(
                f"{where}: {key}: should be USD per million tokens, 0 or more, but is {price!r}",
                hint=_HINT,
            )
    if not isinstance(source, str):
        raise SpecError(f"{where}: source: should be a text, but is {source!r}", hint=_HINT)
    if not isinstance(dated, str | date):
        raise SpecError(f"{where}: dated: should be a date, but is {dated!r}", hint=_HINT)
    return Api(
        name=name, input=float(entry["input"]), output=float(entry["output"]), source=source, dated=str(dated)
    )


def _check_share(share: object, where: str) -> None:
    if not is_amount(share) or not isinstance(share, int | float) or share > 1:
        raise SpecError(
            f"{where}: should be a number from 0 to 1, but is {share!r}",
            hint="it is the share of tokens that are the prompts', such as 0.75",
        )


def _break_even(
    bill: Bill, api: Api, mode: str, month: Callable[[float], float | None], share: float
) -> BreakEven:
    """Return where the two first cost the same, found exactly: between kinks both are straight lines."""
    price = api.month(1, share)
    tokens: float | None = None
    until: float | None = None
    for low, high in pairwise(_edges(bill, price)):
        start, end = _line(month, low, high)
        gap, later = start - price * low, end - price * high
        if tokens is None:
            tokens = _crossing(gap, later, low, high)
        elif until is None and gap > 1e-9 * start:
            until = low
        elif until is None and later > 1e-9 * end:
            until = _crossing(-gap, -later, low, high)
    return BreakEven(
        api=api.name,
        mode=mode,
        tokens=tokens,
        until=until,
        month=None if tokens is None else price * tokens,
        how=_why(bill.usage, api, mode, tokens, share),
    )


def _why(usage: Usage, api: Api, mode: str, tokens: float | None, share: float) -> str:
    price = f"${api.million(share):g} a million"
    if tokens is None and math.isinf(usage.capacity):
        return f"{api.name} at {price} is cheaper at any traffic"
    if tokens is None:
        most = "1 instance" if usage.instances == 1 else f"{usage.instances} instances"
        return f"{api.name} at {price} is cheaper up to all that {most} can do: {usage.capacity:,.0f} tokens a day"
    text = f"{tokens:,.0f} tokens a day × {MONTH_DAYS:.2f} days × {price} = the month of the endpoint, {mode}"
    if usage.tokens_per_second is None:
        text += f"; one instance must do {tokens / DAY_S:,.0f} tokens/s for it"
    return text


def _edges(bill: Bill, price: float) -> list[float]:
    """Return the kinks. Where they have no end, it ends where the API surely costs more than one instance."""
    edges = bill.usage.kinks(bill.usage.cold_start)
    if not math.isinf(edges[-1]):
        return edges
    month = bill.always_on(0)
    assert month is not None
    return [0.0, 2 * month / price] if price else [0.0]


def _line(month: Callable[[float], float | None], low: float, high: float) -> tuple[float, float]:
    """Return the straight line on (low, high]: its values just after `low`, where it may jump, and at `high`."""
    middle, end = month((low + high) / 2), month(high)
    assert middle is not None
    assert end is not None
    return 2 * middle - end, end


def _crossing(start: float, end: float, low: float, high: float) -> float | None:
    """Return where a line from `start` to `end` falls to 0, if it does."""
    if end > 0:
        return None
    return low if start <= 0 else low + (high - low) * start / (start - end)
