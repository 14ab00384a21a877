"""How a graded set is run."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.agents.budget import Budget

BUDGET = Budget(steps=8, tool_calls=12, tokens=40_000, seconds=120.0, max_tokens=1024, tool_seconds=10.0)
"""Of one task: none wants more than three answers; what is beyond goes round in circles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """How a graded set is run, and what a million tokens cost."""

    budget: Budget = BUDGET
    """Of one task."""
    temperature: float | None = 0.0
    """None: the engine's."""
    usd_per_million_tokens: float | None = None
    """None: not known, as long as no throughput is."""
    price: str = "not known: it needs a throughput"
    """Where the price is from, in words."""
