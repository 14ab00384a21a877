"""
What is looked at and what is warned of, as PromQL over the series that an engine says it has.

The expressions are in the form that Prometheus 2 and Google's Managed Service both take. Of a series that was renamed
between versions of its engine, each name is asked for, so that a change of version leaves no panel empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from homeport.engines.metric_names import PARTS, MetricNames, selected
from homeport.observe.chart import LABEL, REGION, Alert, Curve, Panel, together
from homeport.observe.objectives import ServiceLevels
from homeport.observe.uptime import UptimeWatch

WINDOW = "5m"
SLOW_S = 10.0
"""Of a 95th percentile of the time to the first token, that is warned of."""
FULL = 0.95
"""The share of the KV cache that is warned of."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One endpoint's panels and alerts, with those of its objectives where it has any."""

    name: str
    names: MetricNames
    levels: ServiceLevels | None = None
    uptime: UptimeWatch | None = None
    beside: int | None = None
    """The port of another program that is asked beside the one that answers requests, and whose `up` says nothing of it."""
    apart: bool = False
    """Whether several regions serve it: each is a curve of its own, and warned of by itself."""

    @property
    def selector(self) -> str:
        """Return the labels by which its series are known from others'."""
        return f'{{{LABEL}="{self.name}"}}'

    @property
    def up(self) -> str:
        """Return the series that tells of each instance whether it could be asked."""
        return self.up_of(self.selector)

    def up_of(self, selector: str) -> str:
        """Return that series of the instances that `selector` is about."""
        other = f',instance!~".*:{self.beside}"}}' if self.beside else "}"
        return f"up{selector.removesuffix('}')}{other}"

    @property
    def series_pattern(self) -> str:
        """Return the regular expression of the series that any panel or alert uses, and no others."""
        return "|".join(sorted(self.names.series()))

    def panels(self) -> tuple[Panel, ...]:
        """Return the charts, those alone that the engine has series for."""
        own = tuple(panel for panel in self._panels() if panel.curves)
        reached = (self.uptime.panel(),) if self.uptime else ()
        return (*own, *(self.levels.panels() if self.levels else ()), *reached)

    def alerts(self) -> tuple[Alert, ...]:
        """
        Return the rules, those alone that the engine has series for.

        None but the first fires where nothing is known: no series is no queue, and no full cache.
        """
        unreachable = (self.uptime.alert(),) if self.uptime else ()
        return (*self._alerts(), *(self.levels.alerts() if self.levels else ()), *unreachable)

    def _panels(self) -> Iterator[Panel]:
        names = self.names
        yield self._panel(
            "Tokens a second", "short",
            prompts=self._rate(names.prompt_tokens), answers=self._rate(names.output_tokens),
        )  # fmt: skip
        yield self._panel(
            "Requests", "short", running=self._sum(names.running), waiting=self._sum(names.waiting)
        )
        yield self._panel("Requests answered", "reqps", answered=self._rate(names.requests))
        yield self._panel(
            "Time to the first token", "s", median=self._quantile(0.5), p95=self._quantile(0.95)
        )
        yield self._panel(
            "Seconds of work on a token", "s",
            prompts=_ratio(self._rate(names.prefill_seconds), self._rate(names.prompt_tokens)),
            answers=_ratio(self._rate(names.decode_seconds), self._rate(names.output_tokens)),
        )  # fmt: skip
        yield self._panel("KV cache taken", "percentunit", fullest=self._most(names.kv_cache))
        yield self._panel(
            "Prompt tokens that the prefix cache had", "percentunit",
            share=_ratio(self._rate(names.prefix_hits), self._rate(names.prefix_queries)),
        )  # fmt: skip
        yield self._panel("Preemptions", "ops", preempted=self._rate(names.preemptions))

    def _alerts(self) -> Iterator[Alert]:
        names, who = self.names, f"{self.name} in one of its regions" if self.apart else self.name
        yield Alert(
            name="HomeportDown", value=f"{self._over('max')}({self.up})", compared="== 0", lasts="1m", severity="critical",
            summary=f"{who} does not answer, or does not let Prometheus in",
            todo="`homeport status` tells which; `homeport logs` has what the engine wrote",
        )  # fmt: skip
        running, progress = self._sum(names.running), self._rate(names.progress or names.output_tokens)
        if running and progress:
            yield Alert(
                name="HomeportStalled", value=f"({progress} and ({running} > 0))", compared="== 0", lasts="10m",
                severity="critical", summary=f"{who} has requests, and no token has come for {WINDOW}",
                empty_while="no request is under way",
                todo="`homeport verify` tells whether it answers; `homeport logs` has what the engine wrote",
            )  # fmt: skip
        if waiting := self._sum(names.waiting):
            yield Alert(
                name="HomeportQueue", value=waiting, compared="> 0", lasts="5m", severity="warning",
                summary=f"requests have waited at {who} without a pause",
                todo="raise engine.parallel where `homeport fit` has room; on Cloud Run also scaling.max",
            )  # fmt: skip
        if usage := self._most(names.kv_cache):
            yield Alert(
                name="HomeportKvCacheFull", value=usage, compared=f"> {FULL:g}", lasts="5m", severity="warning",
                summary=f"the KV cache of {who} is full",
                todo="lower engine.parallel or engine.context, or halve it: engine.kv_dtype",
            )  # fmt: skip
        if lost := self._rate(names.preemptions):
            yield Alert(
                name="HomeportPreemptions", value=lost, compared="> 0", lasts="10m", severity="warning",
                summary=f"requests at {who} lose their place in the KV cache and begin again",
                todo="lower engine.parallel or engine.context",
            )  # fmt: skip
        if slow := self._quantile(0.95):
            yield Alert(
                name="HomeportSlowFirstToken", value=slow, compared=f"> {SLOW_S:g}", lasts="5m",
                severity="warning", summary=f"one in twenty waits more than {SLOW_S:g} s for the first token of {who}",
                todo="`homeport top` shows the queue; `homeport capacity` how many instances keep an objective",
            )  # fmt: skip

    def _panel(self, title: str, unit: str, **queries: str) -> Panel:
        curves = tuple(Curve(name=name, query=query) for name, query in queries.items() if query)
        return Panel(title=title, unit=unit, curves=curves)

    def _sum(self, names: tuple[str, ...]) -> str:
        return f"{self._over('sum')}({self._any(names)})" if self._any(names) else ""

    def _most(self, names: tuple[str, ...]) -> str:
        return f"{self._over('max')}({self._any(names)})" if self._any(names) else ""

    def _rate(self, names: tuple[str, ...]) -> str:
        each = " or ".join(
            f"rate({selected(name, self.selector)}[{WINDOW}])" for name in self._current(names)
        )
        return f"{self._over('sum')}({each})" if each else ""

    def _quantile(self, share: float) -> str:
        each = " or ".join(
            f"rate({name}{PARTS[0]}{self.selector}[{WINDOW}])" for name in self._current(self.names.ttft)
        )
        kept = f"le, {REGION}" if self.apart else "le"
        return f"histogram_quantile({share:g}, sum by ({kept}) ({each}))" if each else ""

    def _over(self, what: str) -> str:
        """Return what takes series together: all of them, or those of each region."""
        return together(what, apart=self.apart)

    def _any(self, names: tuple[str, ...]) -> str:
        return " or ".join(selected(name, self.selector) for name in self._current(names))

    def _current(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names, and nothing where today's versions of the engine have none of them."""
        return () if set(names) <= set(self.names.former) else names


def _ratio(part: str, total: str) -> str:
    return f"{part} / {total}" if part and total else ""
