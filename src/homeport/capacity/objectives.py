"""What requests are to keep to, such as `ttft=2s,e2e=30s`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.errors import SpecError

_LIMIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}
FORMULAS = {
    "ttft": "first token - due",
    "itl": "(last token - first) / (tokens - 1)",
    "e2e": "last token - due",
}
"""What is limited, with its formula."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """Limits in seconds, by the names of `FORMULAS`; without any, every answer is good."""

    limits: Mapping[str, float]
    share: float = 0.95
    """Of all requests that come, how many must keep all limits."""

    def as_text(self) -> str:
        """Return them as they are said."""
        return ",".join(f"{name}={limit:g}s" for name, limit in self.limits.items())


def parsed(text: str, share: float = 0.95) -> Objectives:
    """Return what `ttft=2s,itl=60ms` means. Raises `SpecError`."""
    limits = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, _, limit = (one.strip() for one in part.partition("="))
        matched = _LIMIT.fullmatch(limit)
        if name not in FORMULAS or matched is None or not float(matched["number"]):
            raise SpecError(
                f"{part!r} is no objective",
                hint=f"say it as ttft=2s,itl=60ms,e2e=30s; there are {', '.join(FORMULAS)}",
            )
        limits[name] = float(matched["number"]) * _UNITS[matched["unit"]]
    return Objectives(limits, share)
