"""What one load came to, over its repetitions: figures, failures, tokens, what the client cost, and what is doubtful."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import ConfigDict

from homeport.bench import doubts
from homeport.bench.figures import MeanEstimate, Percentiles, estimate, gaps, spread, values
from homeport.bench.load import LATE_S, LoadRun
from homeport.bench.slo import Slo
from homeport.bench.timed_request import TimedRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Counts of requests."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    answered: int
    failed: Mapping[str, int]
    """By kind of failure."""
    unfinished: int
    """Cut off in the end, since the load had its time; in no figure."""
    late: int
    """Sent more than 10 ms after they were due; their figures begin when they were due."""
    unsent: int
    """Due and never sent, since too many were open."""
    reconnected: int
    """Sent again, since the server had just closed the connection that was kept open."""
    first_failure: str
    """What was said of the first that failed, or ''."""
    first_failures: Mapping[str, str] = field(default_factory=dict)
    """What was said of the first of each kind; empty in a file of before this was written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Tokens as the server counts them (`usage`), and what speaks for and against its count."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    input: int
    output: int
    chunks: int
    """Pieces of streams that had tokens."""
    counted: bool
    """Whether the server counted all answers; else a chunk is taken for a token."""
    input_exact: int
    """Requests whose prompt had exactly the tokens that it was made to have, by the server's count."""
    cached: int
    """Tokens of prompts that the server had in its cache, as far as it tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCost:
    """What the load generator itself cost."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    cpu_share: float
    """Of one core: this process has one busy thread."""
    cpu_s_per_1000_requests: float
    delay_p90_s: float
    """How late it was at its own looks, every 50 ms: no time that it took is truer than that."""
    delay_p99_s: float
    delay_max_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of a load, for charts."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    at: int
    """Since the load began; repetitions follow each other."""
    output_tokens: float
    answered: int
    ttft_p50: float | None
    """Of those whose first token came in this second."""
    ttft_p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelResult:
    """One load."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    load: str
    """In words, such as `8 users` or `poisson, 2 a second`."""
    users: int | None
    """Of a closed loop."""
    rate: float | None
    """Requests a second that were due, of an open loop."""
    seconds: float
    """From the first request to the last token, of all repetitions together."""
    requests: Requests
    tokens: TokenCounts
    rates: Mapping[str, MeanEstimate]
    """A second: `output_tokens`, `total_tokens`, `requests`, `goodput` (answered within the objectives)."""
    latency: Mapping[str, Percentiles]
    """By the names of `FORMULAS`, each with its formula."""
    by_repetition: Mapping[str, MeanEstimate]
    """Medians and 95th percentiles of each repetition, such as `ttft_p50`, with their interval."""
    client: ClientCost
    over_time: tuple[Second, ...]
    doubts: tuple[str, ...]
    """Why this is no result: something measured wrongly, or counted wrongly. Empty for a result."""
    notes: tuple[str, ...]
    """What else should be known of it."""

    @property
    def valid(self) -> bool:
        """Tell whether this is a result."""
        return not self.doubts


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A load as it was meant."""

    load: str
    users: int | None = None
    rate: float | None = None
    ignores_eos: bool = False
    """Whether the server was told to go on to the last token that was asked for."""


def level(about: Loaded, runs: Sequence[LoadRun], slo: Slo, *, exact: bool) -> LevelResult:
    """Return what the repetitions of a load came to; with `exact`, prompts were made to have exactly their tokens."""
    everything = [request for run in runs for request in run.requests]
    answered = [request for request in everything if request.failure is None]
    client = _client(runs, len(everything))
    tokens = _tokens(answered)
    requests = _requests(runs, everything, len(answered))
    latency = {
        name: percentiles
        for name in ("ttft", "ttfo", "tpot", "e2e")
        if (percentiles := _spread(name, answered))
    }
    if (between := spread("itl", gaps(answered))) is not None:
        latency["itl"] = between
    wrong, notes = doubts.of_tokens(answered, ignores_eos=about.ignores_eos, exact=exact)
    slow = doubts.of_client(client.cpu_share, (client.delay_p90_s, client.delay_p99_s), latency.get("ttft"))
    wrong += slow[0] + doubts.of_requests(len(answered), len(everything), requests.late, requests.unsent)
    return LevelResult(
        load=about.load,
        users=about.users,
        rate=about.rate,
        seconds=sum(run.ended - run.begun for run in runs),
        requests=requests,
        tokens=tokens,
        rates=_rates(runs, slo),
        latency=latency,
        by_repetition=_by_repetition(runs),
        client=client,
        over_time=_over_time(runs),
        doubts=tuple(wrong),
        notes=tuple(notes + slow[1]),
    )


def _spread(name: str, requests: Sequence[TimedRequest]) -> Percentiles | None:
    return spread(name, (figures[name] for request in requests if name in (figures := values(request))))


def _requests(runs: Sequence[LoadRun], sent: Sequence[TimedRequest], answered: int) -> Requests:
    failed = [request for request in sent if request.failure is not None]
    return Requests(
        answered=answered,
        failed=dict(Counter(str(request.failure) for request in failed)),
        unfinished=sum(run.unfinished for run in runs),
        late=sum(request.sent - request.due > LATE_S for request in sent),
        unsent=sum(run.unsent for run in runs),
        reconnected=sum(run.reconnected for run in runs),
        first_failure=failed[0].detail if failed else "",
        first_failures={str(request.failure): request.detail for request in reversed(failed)},
    )


def _tokens(answered: Sequence[TimedRequest]) -> TokenCounts:
    return TokenCounts(
        input=sum(request.input_tokens or request.input for request in answered),
        output=sum(request.output_tokens for request in answered),
        chunks=sum(len(request.chunks) for request in answered),
        counted=all((request.usage or {}).get("completion_tokens") for request in answered),
        input_exact=sum(request.input_tokens == request.input for request in answered),
        cached=sum(request.cached_tokens for request in answered),
    )


def _client(runs: Sequence[LoadRun], requests: int) -> ClientCost:
    delays = sorted(delay for run in runs for delay in run.delays)
    spent = sum(run.cpu_s for run in runs)
    return ClientCost(
        cpu_share=spent / max(1e-9, sum(run.ended - run.begun for run in runs)),
        cpu_s_per_1000_requests=1000 * spent / max(1, requests),
        delay_p90_s=_at(delays, 0.90),
        delay_p99_s=_at(delays, 0.99),
        delay_max_s=_at(delays, 1.0),
    )


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def _rates(runs: Sequence[LoadRun], slo: Slo) -> dict[str, MeanEstimate]:
    """Return what came a second, over the time from the first request to the last token, as the field reckons."""
    rates: dict[str, list[float]] = {"output_tokens": [], "total_tokens": [], "requests": [], "goodput": []}
    for run in runs:
        answered = [request for request in run.requests if request.failure is None]
        seconds = max(1e-9, run.ended - min((request.due for request in run.requests), default=run.begun))
        output = sum(request.output_tokens for request in answered)
        rates["output_tokens"].append(output / seconds)
        rates["total_tokens"].append(
            (output + sum(request.input_tokens or request.input for request in answered)) / seconds
        )
        rates["requests"].append(len(answered) / seconds)
        rates["goodput"].append(sum(slo.met_by(request) for request in answered) / seconds)
    return {name: estimate(each) for name, each in rates.items()}


def _by_repetition(runs: Sequence[LoadRun]) -> dict[str, MeanEstimate]:
    estimates = {}
    for name in ("ttft", "ttfo", "tpot", "e2e", "itl"):
        each = []
        for run in runs:
            answered = [request for request in run.requests if request.failure is None]
            found = spread(name, gaps(answered)) if name == "itl" else _spread(name, answered)
            if found is not None:
                each.append(found)
        if len(each) == len(runs):
            estimates[f"{name}_p50"] = estimate([repetition.p50 for repetition in each])
            estimates[f"{name}_p95"] = estimate([repetition.p95 for repetition in each])
    return estimates


def _over_time(runs: Sequence[LoadRun]) -> tuple[Second, ...]:
    rows, offset = [], 0
    for run in runs:
        seconds = max(1, int(run.ended - run.begun) + 1)
        tokens, answered = [0.0] * seconds, [0] * seconds
        first: list[list[float]] = [[] for _ in range(seconds)]
        for request in run.requests:
            if request.failure is not None:
                continue
            each = request.output_tokens / len(request.chunks)
            for at in request.chunks:
                tokens[int(at - run.begun)] += each
            answered[int(request.chunks[-1] - run.begun)] += 1
            first[int(request.chunks[0] - run.begun)].append(request.chunks[0] - request.due)
        for at in range(seconds):
            ttfts = sorted(first[at])
            rows.append(
                Second(
                    at=offset + at,
                    output_tokens=round(tokens[at], 3),
                    answered=answered[at],
                    ttft_p50=_at(ttfts, 0.5) if ttfts else None,
                    ttft_p95=_at(ttfts, 0.95) if ttfts else None,
                )
            )
        offset += seconds
    return tuple(rows)
