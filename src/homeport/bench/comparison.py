"""Two benches side by side: what differs beyond noise, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from homeport.bench.figures import MeanEstimate, t975, variance
from homeport.bench.level import LevelResult
from homeport.bench.result import BenchResult
from homeport.errors import SpecError
from homeport.json_types import JsonObject

RATES = ("output_tokens", "requests", "goodput")
TIMES = ("ttft_p50", "ttft_p95", "itl_p50", "tpot_p50", "e2e_p50", "e2e_p95")


class Difference(StrEnum):
    """What can be said of two figures."""

    FIRST = "the first is better"
    SECOND = "the second is better"
    NONE = "no difference shown"
    UNKNOWN = "cannot be told: measured once"
    INVALID = "cannot be told: one of them is no result"

    @property
    def tells(self) -> bool:
        """Return whether that is said of what was measured well and often enough."""
        return self not in {Difference.UNKNOWN, Difference.INVALID}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureComparison:
    """One figure of both."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    load: str
    figure: str
    first: float
    second: float
    ratio: float | None
    """Second ÷ first; None where the first is 0."""
    low: float | None
    """Of the 95 % interval of second - first, by Welch's t; None where it was measured once."""
    high: float | None
    difference: Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchComparison:
    """Two benches."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    first: str
    second: str
    figures: tuple[FigureComparison, ...]
    notes: tuple[str, ...]

    @property
    def told(self) -> bool:
        """Return whether anything can be said of any figure."""
        return any(one.difference.tells for one in self.figures)

    def as_json(self) -> JsonObject:
        """Return it as `--json` prints it."""
        document: JsonObject = TypeAdapter(BenchComparison).dump_python(self, mode="json")
        return document


def compared(first: BenchResult, second: BenchResult) -> BenchComparison:
    """Return what differs at one user, at the loads that both have, and at each one's knee. Raises `SpecError` for other lengths."""
    for name in ("input", "output", "shared", "slo"):
        value, other = (getattr(result.setting, name) for result in (first, second))
        if value != other:
            in_first, in_second = ("as the trace" if one is None else repr(one) for one in (value, other))
            raise SpecError(
                f"these measured different things: {name} is {in_first} in the first and {in_second} in the second",
                hint="run both with the same --input, --output and --slo, or the same --trace",
            )
    notes = [*_of_traces(first, second)]
    pairs = [*_pairs(first, second)]
    figures = tuple(figure for title, value, other in pairs for figure in _figures(title, value, other))
    told = sum(one.difference.tells for one in figures)
    if told > 1:
        notes.append(f"{told} figures at 95 % each: about {told * 0.05:.1f} differ by chance")
    if not figures:
        notes.append("there is no load that both measured")
    for name in ("machine", "model"):
        value, other = (getattr(result.setting, name) for result in (first, second))
        if value != other:
            notes.append(f"{name}: {value} and {other}")
    return BenchComparison(first=_title(first), second=_title(second), figures=figures, notes=tuple(notes))


def _of_traces(first: BenchResult, second: BenchResult) -> Iterator[str]:
    """Yield what cannot be told of two traces. Raises `SpecError` where they are not the same."""
    if first.setting.input is not None:
        return
    digests = [result.setting.arrivals for result in (first, second)]
    loads = [", ".join(level.load for level in result.levels) for result in (first, second)]
    known = None not in digests
    if (known and digests[0] != digests[1]) or (not known and loads[0] != loads[1]):
        raise SpecError(
            f"these measured different things: the times or lengths of the traces differ ({loads[0]}; {loads[1]})",
            hint="run both with the same --trace, --faster, --seconds and --repetitions",
        )
    if not known:
        yield "an older homeport did not write down the lengths of its trace: whether both had the same cannot be told"


def _title(result: BenchResult) -> str:
    setting = result.setting
    engine = f", {setting.engine} {setting.engine_version}".rstrip() if setting.engine else ""
    return f"{setting.endpoint} ({setting.model}{engine}, {setting.started_at})"


def _pairs(first: BenchResult, second: BenchResult) -> Iterator[tuple[str, LevelResult, LevelResult]]:
    others = {_same(level): level for level in second.levels}
    for level in first.levels:
        if _same(level) in others:
            yield level.load, level, others[_same(level)]
    best = first.best, second.best
    if best[0] is not None and best[1] is not None and _same(best[0]) != _same(best[1]):
        yield f"at its best ({best[0].load} and {best[1].load})", best[0], best[1]


def _same(level: LevelResult) -> int | str:
    """Return what two results share only where they are of one load: words change with versions, a number of users does not."""
    return level.load if level.users is None else level.users


def _figures(title: str, first: LevelResult, second: LevelResult) -> Iterator[FigureComparison]:
    valid = first.valid and second.valid
    for name in RATES:
        yield _figure(
            title, f"{name}/s", (first.rates[name], second.rates[name]), more_is_better=True, valid=valid
        )
    for name in TIMES:
        if name in first.by_repetition and name in second.by_repetition:
            both = first.by_repetition[name], second.by_repetition[name]
            yield _figure(title, name, both, more_is_better=False, valid=valid)


def _figure(
    title: str, name: str, both: tuple[MeanEstimate, MeanEstimate], *, more_is_better: bool, valid: bool
) -> FigureComparison:
    first, second = both
    low, high = welch(first.repetitions, second.repetitions)
    if not valid:
        difference = Difference.INVALID
    elif low is None or high is None:
        difference = Difference.UNKNOWN
    elif low <= 0 <= high:
        difference = Difference.NONE
    else:
        difference = Difference.SECOND if (low > 0) == more_is_better else Difference.FIRST
    return FigureComparison(
        load=title,
        figure=name,
        first=first.mean,
        second=second.mean,
        ratio=second.mean / first.mean if first.mean else None,
        low=low,
        high=high,
        difference=difference,
    )


def welch(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[float | None, float | None]:
    """
    Return the 95 % interval of the difference of means, second - first; None and None where one was measured once.

    Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947), with the degrees of freedom of Satterthwaite.
    """
    if min(len(first), len(second)) < 2:
        return None, None
    difference = sum(second) / len(second) - sum(first) / len(first)
    parts = [variance(sample) / len(sample) for sample in (first, second)]
    total = sum(parts)
    if total == 0:
        return difference, difference
    freedom = total**2 / sum(
        part**2 / (len(sample) - 1) for part, sample in zip(parts, (first, second), strict=True)
    )
    half = t975(freedom) * math.sqrt(total)
    return difference - half, difference + half
