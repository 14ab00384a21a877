"""What a plan tells of a startup cache: what it saves of a start, and what making it costs, once."""

from __future__ import annotations

from collections.abc import Sequence
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
    """What its jobs cost, once: one in each region; 0 where there is nothing to make, None where that is not known."""
    words: str

    @classmethod
    def of(
        cls, state: CacheState, why: str, starts: tuple[ColdStart, ColdStart], estimates: Sequence[Estimate]
    ) -> StartupCacheFact:
        """Return it for `starts`, as they will be and without a cache; `estimates` are those of where one is to be made."""
        start, without = starts
        hourly = [estimate.hourly.total for estimate in estimates if estimate.hourly]
        usd = sum(hourly) * without.likely / 3600 if len(hourly) == len(estimates) else None
        return cls(
            state=state,
            why=why,
            likely_s=round(start.likely, 1),
            likely_without_s=round(without.likely, 1),
            making_usd=None if usd is None else round(usd, 4),
            words=_words(state, why, starts, usd, jobs=len(estimates)),
        )

    @property
    def text(self) -> str:
        return self.words


def _words(
    state: CacheState, why: str, starts: tuple[ColdStart, ColdStart], usd: float | None, *, jobs: int
) -> str:
    start, without = starts
    if state == "none":
        return f"none: {why}"
    saves = f"a start takes {start.text} with it, {without.text} without"
    if state == "there":
        return f"there; {saves}"
    price = f", ${usd:.2f}" if usd is not None else ""
    where = f" in each of {jobs} regions" if jobs > 1 else ""
    return f"made once{where} by a job with the same GPU before the revision: {without.text} more{price}; then {saves}"
