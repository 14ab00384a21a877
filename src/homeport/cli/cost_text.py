"""The answer of `homeport cost`, as people and programs read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from homeport.cost import Figure, Versus
from homeport.cost.usage import DAY_S, MONTH_HOURS, short

if TYPE_CHECKING:
    from homeport.cost.answer import CostAnswer

_NO_SPEED = (
    "A million tokens: unknown without a throughput. `homeport bench --on cloudrun` measures it;\n"
    "--tokens-per-second takes a figure of yours. Without one there is only the endpoint that is always on,\n"
    "taken as if one instance could do any traffic."
)


def text(answer: CostAnswer, *, explain: bool) -> str:
    """Return the answer for people; with `explain`, the arithmetic of every figure below it."""
    head = (
        f"{answer.what.title} on Cloud Run: {answer.place}\n"
        f"list prices of {answer.prices.dated} in USD, without free tier and discounts; a month is {MONTH_HOURS} h"
    )
    parts = [head, *_costs(answer)]
    if answer.versus is not None:
        parts += _versus(answer.versus)
    if explain:
        parts.append(_explained(answer))
    return "\n\n".join([*parts, _foot(answer)])


def _costs(answer: CostAnswer) -> Iterator[str]:
    """Return the tables of the endpoint's own cost."""
    cost, usage = answer.cost, answer.cost.bill.usage
    yield _table(
        ("", "an hour", "a month"),
        [(state.name, _money(state.hour), _money(state.month)) for state in cost.states],
    )
    yield _table(
        ("one wake", "likely", "from … to"),
        [
            ("seconds billed", f"{cost.wake_seconds.value:,.0f} ", _spread(cost.wake_seconds, "{:,.0f}")),
            ("cost", _money(cost.wake), _spread(cost.wake)),
        ],
    )
    rows = [("storage", _money(cost.storage), ""), ("builds", _money(cost.builds), "")]
    if cost.edge is not None:
        rows.insert(0, ("load balancer", _money(cost.edge), ""))
    if cost.guard is not None:
        rows.insert(0, ("way to the screen", _money(cost.guard), ""))
    title = "a month"
    if usage.tokens_per_day is not None:
        title += f" at {short(usage.tokens_per_day)} tokens a day"
        if cost.scaling is not None:
            wakes = f"scaling, {usage.wakes_per_day:g} wakes a day"
            name = "scaling above the minimum" if usage.min_instances else wakes
            rows = [(name, _money(cost.scaling), _spread(cost.scaling)), *_steady(cost.always_on), *rows]
        elif cost.always_on is None:
            rows = [("more than the instances can do", f"most {short(usage.capacity)}", ""), *rows]
        else:
            rows = [*_steady(cost.always_on), *rows]
    yield _table((title, "likely", "from … to") if len(rows) > 2 else (title, "", ""), rows)
    yield from _besides(answer)
    if cost.tokens is None:
        yield f"{_NO_SPEED}{_not_taken(answer.throughput.source)}"
        return
    tokens = [
        (f"reserved, busy {duty:.0%} of the time", _money(each))
        for duty, each in cost.tokens.reserved.items()
    ]
    tokens.append(("used seconds alone", _money(cost.tokens.used)))
    if cost.tokens.traffic is not None:
        tokens.append(("at your traffic, scaling", _money(cost.tokens.traffic)))
    yield _table(
        (f"a million tokens at {usage.tokens_per_second:g} tokens/s ({answer.throughput.source})", "cost"),
        tokens,
    )


def _not_taken(why: str) -> str:
    return f"\nNo bench was taken: {why}." if why else ""


def _steady(figure: Figure | None) -> list[tuple[str, str, str]]:
    return [] if figure is None else [("always on", _money(figure), "")]


def _versus(versus: Versus) -> Iterator[str]:
    """Return where the endpoint begins to be cheaper than each API, and what all cost."""
    modes = list(dict.fromkeys(point.mode for point in versus.break_evens))
    cells = {(point.api, point.mode): _from(point.tokens, point.until) for point in versus.break_evens}
    header = (
        f"cheaper than an API, {versus.input_share:.0%} prompts",
        "a million",
        *(f"{mode}, from" for mode in modes),
    )
    prices = {api.name: f"{api.million(versus.input_share):,.3f}" for api in versus.apis}
    rows = [(name, price, *(cells[name, mode] for mode in modes)) for name, price in prices.items()]
    if not versus.measured:
        header = (*header, "if it does")
        speeds = [_speed(point.tokens) for point in versus.break_evens]
        rows = [(*row, speed) for row, speed in zip(rows, speeds, strict=True)]
    yield _table(header, rows)
    own = ("scaling", "always on") if versus.measured else ("always on",)
    yield _table(
        ("a month at tokens a day", *own, *(api.name for api in versus.apis)),
        [
            (
                short(row.tokens),
                *(
                    _or_too_many(cost)
                    for cost in ((row.scaling, row.always_on) if versus.measured else (row.always_on,))
                ),
                *(f"{cost:,.2f}" for cost in row.apis),
            )
            for row in versus.rows
        ],
    )


def _from(tokens: float | None, until: float | None) -> str:
    if tokens is None:
        return "never"
    return f"{short(tokens)} a day" + (f" to {short(until)}" if until is not None else "")


def _speed(tokens: float | None) -> str:
    return "" if tokens is None else f"{tokens / DAY_S:,.0f} tokens/s"


def _or_too_many(cost: float | None) -> str:
    return "too many" if cost is None else f"{cost:,.2f}"


def _besides(answer: CostAnswer) -> Iterator[str]:
    """Yield what comes on top of the figures: with traffic, and in further regions."""
    if answer.edge_with_traffic:
        what = "the API gateway" if answer.cost.edge is None else "the load balancer"
        yield f"With traffic {what} costs more: {answer.edge_with_traffic}."
    if answer.regions:
        lines = "\n".join(f"  {region.text}" for region in answer.regions)
        yield f"All of this is {answer.what.region} alone; a request is answered in one region. In further ones:\n{lines}"
    if answer.guard_with_traffic:
        yield f"With traffic the screen costs at least {answer.guard_with_traffic} more."


def _explained(answer: CostAnswer) -> str:
    hourly = answer.cost.bill.hourly
    lines = [f"an instance, ${hourly.total:.4f}/h = {hourly.how}"]
    lines += [
        f"{name}: {_amount(figure.value)} {figure.unit} = {figure.how}" for name, figure in _figures(answer)
    ]
    if answer.versus is not None:
        lines += [f"{point.api}, {point.mode}: {point.how}" for point in answer.versus.break_evens]
    return "how the numbers came about\n" + "\n".join(f"  {line}" for line in lines)


def _figures(answer: CostAnswer) -> Iterator[tuple[str, Figure]]:
    cost = answer.cost
    for state in cost.states:
        yield f"{state.name}, an hour", state.hour
        yield f"{state.name}, a month", state.month
    yield "one wake, seconds", cost.wake_seconds
    yield "one wake", cost.wake
    yield "storage", cost.storage
    yield "builds", cost.builds
    if cost.edge is not None:
        yield "load balancer", cost.edge
    if cost.guard is not None:
        yield "way to the screen", cost.guard
    if cost.scaling is not None:
        yield "a month, scaling", cost.scaling
    if cost.always_on is not None:
        yield "a month, always on", cost.always_on
    if cost.tokens is not None:
        for duty, figure in cost.tokens.reserved.items():
            yield f"a million tokens, busy {duty:.0%}", figure
        yield "a million tokens, used seconds alone", cost.tokens.used
        if cost.tokens.traffic is not None:
            yield "a million tokens at your traffic", cost.tokens.traffic


def _foot(answer: CostAnswer) -> str:
    """Return where the prices are from, and which of them nobody confirms."""
    marked = dict.fromkeys(key for _, figure in _figures(answer) for key in figure.unconfirmed)
    doubtful = {key: answer.prices.source(key) for key in marked}
    lines = [
        f"prices: {source}" for source in answer.cost.bill.hourly.sources if source not in doubtful.values()
    ]
    lines += [f"? {key} is unconfirmed: {source}" for key, source in doubtful.items()]
    if answer.versus is not None:
        lines += [
            f"{api.name}: " + ", ".join(part for part in (api.source, api.dated) if part)
            for api in answer.versus.apis
            if api.source or api.dated
        ]
    return "\n".join(lines)


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Align columns of numbers to the right, their names to the left."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = []
    for row in (header, *rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _money(figure: Figure) -> str:
    value = f"{figure.value:,.2f}" if figure.unit == "USD/month" else _amount(figure.value)
    return value + ("?" if figure.unconfirmed else " ")


def _spread(figure: Figure, form: str = "") -> str:
    assert figure.low is not None
    assert figure.high is not None
    return " … ".join(form.format(end) if form else _amount(end) for end in (figure.low, figure.high))


def _amount(value: float) -> str:
    """Format USD: with cents from ten USD on, with hundredths of cents below."""
    return f"{value:,.2f}" if value >= 10 or value == 0 else f"{value:.4f}"
