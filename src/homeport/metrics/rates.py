"""What an engine did between two moments: how fast tokens came, how long the first one took."""

from __future__ import annotations

import math
from dataclasses import dataclass

from homeport.json_types import JsonObject
from homeport.metrics.snapshot import Histogram, Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What happened between two snapshots. None stands for what is not known, or did not happen."""

    seconds: float
    prompt_tokens_per_s: float | None = None
    output_tokens_per_s: float | None = None
    requests_per_s: float | None = None
    ttft_s: float | None = None
    """The mean time to the first token of the requests that had theirs meanwhile."""
    ttft_p95_s: float | None = None
    """Interpolated within the engine's buckets, as Prometheus' `histogram_quantile` does it."""
    prefix_hit_share: float | None = None

    def as_json(self) -> JsonObject:
        """Return the rates as `--json` prints them."""
        return {name: getattr(self, name) for name in self.__slots__}


def grown(before: float | None, after: float | None) -> float | None:
    """Return by how much a counter grew. One that fell began again with its engine: then it grew by what it is now."""
    if before is None or after is None:
        return None
    return after - before if after >= before else after


def between(before: Snapshot, after: Snapshot) -> Rates | None:
    """Return what happened between two snapshots; None where no time passed, such as when the clock was set back."""
    seconds = after.at - before.at
    if seconds <= 0:
        return None
    hits = grown(before.prefix_hits, after.prefix_hits)
    queries = grown(before.prefix_queries, after.prefix_queries)
    first = _meanwhile(before.ttft, after.ttft)
    return Rates(
        seconds=seconds,
        prompt_tokens_per_s=_per(grown(before.prompt_tokens, after.prompt_tokens), seconds),
        output_tokens_per_s=_per(grown(before.output_tokens, after.output_tokens), seconds),
        requests_per_s=_per(grown(before.requests, after.requests), seconds),
        ttft_s=first.total / first.count if first else None,
        ttft_p95_s=quantile(first, 0.95) if first else None,
        prefix_hit_share=hits / queries if hits is not None and queries else None,
    )


def quantile(histogram: Histogram, share: float) -> float | None:
    """
    Return the time within which `share` of all were done; None where the buckets do not tell.

    Where it lies beyond the last bound, that bound is returned, as Prometheus does it.
    """
    bounds = histogram.buckets
    if len(bounds) < 2 or not math.isinf(bounds[-1][0]) or bounds[-1][1] <= 0:
        return None
    rank, below, counted = share * bounds[-1][1], 0.0, 0.0
    for bound, count in bounds:
        if count >= rank:
            if math.isinf(bound):
                return bounds[-2][0]
            width = count - counted
            return bound if width <= 0 else below + (bound - below) * (rank - counted) / width
        below, counted = bound, count
    return None


def _meanwhile(before: Histogram | None, after: Histogram | None) -> Histogram | None:
    """Return the histogram of what came between two; None where nothing came, or it cannot be told."""
    if before is None or after is None:
        return None
    if after.count < before.count:
        return after if after.count > 0 else None
    count = after.count - before.count
    if count <= 0:
        return None
    counts_before = dict(before.buckets)
    buckets = tuple(
        (bound, max(0.0, value - counts_before.get(bound, 0.0))) for bound, value in after.buckets
    )
    return Histogram(total=max(0.0, after.total - before.total), count=count, buckets=buckets)


def _per(amount: float | None, seconds: float) -> float | None:
    return None if amount is None else amount / seconds
