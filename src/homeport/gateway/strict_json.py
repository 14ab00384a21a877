"""JSON that every parser reads alike: an engine must not read another text than the one that was screened."""

from __future__ import annotations

import json
import math
from typing import Any

from homeport.json_types import Json, JsonObject

_MOST_VALUES = 500_000
"""As many lists, tables and values may a body hold: 8 MiB of empty lists take 200 MiB here."""


class AmbiguousJson(ValueError):
    """What came is no table of JSON, or could be read in several ways."""


def loads(data: bytes) -> Json:
    """
    Return what the bytes say.

    Raises `ValueError` for what parsers read differently: a key twice, `NaN`, bytes that are not UTF-8, half a surrogate.
    """
    if sum(map(data.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise AmbiguousJson(f"it has more than {_MOST_VALUES} commas and brackets")
    text = data.decode("utf-8")
    try:
        value: Json = json.loads(
            text, object_pairs_hook=_table, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError:
        raise AmbiguousJson("it is nested too deep") from None
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # UnicodeEncodeError is a ValueError.
    return value


def table(value: Json) -> JsonObject:
    """Return the value, which must be a table. Raises `AmbiguousJson`."""
    if not isinstance(value, dict):
        raise AmbiguousJson("it is no table")
    return value


def dumps(value: Json) -> bytes:
    """Return the value as it goes on: written again, so that it holds nothing but what was read."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: JSON
    table = dict(pairs)
    if len(table) != len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise AmbiguousJson(f"the key {twice[:60]!r} is there twice")
    return table


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise AmbiguousJson(f"{text[:20]} is too large a number")
    return value


def _no_number(name: str) -> None:
    raise AmbiguousJson(f"{name} is no number of JSON")
