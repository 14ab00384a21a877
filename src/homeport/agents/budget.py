"""What one run of an agent may use, and what it has used."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from homeport.errors import AgentStopped
from homeport.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that one run may use. Every limit is there by default: an agent without one is a bill without one."""

    steps: int = 12
    """Answers of the model."""
    tool_calls: int = 24
    tokens: int = 60_000
    """Of all answers together, prompts included."""
    seconds: float = 300.0
    """From the question to the answer, tools and people included."""
    usd: float | None = None
    """None: no limit. It needs a price per second of the endpoint, which is not known of this machine."""
    max_tokens: int = 2048
    """Of one answer, its thinking included."""
    tool_seconds: float = 30.0
    """Of one call of a tool."""


@dataclass(slots=True, kw_only=True)
class Spent:
    """What a run has used so far."""

    usd_per_hour: float | None = None
    """What the endpoint costs while it is used; None where it is not known."""
    steps: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.began

    @property
    def tokens(self) -> int:
        """Return the tokens of prompts and answers together."""
        return self.input_tokens + self.output_tokens

    @property
    def usd(self) -> float | None:
        """Return the US dollars of the endpoint's time; None where its price is not known."""
        return None if self.usd_per_hour is None else self.usd_per_hour * self.seconds / 3600

    def in_words(self) -> str:
        """Return the steps and calls, as `2 steps and 1 tool call`."""
        return f"{counted(self.steps, 'step')} and {counted(self.tool_calls, 'tool call')}"

    def as_json(self) -> dict[str, object]:
        """Return it as the transcript and `--json` show it."""
        return {
            "steps": self.steps,
            "tool_calls": self.tool_calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "seconds": round(self.seconds, 3),
            "usd": None if self.usd is None else round(self.usd, 6),
        }

    def before_step(self, budget: Budget) -> None:
        """Raise `AgentStopped` where another answer of the model would be more than `budget` allows."""
        if self.steps >= budget.steps:
            raise spent(counted(budget.steps, "step"), "--max-steps")
        if self.tokens >= budget.tokens:
            raise spent(f"{counted(budget.tokens, 'token')} (it used {self.tokens})", "--max-total-tokens")
        if budget.usd is not None and self.usd is not None and self.usd >= budget.usd:
            raise spent(f"{budget.usd:g} USD", "--max-usd")

    def before_call(self, budget: Budget) -> None:
        """Raise `AgentStopped` where another call of a tool would be more than `budget` allows."""
        if self.tool_calls >= budget.tool_calls:
            raise spent(counted(budget.tool_calls, "tool call"), "--max-tool-calls")


def spent(what: str, option: str) -> AgentStopped:
    """Return the error that says which budget is spent, and which option raises it."""
    return AgentStopped(
        f"the agent has used its budget of {what} without an answer",
        hint=f"see in its transcript what it did; {option} raises the limit",
    )
