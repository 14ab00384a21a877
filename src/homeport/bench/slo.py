"""What a request must keep to count as good: `ttft=2s,itl=60ms,e2e=30s`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.bench.figures import FORMULAS, values
from homeport.bench.timed_request import TimedRequest
from homeport.traffic.objectives import limits_of, limits_text


@dataclass(frozen=True, slots=True)
class Slo:
    """Limits of a request's own figures, in seconds, by name; `itl` is the mean of its gaps. Without any, all answers are good."""

    limits: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Slo:
        """Return what `ttft=2s,itl=60ms` means. Raises `SpecError` where that is not to be seen."""
        return cls(limits_of(text, FORMULAS))

    def met_by(self, request: TimedRequest) -> bool:
        """
        Return True if the request was answered within all limits.

        What an answer of one token does not have, a gap, it keeps; one without an answer after its reasoning has no
        `ttfo`, and does not.
        """
        if request.failure is not None:
            return False
        figures = values(request)
        missing = 0.0 if request.first_answer is not None else float("inf")
        return all(
            figures.get(name, missing if name == "ttfo" else 0.0) <= limit
            for name, limit in self.limits.items()
        )

    def __str__(self) -> str:
        """Return it as it is said."""
        return limits_text(self.limits)
