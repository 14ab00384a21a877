"""What requests are to keep to, such as `ttft=2s,e2e=30s`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from homeport.traffic.objectives import limits_of, limits_text

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
        return limits_text(self.limits)


def parsed(text: str, share: float = 0.95) -> Objectives:
    """Return what `ttft=2s,itl=60ms` means. Raises `SpecError`."""
    return Objectives(limits_of(text, FORMULAS), share)
