"""The page of a bench in a real Chromium: charts that are there, words that can be read, and nothing that is asked of anybody."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from browser import chromium, tab
from homeport import addresses
from homeport.bench import BenchResult
from homeport.bench.page import page as drawn
from paced_bench import measured
from paced_server import Pace

pytestmark = pytest.mark.console
EVIL = "<img src=http://127.0.0.1:{port}/x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
WIDE, NARROW = 1100, 340
SMALLEST_PX, READABLE = 10, 4.5
"""Of letters as they are seen; of their contrast, as WCAG's AA wants it of text."""

WORDS = """() => {
  const seen = [...document.querySelectorAll('svg text, td, th, p, h1, h2, figcaption')];
  const parse = said => said.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = light(parse(getComputedStyle(document.documentElement).backgroundColor));
  return seen.filter(one => one.textContent.trim()).map(one => {
    const style = getComputedStyle(one), svg = one.closest('svg');
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const ink = light(parse(svg ? style.fill : style.color));
    return {text: one.textContent, px: parseFloat(style.fontSize) * scale,
            contrast: (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)};
  });
}"""
BROKEN = """() => [...document.querySelectorAll('td, th')].filter(one => {
  const text = document.createRange();
  text.selectNodeContents(one);
  const lines = new Set([...text.getClientRects()].map(each => Math.round(each.top))).size;
  return lines > one.textContent.trim().split(/[\\s-]+/).length;
}).map(one => one.textContent)"""
"""Cells with more lines than words."""
CLASHES = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  const words = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
  const out = words.filter(([, b]) => b.left < frame.left - 1 || b.right > frame.right + 1
    || b.top < frame.top - 1 || b.bottom > frame.bottom + 1).map(([text]) => `${text} leaves its chart`);
  const on = [];
  words.forEach(([a, p], i) => words.slice(i + 1).forEach(([b, q]) => {
    const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (wide > 1 && high > 3) on.push(`${a} lies on ${b}`);
  }));
  return [...out, ...on].map(said => `${svg.getAttribute('aria-label')}: ${said}`);
})"""


@pytest.fixture(scope="module")
def result() -> BenchResult:
    """A search for the knee of a server with four slots."""
    pace = Pace(ttft_s=0.02, itl_s=0.002, slots=4)
    return measured(pace=pace, users=(), seconds=6, most_users=16, repetitions=2)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(params=["light", "dark"])
def seen(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A new tab, in light and in dark; what it asks for and complains of is kept."""
    with tab(browser, width=WIDE, color_scheme=request.param) as found:
        yield found


def shown(seen: Any, result: BenchResult, folder: Path) -> None:
    """Open the page of a result as whoever double-clicks the file."""
    file = folder / "bench.html"
    file.write_text(drawn(result))
    seen.goto(file.as_uri())
    assert seen.asked == [file.as_uri()]
    assert seen.complaints == []


def test_every_chart_is_drawn_in_its_colours(seen: Any, result: BenchResult, tmp_path: Path) -> None:
    from matplotlib.image import imread  # takes long to import, and `-m console` alone needs it

    shown(seen, result, tmp_path)
    titles = [one.get_attribute("aria-label") for one in seen.locator("svg").all()]
    assert len([one for one in titles if one.endswith("against throughput, by users")]) == 2
    assert len([one for one in titles if one.endswith("second by second")]) == 2
    assert len([one for one in titles if one.endswith("values")]) == 3
    assert seen.locator("svg").first.get_by_text(re.compile("^knee: ")).count() == 1
    for chart in seen.locator("svg").all():
        seen.evaluate("chart => chart.scrollIntoView()", chart.element_handle())
        picture = imread(io.BytesIO(chart.screenshot()))
        for name in ("--a", "--b") if chart.locator("polyline").count() > 1 else ("--a",):
            color = seen.evaluate(
                "name => { const one = document.createElement('i'); one.style.color = `var(${name})`;"
                " document.body.append(one); const said = getComputedStyle(one).color; one.remove();"
                " return said.match(/\\d+/g).map(Number) }",
                name,
            )
            legend = chart.get_by_text(re.compile("^— ")).all()[:: 1 if name == "--b" else -1]
            if legend:
                said = legend[0].evaluate("one => getComputedStyle(one).fill.match(/\\d+/g).map(Number)")
                assert said == color, "a line is told apart by its name's colour"
            near = (abs(picture[..., :3] * 255 - color).max(axis=2) < 12).sum()
            assert near > 20, (chart.get_attribute("aria-label"), name, near)


@pytest.mark.parametrize("width", [WIDE, 600, 420, NARROW])
def test_words_are_large_enough_stand_out_and_lie_on_nothing(
    seen: Any, result: BenchResult, width: int, tmp_path: Path
) -> None:
    seen.set_viewport_size({"width": width, "height": 700})
    shown(seen, result, tmp_path)
    words = seen.evaluate(WORDS)
    assert len(words) > 150
    assert [one for one in words if one["px"] < SMALLEST_PX] == []
    assert [one for one in words if one["contrast"] < READABLE] == []
    assert seen.evaluate(CLASHES) == []
    assert seen.evaluate(BROKEN) == []


def test_a_narrow_window_scrolls_down_only_and_its_wide_table_by_itself_with_the_keyboard(
    seen: Any, result: BenchResult, tmp_path: Path
) -> None:
    seen.set_viewport_size({"width": NARROW, "height": 640})
    shown(seen, result, tmp_path)
    assert seen.evaluate("document.documentElement.scrollWidth") <= NARROW
    table = seen.get_by_role("region", name="Loads")
    assert table.evaluate("one => one.scrollWidth > one.clientWidth")
    table.focus()
    seen.keyboard.press("ArrowRight")
    # What waits in the page goes by frames: the page's policy refuses the polling of Playwright's.
    table.evaluate(
        "one => new Promise(went => { const look = () =>"
        " one.scrollLeft > 0 ? went() : requestAnimationFrame(look); look() })"
    )
    assert seen.evaluate("window.scrollX") == 0


def test_what_a_model_is_called_is_never_html_and_nothing_is_asked_for(
    seen: Any, result: BenchResult, tmp_path: Path
) -> None:
    listening = addresses.listen(0, lambda _: "")
    listening.setblocking(False)
    evil = EVIL.format(port=listening.getsockname()[1])
    levels = tuple(replace(one, load=evil, doubts=(evil,), notes=(evil,)) for one in result.levels)
    setting = replace(result.setting, model=evil, engine=evil)
    shown(seen, replace(result, setting=setting, levels=levels, engine_metrics={evil: 1.0}), tmp_path)
    assert seen.locator("img, script").count() == 0
    assert "owned" not in seen.title().partition("<")[0]
    assert seen.get_by_role("heading", level=1).inner_text() == f"paced: {evil}"
    seen.evaluate(f"document.body.insertAdjacentHTML('beforeend', {evil!r})")
    # Even where a mark of somebody's came through, the page's own policy lets it fetch and run nothing.
    seen.evaluate("new Promise(went => requestAnimationFrame(() => requestAnimationFrame(went)))")
    assert seen.title() != "owned"
    assert any("Content Security Policy" in one for one in seen.complaints)
    with pytest.raises(BlockingIOError):
        listening.accept()
    listening.close()
