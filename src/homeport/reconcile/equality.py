"""Which values mean the same, although they are written otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from homeport.json_types import Json
from homeport.secret import Secret

_INTEGER = re.compile(r"-?\d{1,20}")
_DURATION = re.compile(r"(-?\d+(?:\.\d+)?)s")
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_UNITS = {
    "": Decimal(1), "m": Decimal("0.001"),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50),
}  # fmt: skip


def is_empty(value: Json) -> bool:
    """
    Return True if `value` means the same as its absence: nothing, "", false, 0, an empty list, a map of no
    more than such.

    Google's answers leave out whatever has its type's default.
    """
    if isinstance(value, Mapping):
        return all(is_empty(inner) for inner in value.values())
    if isinstance(value, Secret):
        return not value.compared()
    return not value or value == "0"


def is_same(one: Any, other: Any, *, quantity: bool = False) -> bool:  # Any: JSON, neither map nor list
    """
    Return True if two scalars mean the same: `"8"` and `8`, `600s` and `600.000s`.

    With `quantity` they are amounts as Kubernetes writes them: `8` and `8000m`, `32Gi` and `32768Mi`, too.
    """
    one, other = (value.compared() if isinstance(value, Secret) else value for value in (one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if one == other:
        return True
    if quantity:
        amounts = _quantity(one), _quantity(other)
        return None not in amounts and amounts[0] == amounts[1]
    if isinstance(one, str) and isinstance(other, str):
        spans = _DURATION.fullmatch(one), _DURATION.fullmatch(other)
        return bool(spans[0] and spans[1] and Decimal(spans[0][1]) == Decimal(spans[1][1]))
    return _integer(one) is not None and _integer(one) == _integer(other)


def is_same_reference(one: Any, other: Any) -> bool:  # Any: JSON
    """
    Return True if two texts lead to the same thing: `home`, `projects/p/global/networks/home`, and any address of it.

    A project may be said by its number. What does not say its project, or its place, is taken for the one that does.
    """
    if not isinstance(one, str) or not isinstance(other, str):
        return bool(one == other)
    first, second = (text[max(0, text.find("projects/")) :].split("/") for text in (one, other))
    shorter = min(len(first), len(second))
    if first[-shorter:] == second[-shorter:]:
        return True
    numbered = shorter > 2 and (first[1].isdigit() or second[1].isdigit())
    return numbered and first[0] == second[0] == "projects" and first[2:] == second[2:]


def _integer(value: object) -> int | None:
    """Return a number of 64 bits, which JSON of Google's has as a string."""
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else None
    return value if isinstance(value, int) else None


def _quantity(value: object) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(value))
    return Decimal(match[1]) * _UNITS[match[2] or ""] if match else None
