"""
What is measured, each with its formula: the field uses the names TPOT and ITL for three things.

vLLM calls (E2E - TTFT) ÷ (tokens - 1) TPOT, guidellm and aiperf call it inter-token latency; guidellm's TPOT has the
first token in it, and vLLM's ITL is the gap between chunks. Names here are vLLM's, and aiperf's TTFO.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from homeport.bench.timed_request import TimedRequest
from homeport.extras import missing

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

FORMULAS = {
    "ttft": "first chunk with a token - due (open loop) or sent (closed loop)",
    "ttfo": "first chunk with a token that is no reasoning - due or sent",
    "itl": "each gap between two chunks with tokens",
    "tpot": "(last token - first token) ÷ (output tokens - 1)",
    "e2e": "last token - due or sent",
}
"""By name, in seconds. Requests with one token have no TPOT."""
MOST_S = 3600
"""No request is waited for so long."""
DIGITS = 3
"""Significant digits of every percentile: of 1 s, it is right to a millisecond."""


def values(request: TimedRequest) -> dict[str, float]:
    """Return the figures of a request that was answered; those that it does not have are missing."""
    first, last = request.chunks[0], request.chunks[-1]
    figures = {"ttft": first - request.due, "e2e": last - request.due}
    if request.first_answer is not None:
        figures["ttfo"] = request.first_answer - request.due
    if request.output_tokens > 1:
        figures["tpot"] = (last - first) / (request.output_tokens - 1)
    if len(request.chunks) > 1:
        figures["itl"] = (last - first) / (len(request.chunks) - 1)
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """How one figure is spread over requests or gaps, in seconds, from an HDR histogram."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    formula: str
    count: int
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    histogram: str
    """All values in microseconds, in HdrHistogram's V2 compressed format, base64."""


def spread(name: str, seconds: Iterable[float]) -> Percentiles | None:
    """Return how the figure `name` is spread; None where there is no value of it."""
    histogram = new_histogram()
    total = 0.0
    for value in seconds:
        histogram.record_value(min(MOST_S * 10**6, max(1, round(value * 1e6))))
        total += value
    count = histogram.get_total_count()
    if not count:
        return None
    percentiles = histogram.get_percentile_to_value_dict([50, 90, 95, 99])  # In one pass.
    at = {int(percentile): value / 1e6 for percentile, value in percentiles.items()}
    return Percentiles(
        formula=FORMULAS[name],
        count=count,
        mean=total / count,
        p50=at[50],
        p90=at[90],
        p95=at[95],
        p99=at[99],
        max=histogram.get_max_value() / 1e6,
        histogram=histogram.encode().decode(),
    )


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of microseconds up to an hour. Raises `ExtraMissing` where its library is missing."""
    try:
        from hdrh.histogram import HdrHistogram
    except ImportError as error:
        raise missing("percentiles need hdrhistogram", "bench") from error
    return HdrHistogram(1, MOST_S * 10**6, DIGITS)


def gaps(requests: Iterable[TimedRequest]) -> Iterable[float]:
    """Yield each gap between chunks of a request."""
    for request in requests:
        chunks = request.chunks
        for place in range(1, len(chunks)):
            yield chunks[place] - chunks[place - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanEstimate:
    """A mean over repetitions, with its 95 % interval."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    mean: float
    low: float | None
    """Of the interval by Student's t; None for a single repetition, of which nothing is known."""
    high: float | None
    repetitions: tuple[float, ...]


_T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Quantiles of Student's t at 0.975, by degrees of freedom from 1 on. The libraries that have them weigh 100 MB."""


def t975(freedom: float) -> float:
    """Return the quantile, of the next lower whole number of degrees of freedom, which is the wider one; 1.96 from 1000 on."""
    degrees = max(1, math.floor(freedom))
    if degrees <= len(_T975):
        return _T975[degrees - 1]
    return 1.96 + 2.4 / degrees  # To the third digit from 30 on: 2.042, 2.000 at 60, 1.980 at 120.


def estimate(repetitions: Sequence[float]) -> MeanEstimate:
    """Return the mean with its interval."""
    count = len(repetitions)
    mean = sum(repetitions) / count
    if count < 2:
        return MeanEstimate(mean=mean, low=None, high=None, repetitions=tuple(repetitions))
    half = t975(count - 1) * math.sqrt(variance(repetitions) / count)
    return MeanEstimate(mean=mean, low=mean - half, high=mean + half, repetitions=tuple(repetitions))


def variance(numbers: Sequence[float]) -> float:
    """Return the variance as a sample of two or more tells it."""
    mean = sum(numbers) / len(numbers)
    return sum((number - mean) ** 2 for number in numbers) / (len(numbers) - 1)
