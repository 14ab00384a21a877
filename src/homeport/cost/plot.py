"""The break-even curves as a picture: an SVG whose text stays text, the same bytes for the same numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from homeport.cost.usage import DAY_S, Usage, short
from homeport.cost.versus import STEPS, Versus
from homeport.extras import missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

PAPER, INK, FAINT, GRID = "#fcfbf8", "#22262b", "#6f7680", "#e4e1d9"
OWN, STEADY = "#0a7f83", "#33475b"
"""Colours of the endpoint: scaling, and always on."""
APIS = ("#d1495b", "#bf6d0a", "#7a4fa3", "#3d7ea6", "#8a6d3b", "#5b8c3a")
_SPAN = (STEPS[0], STEPS[-1])
_POINTS = 240
_FONTS = "Inter, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
"""The picture is laid out in DejaVu Sans, which matplotlib brings along and which is wider than these."""
_STYLE: Any = {  # Any: matplotlib's type lists all its settings
    "text.parse_math": False,  # "$" is money
    "svg.fonttype": "none",
    "svg.hashsalt": "homeport",
    "font.family": "DejaVu Sans",
    "text.color": INK,
}
_PLACES = ((10, -14, "left"), (-10, 10, "right"), (10, -28, "left"), (-10, 24, "right"), (12, 8, "left"))
"""Where a label may stand beside its point, best first: points to the right, points up, alignment."""


def svg(comparison: Versus, about: str) -> str:
    """
    Return the curves as the text of an SVG file; `about` says under the headline whose they are. Raises
    `EngineMissing` where matplotlib is not installed.
    """
    figure = draw(comparison, about)
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata={**nothing, "Title": headline(comparison)})
    return file.getvalue().replace("'DejaVu Sans'", _FONTS)


def draw(comparison: Versus, about: str) -> Figure:
    """Return the picture as a figure of matplotlib's."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing("a plot needs matplotlib", "plot") from error
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 6.2), facecolor=PAPER)
        axes = figure.add_axes((0.075, 0.115, 0.70, 0.715), facecolor=PAPER)
        figure.text(
            0.03,
            0.945,
            headline(comparison),
            fontsize=min(15, 1100 / len(headline(comparison))),
            fontweight="bold",
        )
        figure.text(0.03, 0.897, about, fontsize=min(9.5, 1290 / len(about or " ")), color=FAINT)
        _frame(axes, comparison)
        _apis(axes, comparison)
        _endpoint(axes, comparison)
        _break_evens(axes, comparison)
    return figure


def headline(comparison: Versus) -> str:
    """Return what the picture says, as one sentence."""
    crossings = [point for point in comparison.break_evens if point.tokens is not None]
    if not crossings:
        return "Every API here is cheaper than your endpoint, whatever it serves"
    first = min(crossings, key=lambda point: point.tokens or 0)
    tokens = first.tokens or 0
    if comparison.measured:
        return f"From {short(tokens)} tokens a day, your own endpoint beats {first.api}"
    return f"From {short(tokens)} tokens a day, an endpoint that does {tokens / DAY_S:,.0f} a second beats {first.api}"


def _frame(axes: Axes, comparison: Versus) -> None:
    """Draw axes with few lines: a faint one for each power of ten of USD."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    own = [cost for row in comparison.rows for cost in (row.scaling, row.always_on) if cost] or [1.0]
    dearest = max([api.month(_SPAN[1], comparison.input_share) for api in comparison.apis] + own)
    axes.set(xscale="log", yscale="log", xlim=_SPAN, ylim=(min(own) / 25, 2 * max(dearest, 4 * max(own))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${short(value)}"))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(visible=True, axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=7, labelsize=9.5, labelcolor=FAINT)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#b9b6ae")
    axes.set_xlabel("tokens a day, prompts and answers together", fontsize=9.5, color=FAINT, labelpad=8)
    axes.text(0, 1.015, "USD a month", transform=axes.transAxes, fontsize=9.5, color=FAINT, ha="left")
    traffic = comparison.bill.usage.tokens_per_day
    if traffic is not None and _SPAN[0] < traffic < _SPAN[1]:
        axes.axvline(traffic, color=FAINT, linewidth=0.9, linestyle=(0, (1, 3)))
        _note(
            axes, f"your {short(traffic)} a day", (traffic, axes.get_ylim()[0]), (5, 6, "left"), color=FAINT
        )


def _apis(axes: Axes, comparison: Versus) -> None:
    """Return a line for each API, named at its end in the margin, the names kept apart."""
    share, (bottom, top) = comparison.input_share, axes.get_ylim()
    ends = []
    for number, api in enumerate(comparison.apis):
        color, cost = APIS[number % len(APIS)], api.month(_SPAN[1], share)
        axes.plot(
            _SPAN, [api.month(tokens, share) for tokens in _SPAN], color=color, linewidth=1.7, alpha=0.9
        )
        if cost > bottom:
            ends.append((cost, f"{api.name}\n${api.million(share):.3g} a million", color))
    for height, (cost, text, color) in zip(
        _apart([end[0] for end in ends], bottom, top), sorted(ends), strict=True
    ):
        axes.annotate(
            text,
            (_SPAN[1], cost),
            xytext=(1.035, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9.5,
            linespacing=1.35,
            color=color,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": color,
                "linewidth": 0.8,
                "alpha": 0.5,
                "shrinkA": 2,
                "relpos": (0, 0.5),
                "shrinkB": 1,
            },
        )


def _apart(costs: Iterable[float], bottom: float, top: float, gap: float = 0.1) -> list[float]:
    """Return heights for labels, lowest first, as parts of the axes: near their lines, and `gap` from each other."""
    heights: list[float] = []
    for cost in sorted(costs):
        height = math.log(cost / bottom) / math.log(top / bottom)
        heights.append(max(height, heights[-1] + gap) if heights else height)
    excess = max(0.0, heights[-1] - 1) if heights else 0.0
    return [height - excess for height in heights]


def _endpoint(axes: Axes, comparison: Versus) -> None:
    """Return the endpoint's own curves, up to what its instances can do, with the spread of cold starts as a band."""
    bill, usage = comparison.bill, comparison.bill.usage
    end = min(_SPAN[1], usage.capacity)
    places = _places(usage, end)
    steady = _drawn(bill.always_on(tokens) for tokens in places)
    axes.plot(places, steady, color=STEADY, linewidth=2.2, zorder=3)
    _note(
        axes, "your endpoint, always on", (_SPAN[0], steady[0]), (6, 7, "left"), color=STEADY, fontsize=10.5
    )
    if not comparison.measured:
        return
    low, likely, high = (_drawn(bill.scaling(at, cold) for at in places) for cold in usage.cold_start_s)
    axes.fill_between(places, low, high, color=OWN, alpha=0.16, linewidth=0, zorder=2)
    axes.plot(places, likely, color=OWN, linewidth=2.8, zorder=4)
    name = "your endpoint, scaling" if usage.min_instances else "your endpoint, scaling to zero"
    near = steady[0] < 2 * high[0]
    _note(
        axes,
        name,
        (_SPAN[0], low[0] if near else high[0]),
        (6, -15 if near else 6, "left"),
        color=OWN,
        fontsize=10.5,
    )
    if end < _SPAN[1]:
        axes.plot([end], steady[-1:], marker="|", markersize=15, markeredgewidth=2.2, color=STEADY, zorder=5)
        text, place = f"full at {short(end)}", (3, 13, "right")
        if end < _SPAN[1] / 5:
            text, place = text.replace("at ", "at\n"), (7, 5, "left")
        _note(axes, text, (end, steady[-1]), place, color=STEADY)


def _places(usage: Usage, end: float) -> list[float]:
    """Return where to draw the curves: evenly, and on both sides of each jump."""
    even = [_SPAN[0] * (end / _SPAN[0]) ** (step / _POINTS) for step in range(_POINTS + 1)]
    jumps = [side * kink for kink in usage.kinks(usage.cold_start) for side in (1, 1 + 1e-6)]
    return sorted({*even, *(place for place in jumps if _SPAN[0] < place < end)})


def _drawn(costs: Iterable[float | None]) -> list[float]:
    return [math.nan if cost is None else cost for cost in costs]


def _break_evens(axes: Axes, comparison: Versus) -> None:
    """Return a ring where curves cross, with its traffic beside it, where there is room."""
    colors = {api.name: APIS[number % len(APIS)] for number, api in enumerate(comparison.apis)}
    boxes = [text.get_window_extent() for text in axes.texts]
    named: set[tuple[str, str]] = set()
    main = "scaling" if comparison.measured else "always on"
    for point in sorted(comparison.break_evens, key=lambda point: point.mode != main):
        if point.tokens is None or point.month is None or not _SPAN[0] <= point.tokens <= _SPAN[1]:
            continue
        at, color, bold = (point.tokens, point.month), colors[point.api], point.mode == main
        axes.plot(*at, "o", ms=9 if bold else 6.5, mfc=PAPER, mec=color, mew=2 if bold else 1.5, zorder=6)
        text = short(point.tokens)
        if (point.api, text) in named:
            continue
        named.add((point.api, text))
        for place in _PLACES:
            note = _note(
                axes, short(point.tokens), at, place, color=color, fontweight="bold" if bold else "normal"
            )
            box = note.get_window_extent()
            if not any(box.overlaps(other) for other in boxes):
                boxes.append(box)
                break
            note.remove()


def _note(
    axes: Axes,
    text: str,
    at: tuple[float, float],
    place: tuple[int, int, str],
    **style: Any,  # Any: matplotlib's own words
) -> Text:
    """Write a text beside a point of the axes, on a background of its own so that no line runs through it."""
    right, up, align = place
    style = {
        "fontsize": 9.5,
        "textcoords": "offset points",
        "bbox": {"boxstyle": "square,pad=0.12", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85},
        **style,
    }
    return axes.annotate(text, at, xytext=(right, up), ha=align, zorder=7, **style)
