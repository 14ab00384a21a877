"""A bench as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from homeport.bench.charts import Series, bars, lines
from homeport.bench.figures import FORMULAS, new_histogram
from homeport.bench.level import LevelResult
from homeport.bench.result import BenchResult
from homeport.redaction import redacted
from homeport.words import counted

_BARS = 40
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Whatever an engine calls itself, the page asks nobody for anything and runs nothing."""
_STYLE = """
:root { color-scheme: light dark; background: Canvas; color: CanvasText;
  --line: #8883; --a: #1b62b8; --b: #9a5b00; --c: #7a4fa3; --mark: #b3261e; --note: #5f5f5f }
@media (prefers-color-scheme: dark) {
  :root { --a: #6aa9f4; --b: #e0a040; --c: #b794dd; --mark: #ff8a80; --note: #a8a8a8 }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word }
div.wide { overflow-x: auto; margin: 1rem 0 2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right; white-space: nowrap }
figure { margin: 1rem 0; display: inline-block; width: min(100%, 33rem) }
figcaption { font-weight: 600 }
svg { display: block; width: 100%; font: 13px system-ui, sans-serif }
@media (max-width: 36rem) { svg { font-size: 16px } }
@media (max-width: 28rem) { svg { font-size: 21px } }
.wrong { color: var(--mark); font-weight: 600 }
.note { color: var(--note) }
"""


def page(result: BenchResult) -> str:
    """Return the page."""
    setting = result.setting
    title = f"{setting.endpoint}: {setting.model}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(title)}: what it gives</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        *_verdict(result),
        *_charts(result),
        _table("Loads", _HEAD, [_row(level) for level in result.levels], numbers=range(1, len(_HEAD))),
        _table("Formulas", ("figure", "formula"), [(name, formula) for name, formula in FORMULAS.items()]),
        *_engine(result),
        _table("With what", ("", ""), _settings(result)),
    ]
    return redacted("\n".join([*parts, "</body></html>", ""]))


_HEAD = ("load", "answered", "failed", "output tokens/s", "requests/s", "goodput/s", "TTFT p50", "p95", "p99",
         "ITL p50", "p95", "TPOT p50", "E2E p50", "p95", "p99", "client's core")  # fmt: skip


def _verdict(result: BenchResult) -> Iterator[str]:
    if not result.valid:
        yield "<p class=wrong>This is not a result: see below what is wrong.</p>"
    if result.knee is not None:
        yield f"<p>{escape(result.said_of_knee)}</p>"
    for level in result.levels:
        for doubt in level.doubts:
            yield f"<p class=wrong>{escape(level.load)} is no result: {escape(doubt)}</p>"
        for note in level.notes:
            yield f"<p class=note>{escape(level.load)}: {escape(note)}</p>"
        for kind, count in level.requests.failed.items():
            yield f"<p class=note>{escape(level.load)}: {count} × {escape(kind)}</p>"


def _charts(result: BenchResult) -> Iterator[str]:
    closed = [level for level in result.levels if level.users and "ttft" in level.latency]
    best = result.best
    if len(closed) > 1:
        speeds = [level.rates["output_tokens"].mean for level in closed]
        labels = [str(level.users) for level in closed]
        for name, figure in (("TTFT", "ttft"), ("end to end", "e2e")):
            p50, p95 = ([getattr(level.latency[figure], at) for level in closed] for at in ("p50", "p95"))
            mark = None
            if best is not None and best in closed:
                at = closed.index(best)
                found = result.knee is not None and result.knee.searched
                mark = (speeds[at], p50[at], f"{'knee' if found else 'most'}: {best.load}")
            yield lines(
                f"{name} against throughput, by users",
                ("output tokens a second", "seconds"),
                [Series("median", [*zip(speeds, p50, strict=True)], labels), Series("p95", [*zip(speeds, p95, strict=True)])],
                mark=mark,
            )  # fmt: skip
    if best is None:
        return
    yield lines(
        f"{best.load}: output tokens, second by second",
        ("seconds", "tokens a second"),
        [Series("output tokens", [(second.at, second.output_tokens) for second in best.over_time])],
    )
    with_ttft = [second for second in best.over_time if second.ttft_p50 is not None]
    yield lines(
        f"{best.load}: TTFT, second by second",
        ("seconds", "seconds"),
        [
            Series("median", [(second.at, second.ttft_p50 or 0.0) for second in with_ttft]),
            Series("p95", [(second.at, second.ttft_p95 or 0.0) for second in with_ttft]),
        ],
    )
    for figure in ("ttft", "itl", "e2e"):
        if figure in best.latency:
            title = f"{best.load}: {figure.upper()}, {best.latency[figure].count} values"
            yield bars(title, ("seconds", "how many"), _histogram(best, figure))


def _histogram(level: LevelResult, figure: str) -> list[tuple[float, float, float]]:
    """Return bars from 0 to the 99th percentile, and what is above it in the last."""
    histogram = type(new_histogram()).decode(level.latency[figure].histogram)
    top = max(level.latency[figure].p99, 1e-6)
    counts = [0.0] * _BARS
    for item in histogram.get_recorded_iterator():
        seconds = item.value_iterated_to / 1e6
        counts[min(_BARS - 1, int(seconds / top * _BARS))] += item.count_added_in_this_iter_step
    width = top / _BARS
    return [(place * width, (place + 1) * width, count) for place, count in enumerate(counts)]


def _row(level: LevelResult) -> list[str]:
    def at(name: str, *percentiles: str) -> list[str]:
        latency = level.latency.get(name)
        return ["" if latency is None else f"{1000 * getattr(latency, each):,.1f} ms" for each in percentiles]

    def rate(name: str) -> str:
        estimate = level.rates[name]
        return f"{estimate.mean:.4g}" + (
            "" if estimate.high is None else f" ± {estimate.high - estimate.mean:.2g}"
        )

    return [
        level.load + ("" if level.valid else " (no result)"),
        str(level.requests.answered),
        str(sum(level.requests.failed.values())),
        rate("output_tokens"),
        rate("requests"),
        rate("goodput"),
        *at("ttft", "p50", "p95", "p99"),
        *at("itl", "p50", "p95"),
        *at("tpot", "p50"),
        *at("e2e", "p50", "p95", "p99"),
        f"{level.client.cpu_share:.0%}",
    ]


def _engine(result: BenchResult) -> Iterator[str]:
    title = "The engine's own counters"
    if not result.engine_metrics:
        yield f"<h2>{title}</h2><p class=note>It shows none.</p>"
        return
    rows = [(name, f"{value:,.6g}") for name, value in sorted(result.engine_metrics.items())]
    yield _table(title, ("counter, over all of the bench", "grew by"), rows, numbers=(1,))


def _settings(result: BenchResult) -> list[tuple[str, str]]:
    setting = result.setting
    exact = (
        "exactly, by the engine's own count"
        if setting.exact_prompts
        else "about: the engine counts no prompts"
    )
    first = result.warm_up.first_ttft_s
    prompts, answers = (
        setting.lengths if tokens is None else f"{tokens} tokens"
        for tokens in (setting.input, setting.output)
    )
    return [
        ("engine", f"{setting.engine} {setting.engine_version}".strip() or "not known"),
        ("on", setting.where),
        ("client on", setting.machine),
        ("homeport", setting.homeport),
        ("prompts", f"{prompts}, {exact}; {counted(setting.template_tokens, 'token')} of each the chat template's"),
        ("answers", answers + ("" if setting.ignores_eos else " at most")),
        ("objectives", setting.slo or "none: every answer is good"),
        ("warm-up", f"{result.warm_up.requests} requests, in no figure" + (f"; the first TTFT {first:.3f} s" if first else "")),
        ("seed", str(setting.seed)),
        ("started", setting.started_at),
    ]  # fmt: skip


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()
) -> str:
    """Return a table below its title, which scrolls by itself where the window is narrower, by keys, too."""
    kinds = [' class="n"' if place in numbers else "" for place in range(len(head))]
    heads = "".join(f"<th{kind}>{escape(cell)}</th>" for kind, cell in zip(kinds, head, strict=True))
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return (
        f"<h2>{escape(title)}</h2>"
        f'<div class="wide" role="region" aria-label="{escape(title)}" tabindex="0">{table}</div>'
    )
