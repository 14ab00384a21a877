"""Fits as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.engines.footprint import MemoryTerm, gib
from homeport.engines.registry import module
from homeport.fit import Fit
from homeport.fit.cloud import CACHED, Estimate
from homeport.fit.table import FitRow, Looked
from homeport.terminal import pairs


def table_text(looked: Looked) -> str:
    """Describe every place in a line, then what Cloud Run would be told, or what would make the model fit."""
    model, settings = looked.model, looked.settings
    load = f"{settings.parallel} × {settings.context:,} tokens at once"
    head = f"{model.title}: {load}, Cloud Run in {looked.cloudrun.region}, prices of {looked.prices.dated}"
    about_task = ['a model of embeddings: it gives vectors, with task = "embed" in homeport.toml'] * (
        model.task == "embed"
    )
    lines = [head, *about_task, "", *_grid(_rows(looked))]
    for row in looked.rows:
        lines += [
            f"  {_mark(row.fit)} {row.fit.what.engine} on {row.fit.place.name}: {problem}"
            for problem in row.fit.problems
        ]
    for estimate in looked.estimates:
        lines += ["", *_estimate(estimate)]
    unconfirmed = sorted({key for row in looked.rows if row.hourly for key in row.hourly.unconfirmed})
    lines += [f"  ? {key} is unconfirmed: {looked.prices.source(key)}" for key in unconfirmed]
    lines += [f"  note: {note}" for note in looked.notes]
    return "\n".join(lines)


def _rows(looked: Looked) -> list[tuple[str, ...]]:
    contexts = tuple(tokens(context) for context in looked.contexts)
    header = ("", "WHERE", "ENGINE", "WEIGHTS", "KV CACHE", *contexts, "$/HOUR", "WHAT BINDS")
    return [header, *(_row(row, looked.contexts) for row in looked.rows)]


def _row(row: FitRow, contexts: tuple[int, ...]) -> tuple[str, ...]:
    fit = row.fit
    left = max(0, fit.footprint.cache_bytes) if fit.footprint and fit.footprint.cache.grows else 0
    return (
        "✓" if fit.fits else _mark(fit),
        fit.place.name,
        fit.what.engine,
        f"{gib(_weights(fit))} {fit.what.settings.quantization or fit.what.weights.quantization}",
        gib(left) if left else "–",
        *(_count(fit, context) for context in contexts),
        _price(row),
        fit.binds,
    )


def _mark(fit: Fit) -> str:
    """Return what stands before a place where it does not fit, or where nobody knows."""
    return "✗" if fit.known else "?"


def _price(row: FitRow) -> str:
    """Format USD an hour as `1.05`, with a `?` where a rate in it is not confirmed."""
    if row.hourly is None:
        return "–"
    return f"{row.hourly.total:.2f}" + ("?" if row.hourly.unconfirmed else "")


def _weights(fit: Fit) -> int:
    return fit.footprint.weights if fit.footprint else fit.what.weights.size


def _count(fit: Fit, context: int) -> str:
    """Return how many requests of so many tokens have room at once, as `4×`; `✓` where none of them takes room."""
    count = fit.at(context)
    if not count:
        return "–"
    return f"{count}×" if fit.footprint and fit.footprint.cache.grows else "✓"


def tokens(count: int) -> str:
    """Format tokens: `4K` for 4,096, `1,000` for what is no multiple of 1,024."""
    return f"{count // 1024}K" if count % 1024 == 0 else f"{count:,}"


def _grid(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numbers = range(4, len(rows[0]) - 1)
    return [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _estimate(estimate: Estimate) -> list[str]:
    best, engine = estimate.best, estimate.choice.tried[0].what.engine
    if best is None or estimate.hourly is None:
        lines = [f"{engine} on Cloud Run: {estimate.choice.why}"]
        if not estimate.choice.known:
            return [
                *lines,
                "  it may fit, and may not: `homeport up` on this machine tries it, and a GPU's log tells",
            ]
        known = "  what would fit, cheapest first:"
        lines.append(known if estimate.choice.remedies else "  no other weights, KV cache or context would")
        for remedy in estimate.choice.remedies:
            keys = ", ".join(f"{key} = {value!r}" for key, value in remedy.settings.items())
            lines.append(f"    ${remedy.price:.2f}/h  {remedy.change}")
            lines += [f"             {keys}"] if keys else []
        return lines
    lines = [f"{engine} on Cloud Run: {best.place.name} ({estimate.choice.why})"]
    facts = {
        "most": _most(best),
        "price": estimate.price,
        "cold start": estimate.start,
        "flags": _join_flags(estimate.flags),
        "service": f"concurrency {best.what.settings.parallel}, max instances {estimate.scaling.max}"
        f"; {_allowed(estimate.instances)}",
    }
    short = [quota for quota in estimate.quotas if not quota.suffices]
    if short:
        facts["quota"] = "; ".join(quota.text for quota in short)
    return [*lines, pairs(facts)]


def _most(best: Fit) -> str:
    """Return how far the place goes, and what the engine is told to go there."""
    settings = best.what.settings
    if best.footprint is not None and not best.footprint.cache.grows:
        return f"texts of {best.what.most_context:,} tokens; {best.uncounted}"
    users, length = best.wanting(parallel=best.concurrency), best.wanting(context=best.longest_context())
    return (
        f"{users.what.settings.parallel} × {settings.context:,} tokens{_told_for(users, best)}, "
        f"or {settings.parallel} × {length.what.settings.context:,}{_told_for(length, best)}"
    )


def _told_for(other: Fit, best: Fit) -> str:
    """Return the flags that differ from those of the wanted fit, such as ` (--max-num-seqs 118)`; '' where none do."""
    changed = {flag: value for flag, value in other.flags.items() if best.flags.get(flag) != value}
    return f" ({_join_flags(changed)})" if changed else ""


def _join_flags(flags: Mapping[str, str]) -> str:
    return " ".join(
        f"{flag} {value}" if flag.startswith("-") else f"{flag}={value}" for flag, value in flags.items()
    )


def _allowed(instances: int | None) -> str:
    if instances is None:
        return "how many a new project's quotas allow is not known"
    return f"a new project's quotas usually allow {instances or 'no'} instance{'' if instances == 1 else 's'}"


def explained(looked: Looked) -> str:
    """Return how every number came about."""
    parts = [_explained(row.fit) for row in looked.rows]
    parts += [_explained_price(estimate) for estimate in looked.estimates if estimate.best]
    return "\n\n".join(parts)


def _explained_price(estimate: Estimate) -> str:
    assert estimate.best is not None
    assert estimate.hourly is not None
    lines = [
        f"{estimate.best.what.engine} on {estimate.best.place.name}, price and cold start",
        f"  {estimate.hourly.how}",
    ]
    lines += [f"  from {source}" for source in estimate.hourly.sources]
    for delivery, start in estimate.cold_starts.items():
        lines.append(f"  weights by {delivery}: {start.text}")
        for term in start.terms:
            unmeasured = "" if term.checked else " (no measurement on Cloud Run is known)"
            lines.append(f"  {term.likely:7.1f} s  {term.name}: {term.how}{unmeasured}")
    return "\n".join(lines)


def _explained(fit: Fit) -> str:
    lines = [f"{fit.what.engine} on {fit.place.name}"]
    if fit.footprint is None:
        return "\n".join([*lines, "  its architecture is not known"])
    budget = fit.footprint
    lines.append(_term("", budget.usable))
    lines += [_term("−", term) for term in budget.fixed]
    left = MemoryTerm("left for the KV cache", budget.cache_bytes, "")
    lines.append(_term("=", left))
    cache = budget.cache
    if not cache.grows:
        return "\n".join([*lines, f"    {cache.how}"])
    lines.append(f"    a sequence of {cache.context:,} tokens takes {gib(cache.sequence_bytes)}: {cache.how}")
    lines.append(f"    the cache holds {budget.sequences} of them, {max(0, budget.tokens):,} tokens in all")
    if fit.host:
        lines.append(f"  memory beside the GPU: {gib(fit.place.host_memory)}")
        lines += [_term("−", term) for term in fit.host]
        if CACHED in module(fit.what.engine).DELIVERIES:
            with_cache = fit.host_bytes + fit.what.weights.size
            verdict = "fits" if with_cache <= fit.place.host_memory else "does not fit"
            lines.append(
                f"    with a file cache of the weights in its memory it would be {gib(with_cache)}: {verdict}"
            )
    return "\n".join(lines)


def _term(sign: str, term: MemoryTerm) -> str:
    return f"  {sign:1} {gib(term.size):>9}  {term.what}{': ' if term.how else ''}{term.how}"
