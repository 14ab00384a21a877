"""What a request must keep to count as good: `ttft=2s,itl=60ms,e2e=30s`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.bench.figures import FORMULAS, values
from homeport.bench.timed_request import TimedRequest
from homeport.errors import SpecError

_LIMIT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Slo:
    """Limits of a request's own figures, in seconds, by name; `itl` is the mean of its gaps. Without any, all answers are good."""

    limits: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Slo:
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
        return cls(limits)

    def kept_by(self, request: TimedRequest) -> bool:
        """
        Return True if the request was answered within all limits.

        What an answer of one token does not have, a gap, it keeps; one without an answer after its reasoning has no
        `ttfo`, and does not.
        """
        if request.failure is not None:
            return False
        found = values(request)
        missing = 0.0 if request.first_answer is not None else float("inf")
        return all(
            found.get(name, missing if name == "ttfo" else 0.0) <= limit
            for name, limit in self.limits.items()
        )

    def __str__(self) -> str:
        """Return it as it is said."""
        return ",".join(f"{name}={limit:g}s" for name, limit in self.limits.items())
