"""What requests are to keep to, as people say it: `ttft=2s,itl=60ms,e2e=30s`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from homeport.errors import SpecError

_LIMIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def limits_of(text: str, figures: Collection[str]) -> dict[str, float]:
    """Return the limits in seconds, by the name of their figure. Raises `SpecError` for a name that is none of them, or no time."""
    limits = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, limit = (piece.strip() for piece in part.partition("="))
        matched = _LIMIT.fullmatch(limit)
        if name not in figures or matched is None or not float(matched["number"]):
            raise SpecError(
                f"{part!r} is no objective",
                hint=f"say it as ttft=2s,itl=60ms,e2e=30s; there are {', '.join(figures)}",
            )
        limits[name] = float(matched["number"]) * _UNITS[matched["unit"]]
    return limits


def limits_text(limits: Mapping[str, float]) -> str:
    """Return limits as `limits_of` reads them."""
    return ",".join(f"{name}={limit:g}s" for name, limit in limits.items())
