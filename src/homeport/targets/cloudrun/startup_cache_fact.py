"""What a plan tells of a startup cache: what it saves of a start, and what making it costs, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from homeport.fit.cloud import Estimate
from homeport.fit.cold_start import ColdStart
from homeport.reconcile.fact import Fact

CacheState = Literal["there", "to be made", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupCacheFact(Fact):
    """Whether starts use what an earlier one compiled. All seconds are expected ones, by published figures."""

    key: ClassVar[str] = "startup_cache"
    label: ClassVar[str] = "startup cache"
    state: CacheState
    why: str
    """Why there is none; else ''."""
    likely_s: float
    """Of a start as it will be."""
    likely_without_s: float
    making_usd: float | None
    """What its job costs, once; 0 where there is nothing to make, None where that is not known."""
    words: str

    @classmethod
    def of(
        cls, state: CacheState, why: str, starts: tuple[ColdStart, ColdStart], estimate: Estimate
    ) -> StartupCacheFact:
        """Return it for `starts`, as they will be and without a cache, on an instance as it is estimated."""
        start, without = starts
        hourly = estimate.hourly
        usd = 0.0 if state != "to be made" else hourly.total * without.likely / 3600 if hourly else None
        return cls(
            state=state,
            why=why,
            likely_s=round(start.likely, 1),
            likely_without_s=round(without.likely, 1),
            making_usd=None if usd is None else round(usd, 4),
            words=_words(state, why, starts, usd),
        )

    @property
    def text(self) -> str:
        return self.words


def _words(state: CacheState, why: str, starts: tuple[ColdStart, ColdStart], usd: float | None) -> str:
    start, without = starts
    if state == "none":
        return f"none: {why}"
    saves = f"a start takes {start.text} with it, {without.text} without"
    if state == "there":
        return f"there; {saves}"
    price = f", ${usd:.2f}" if usd is not None else ""
    return (
        f"made once by a job with the same GPU before the revision: {without.text} more{price}; then {saves}"
    )
