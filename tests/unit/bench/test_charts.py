"""The charts of a bench's page: what is written beside their points can be read, wherever the points lie."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from homeport.bench.charts import Series, lines

WORD = re.compile(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="start" fill="currentColor">(\d+)</text>')
HIGH, WIDE = 26, 12.5
"""A line and a letter where the page's letters are largest: 21 px."""


def written(points: list[tuple[float, float]]) -> list[tuple[float, float, str]]:
    labels = [str(place) for place in range(len(points))]
    page = lines("t", ("x", "y"), [Series("line", points, labels)])
    return [(float(x), float(y), text) for x, y, text in WORD.findall(page)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12))
@example([(0.0, 5e-324)])
def test_no_label_lies_on_another_and_the_first_is_there(points: list[tuple[float, float]]) -> None:
    words = written(points)
    assert words[0][2] == "0"
    for number, (x, y, text) in enumerate(words):
        for left, top, other in words[:number]:
            apart = x > left + WIDE * len(other) or left > x + WIDE * len(text)
            assert apart or abs(y - top) > HIGH


def test_points_that_lie_apart_have_all_their_labels() -> None:
    assert [text for *_, text in written([(10.0, 1.0), (50.0, 5.0), (100.0, 9.0)])] == ["0", "1", "2"]
