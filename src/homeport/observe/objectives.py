"""
Objectives of an endpoint as alerts on how fast their error budgets are used up, over two windows at once.

The windows and rates are those of Google's SRE workbook, chapter "Alerting on SLOs", table 5-8 (sre.google/workbook/alerting-on-slos):
14.4 times as fast as a month allows over an hour, which is 2 % of its budget, and 6 times over six hours, which is 5 %; each with a
twelfth of the window beside it, so that an alert ends soon after what caused it. The workbook pages for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from homeport.engines.metric_names import PARTS, MetricNames
from homeport.errors import SpecError, Unsupported
from homeport.observe.chart import LABEL, Alert, Curve, Panel, together
from homeport.spec import ObserveSlo

_BUCKET, _, _COUNT = PARTS
_LASTS = "1m"
"""The workbook has none; so an answer of a single evaluation, such as at a restart of the server that asks, is not told of."""
_NO_REQUEST = "no request has come"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindow:
    """Over what time, and how fast, an error budget is used up where it is told of."""

    word: str
    long: str
    short: str
    rate: float
    """How many times as fast as it would last for the whole month."""


WINDOWS = (
    BurnWindow(word="Fast", long="1h", short="5m", rate=14.4),
    BurnWindow(word="Slow", long="6h", short="30m", rate=6.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """What tells how an objective is kept."""

    word: str
    curve: str
    share: float
    """Of what is counted, how much is to be good."""
    bad: Callable[[str], str]
    """Returns the query of the share that was bad within a window."""
    what: str
    """What is bad."""
    todo: str
    empty_while: str = ""

    @property
    def budget(self) -> float:
        """Return the share that may be bad, without the noise of binary fractions."""
        return round(1 - self.share, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevels:
    """The objectives of one endpoint, with the series that tell whether they are kept."""

    name: str
    names: MetricNames
    slo: ObserveSlo
    front: bool
    """Whether Cloud Run counts its requests; else the scrapes that it answers are what is known."""
    apart: bool = False
    """Whether several regions serve it, each of which is held to them."""

    @property
    def bound(self) -> float | None:
        """Return the bound of the engine's buckets by which the first token counts as in time; None without that objective."""
        limit = self.slo.ttft_s
        return None if limit is None else next(bound for bound in self.names.ttft_bounds if bound >= limit)

    def descriptions(self) -> tuple[str, ...]:
        """Return the objectives in words, and by which bound the first token's is judged."""
        return tuple(self._descriptions())

    def alerts(self) -> Iterator[Alert]:
        """Yield two alerts for each objective. None fires where nothing is known, nor where nothing was asked."""
        for window in WINDOWS:
            for indicator in self._indicators():
                yield self._alert(window, indicator)

    def panels(self) -> Iterator[Panel]:
        """Yield the chart of how fast the budgets are used up: 1 is as fast as a month allows."""
        curves = tuple(
            Curve(
                name=indicator.curve,
                query=f"({indicator.bad(WINDOWS[0].long)}) / {indicator.budget:g}",
                empty_while=indicator.empty_while,
            )
            for indicator in self._indicators()
        )
        yield Panel(title="Error budget used up in an hour", unit="short", curves=curves)

    def _indicators(self) -> Iterator[Indicator]:
        if self.bound is not None:
            yield Indicator(
                word="FirstToken", curve="first_token", share=self.slo.ttft_share, bad=self._late,
                what=f"first tokens that take longer than {self.bound:g} s",
                todo="`homeport top` shows the queue; `homeport capacity` how many instances keep an objective",
            )  # fmt: skip
        if self.slo.availability is not None:
            yield Indicator(
                word="Availability", curve="availability", share=self.slo.availability, bad=self._failed,
                what="requests that Cloud Run answers with 5xx or 429" if self.front else "scrapes that fail",
                todo="`homeport status` and `homeport logs` tell what the endpoint does",
                empty_while=_NO_REQUEST if self.front else "",
            )  # fmt: skip

    def _descriptions(self) -> Iterator[str]:
        if self.slo.ttft_s is not None and self.bound is not None:
            sentence = f"{self.slo.ttft_share:g} of requests have their first token within {self.bound:g} s"
            if self.bound != self.slo.ttft_s:
                last = max((bound for bound in self.names.ttft_bounds if bound < self.slo.ttft_s), default=0)
                sentence += f" ({self.slo.ttft_s:g} s is asked for, and the engine counts at {last:g} s and at {self.bound:g} s)"
            yield sentence
        if self.slo.availability is not None:
            success = "requests are answered without 5xx and 429" if self.front else "scrapes are answered"
            yield f"{self.slo.availability:g} of {success}"

    def _alert(self, window: BurnWindow, indicator: Indicator) -> Alert:
        fast = f"{window.rate:g} times too fast, over {window.long} and {window.short}"
        return Alert(
            name=f"Homeport{indicator.word}{window.word}Burn",
            value=indicator.bad(window.long),
            also=indicator.bad(window.short),
            compared=f"> {window.rate * indicator.budget:.6g}",
            lasts=_LASTS,
            severity="critical",
            summary=f"{indicator.what} use {self.name}'s error budget up {fast}",
            todo=indicator.todo,
            empty_while=indicator.empty_while,
        )

    def _late(self, window: str) -> str:
        """Return the share of requests whose first token came later than the bound."""
        at = _le(self.bound or 0)
        in_time = self._rate(_BUCKET, f',le=~"{at}"', window)
        return f"1 - {in_time} / {self._rate(_COUNT, '', window)}"

    def _failed(self, window: str) -> str:
        """
        Return the share that failed: of requests, or of scrapes. Without a failure it is 0, and without a request nothing.

        What reaches no instance is not in Cloud Run's request_count, by its description in Google's list of metrics.
        """
        if not self.front:
            return f'1 - avg(avg_over_time(up{{{LABEL}="{self.name}"}}[{window}]))'
        each = f'monitored_resource="cloud_run_revision",service_name="{self.name}"'
        added = together("sum", apart=self.apart)
        of_all = f"{added}(rate(run_googleapis_com:request_count{{{each}}}[{window}]))"
        bad = f'{added}(rate(run_googleapis_com:request_count{{{each},response_code=~"5..|429"}}[{window}]))'
        return f"({bad} or {of_all} * 0) / {of_all}"

    def _rate(self, part: str, more: str, window: str) -> str:
        each = " or ".join(
            f'rate({name}{part}{{{LABEL}="{self.name}"{more}}}[{window}])' for name in self.names.ttft
        )
        return f"{together('sum', apart=self.apart)}({each})"


def service_levels(
    name: str,
    engine: str,
    names: MetricNames,
    slo: ObserveSlo | None,
    *,
    front: bool,
    apart: bool = False,
) -> ServiceLevels | None:
    """
    Return the objectives of an endpoint on the engine of that title; None where it has none.

    Raises `Unsupported` for an engine that does not time first tokens, `SpecError` for a time that is beyond its last bucket.
    """
    if slo is None:
        return None
    ttft_s = slo.ttft_s
    if ttft_s is not None and not names.ttft_bounds:
        raise Unsupported(
            f"{engine} does not tell how long first tokens take, and observe.slo.ttft asks for it",
            hint="remove ttft from observe.slo, or set engine.kind to another engine",
        )
    if ttft_s is not None and ttft_s > names.ttft_bounds[-1]:
        raise SpecError(
            f"observe.slo.ttft is {slo.ttft}, and {engine} counts first tokens up to {names.ttft_bounds[-1]:g} s",
            hint="set it to less",
        )
    return ServiceLevels(name=name, names=names, slo=slo, front=front, apart=apart)


def _le(bound: float) -> str:
    """Return a regular expression of a bucket's bound, which one server writes as 1 and another as 1.0."""
    text = f"{bound:g}".replace(".", "[.]")
    return text if math.modf(bound)[0] else f"{text}([.]0)?"
