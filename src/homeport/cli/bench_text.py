"""Benches as the terminal shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from homeport.bench.comparison import TIMES, BenchComparison, FigureComparison
from homeport.bench.engines import EnginesBench
from homeport.bench.figures import FORMULAS, MeanEstimate, Percentiles
from homeport.bench.level import LevelResult
from homeport.bench.result import BenchResult, Setting
from homeport.bench.stored import StoredBench
from homeport.printable import printable

HEAD = ("LOAD", "ANSWERED", "OUTPUT TOKENS/S", "REQUESTS/S", "GOODPUT/S", "TTFT P50", "P95", "ITL P50", "P95", "TPOT P50", "E2E P50", "P95")  # fmt: skip


def text(result: BenchResult) -> str:
    """Return all of it: what was measured, a line for each load, the knee, formulas, and what is doubtful."""
    setting = result.setting
    engine = f"{setting.engine} {setting.engine_version}".strip() or "engine not known"
    lines = [
        f"{printable(setting.endpoint)}: {printable(setting.model)}, {printable(engine)}; client on {setting.machine}",
        _lengths(setting) + ("" if setting.ignores_eos else " at most: it does not take ignore_eos"),
        "",
        *aligned(HEAD, [_row(level) for level in result.levels]),
        "",
        *_remark_on(result),
        "",
        *(f"{name.upper():5} {formula}" for name, formula in FORMULAS.items() if name != "ttfo"),
        f"GOODPUT requests answered within {setting.slo or 'any time (no --slo)'}; intervals are 95 % over repetitions",
    ]
    if result.warm_up.first_ttft_s is not None:
        lines.append(f"warm-up, in no figure: first TTFT {_time(result.warm_up.first_ttft_s)}")
    return "\n".join(line.rstrip() for line in lines)


def _lengths(setting: Setting) -> str:
    exact = "exactly" if setting.exact_prompts else "about"
    if setting.input is None or setting.output is None:
        return f"{setting.lengths}, of prompts {exact} ({setting.template_tokens} tokens of each are the chat template's) and of answers"
    return (
        f"prompts of {exact} {setting.input} tokens ({setting.template_tokens} of the chat template), "
        f"answers of {setting.output}"
    )


def bench_row(one: StoredBench) -> tuple[str, ...]:
    """Return the line of a bench in a list."""
    if one.result is None:
        return ("cannot be read", "", "", "", "", str(one.path))
    setting, best = one.result.setting, one.result.best
    best_rate = "-" if best is None else f"{_number(best.rates['output_tokens'].mean)} tokens/s, {best.load}"
    outcome = best_rate if one.result.valid else "no result"
    return (setting.started_at, setting.endpoint, setting.where, setting.model, outcome, str(one.path))


def compared(comparison: BenchComparison) -> str:
    """Return both side by side."""
    head = ("LOAD", "FIGURE", "FIRST", "SECOND", "SECOND/FIRST", "95 % OF THE DIFFERENCE", "")
    rows = [
        _figure_row(figure, _time if figure.figure in TIMES else _number) for figure in comparison.figures
    ]
    titles = [f"first:  {printable(comparison.first)}", f"second: {printable(comparison.second)}", ""]
    return "\n".join([*titles, *aligned(head, rows), "", *map(printable, comparison.notes)])


def _figure_row(figure: FigureComparison, written: Callable[[float], str]) -> tuple[str, ...]:
    interval = ""
    if figure.low is not None and figure.high is not None:
        interval = f"{written(figure.low)} to {written(figure.high)}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    both = written(figure.first), written(figure.second)
    return (figure.load, figure.figure, *both, ratio, interval, figure.difference.value)


def engines(found: EnginesBench) -> str:
    """Return a line for each engine and number of users, what is doubtful, and what keeps them from being compared."""
    rows, doubts = [], []
    for engine in found.engines:
        name = f"{engine.engine} {engine.version}".strip()
        if engine.result is None:
            doubts.append(f"✗ {name} was not measured: {printable(engine.why)}")
            continue
        rows += [(name, *_row(each)) for each in engine.result.levels]
        doubts += [f"{name}: {line}" for line in _remark_on(engine.result)]
    table = aligned(("ENGINE", *HEAD), rows) if rows else ()
    weights = (
        f"{engine.engine} has its weights from {printable(engine.weights or 'nowhere')}"
        for engine in found.engines
    )
    lines = [printable(found.model), "", *table, "", *doubts, *weights, *found.notes]
    return "\n".join(line.rstrip() for line in lines)


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(level: LevelResult) -> tuple[str, ...]:
    failed = sum(level.requests.failed.values())
    answered = str(level.requests.answered) + (f" ({failed} failed)" if failed else "")
    times = {name: level.latency.get(name) for name in FORMULAS}
    return (
        level.load + ("" if level.valid else " ✗"),
        answered,
        _rate(level.rates["output_tokens"]),
        _rate(level.rates["requests"]),
        _rate(level.rates["goodput"]),
        *_both(times["ttft"]),
        *_both(times["itl"]),
        _both(times["tpot"])[0],
        *_both(times["e2e"]),
    )


def _both(percentiles: Percentiles | None) -> tuple[str, str]:
    return ("-", "-") if percentiles is None else (_time(percentiles.p50), _time(percentiles.p95))


def _rate(estimate: MeanEstimate) -> str:
    half = "" if estimate.high is None else f" ±{_number(estimate.high - estimate.mean)}"
    return f"{_number(estimate.mean)}{half}"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if abs(seconds) >= 1 else f"{1000 * seconds:.1f} ms"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _remark_on(result: BenchResult) -> Iterator[str]:
    if result.knee is not None:
        yield result.said_of_knee
    for level in result.levels:
        for doubt in level.doubts:
            yield f"✗ {level.load} is no result: {printable(doubt)}"
        for note in level.notes:
            yield f"  {level.load}: {printable(note)}"
        for kind, count in level.requests.failed.items():
            first = level.requests.first_failures.get(kind, "")
            yield f"  {level.load}: {count} × {kind}" + (f", the first: {printable(first)}" if first else "")
        if level.requests.unfinished:
            yield f"  {level.load}: {level.requests.unfinished} were cut off in the end, and are in no figure"
