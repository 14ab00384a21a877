"""What a spec that is served here would be on Cloud Run: facts of a plan for this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.reconcile.fact import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRunOutlook(Fact):
    """Whether, where and at which price the spec would be served on Cloud Run."""

    key: ClassVar[str] = "on_cloudrun"
    label: ClassVar[str] = "on Cloud Run"
    fits: bool | None
    """None where it is not known."""
    words: str
    """The answer in words, with its reason."""
    engine: str | None = None
    place: str | None = None
    region: str | None = None
    concurrency: int | None = None
    """Requests of `context_tokens` that one instance holds at once; None where `uncounted` says why."""
    uncounted: str = ""
    """Why memory sets no number of requests at once; '' where it does."""
    context_tokens: int | None = None
    usd_per_hour: float | None = None
    """Of one instance that runs."""
    price: str = ""
    cold_start: str = ""
    missing_quotas: tuple[str, ...] = ()
    """What a new project has too little of."""

    @property
    def text(self) -> str:
        return self.words

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return the answer, and below it what it would be."""
        details = {
            "  fits": at_once(self.concurrency, self.context_tokens, self.uncounted)
            if self.context_tokens
            else "",
            "  price": self.price,
            "  cold start": self.cold_start,
            "  quota": "; ".join(self.missing_quotas),
        }
        return ((self.label, self.words), *((label, text) for label, text in details.items() if text))


def at_once(concurrency: int | None, context_tokens: int, uncounted: str) -> str:
    """Describe how many requests of so many tokens one instance holds at once, or why there is no number of them."""
    if concurrency is None:
        return f"texts of {context_tokens:,} tokens; {uncounted}"
    return f"{concurrency} requests of {context_tokens:,} tokens at once"
