"""Charts as SVG, written by hand: a few lines and words each, that need no script, no font and no library where they are read."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 36, 40, 56
_LABEL = (13.0, 27.0)
"""A letter's width and a line's height where the page's letters are largest, on a narrow screen."""
COLORS = ("var(--a)", "var(--b)", "var(--c)")


@dataclass(frozen=True, slots=True)
class Series:
    """A line of a chart: points in order, with its name; `labels` stand at its points, where there are any."""

    name: str
    points: Sequence[tuple[float, float]]
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where values lie."""

    most_x: float
    most_y: float

    def x(self, value: float) -> float:
        return _LEFT + value / self.most_x * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - value / self.most_y * (HEIGHT - _TOP - _BOTTOM)


def lines(
    title: str,
    axes: tuple[str, str],
    series: Sequence[Series],
    *,
    mark: tuple[float, float, str] | None = None,
) -> str:
    """Return lines over the same axes, which begin at 0; `mark` rings a point and names it."""
    points = [point for line in series for point in line.points]
    space = _Axes(
        _round_up(max((x for x, _ in points), default=1)), _round_up(max((y for _, y in points), default=1))
    )
    parts = _frame(axes, space)
    # The first lies on top, and those below are wider: all are seen where they have the same values.
    for number, line in reversed([*enumerate(series)]):
        color = COLORS[number % len(COLORS)]
        path = " ".join(f"{space.x(x):.1f},{space.y(y):.1f}" for x, y in line.points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{2 + 4 * number}"/>'
        )
        shown = _with_room(line, space)
        for place, (x, y) in enumerate(line.points):
            if len(line.points) <= 40:
                label = line.labels[place] if place < len(line.labels) else f"{_short(x)}, {_short(y)}"
                parts.append(
                    f'<circle cx="{space.x(x):.1f}" cy="{space.y(y):.1f}" r="{3 + 2 * number}" fill="{color}">'
                    f"<title>{escape(line.name)}: {escape(label)}</title></circle>"
                )
            if place in shown and number == 0:
                parts.append(_word(space.x(x) + 6, space.y(y) - 6, line.labels[place]))
        parts.append(_word(_LEFT + 8 + 150 * number, 24, f"— {line.name}", color=color))
    if mark is not None:
        x, y, label = mark
        parts.append(
            f'<circle cx="{space.x(x):.1f}" cy="{space.y(y):.1f}" r="8" fill="none" stroke="var(--mark)" stroke-width="2"/>'
        )
        parts.append(_word(min(space.x(x) + 11, WIDTH - 120), space.y(y) + 16, label, color="var(--mark)"))
    return _svg(title, parts)


def _with_room(line: Series, space: _Axes) -> set[int]:
    """Return which of the labels are written: the first and each that lies on none before it. A circle's title has the others."""
    taken: list[tuple[float, float, float]] = []
    shown = set()
    for place, ((x, y), label) in enumerate(zip(line.points, line.labels, strict=False)):
        left, top, right = space.x(x), space.y(y), space.x(x) + _LABEL[0] * len(label)
        if all(right < begin or left > end or abs(top - at) > _LABEL[1] for begin, end, at in taken):
            taken.append((left, right, top))
            shown.add(place)
    return shown


def bars(title: str, axes: tuple[str, str], values: Sequence[tuple[float, float, float]]) -> str:
    """Return a histogram: from, to, and how many, of each bar."""
    space = _Axes(
        _round_up(max((end for _, end, _ in values), default=1)),
        _round_up(max((n for *_, n in values), default=1)),
    )
    parts = _frame(axes, space)
    for begin, end, count in values:
        left, right, top = space.x(begin), space.x(end), space.y(count)
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(1.0, right - left - 1):.1f}" '
            f'height="{space.y(0) - top:.1f}" fill="var(--a)"><title>{_short(begin)} to {_short(end)}: {count:g}'
            "</title></rect>"
        )
    return _svg(title, parts)


def _frame(axes: tuple[str, str], space: _Axes) -> list[str]:
    """Return axes with a line for each fifth, and their names."""
    parts = []
    for step in range(6):
        x, y = space.most_x * step / 5, space.most_y * step / 5
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{space.y(y):.1f}" y2="{space.y(y):.1f}" stroke="var(--line)"/>'
        )
        parts.append(_word(_LEFT - 6, space.y(y) + 4, _short(y), anchor="end"))
        parts.append(_word(space.x(x), HEIGHT - _BOTTOM + 20, _short(x), anchor="middle"))
    parts.append(_word((WIDTH + _LEFT) / 2, HEIGHT - 10, axes[0], anchor="middle"))
    parts.append(
        f'<text transform="translate(24 {HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="currentColor">{escape(axes[1])}</text>'
    )
    return parts


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def _word(x: float, y: float, text: str, *, anchor: str = "start", color: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if not sys.float_info.min <= value < math.inf:  # Below, a power of ten is 0.
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
