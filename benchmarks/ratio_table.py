"""The table of what was measured and what was promised: for a terminal, and for docs/speed.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.text import Text

from promises import PARTS, Promise
from scoreboard import BUSY, FIRST, UNTOLD, Ratio, Verdict

STYLES = {
    Verdict.KEPT: "green",
    Verdict.BROKEN: "bold red",
    Verdict.UNCLEAR: "yellow",
    Verdict.UNMEASURED: "yellow",
    Verdict.NO_PROMISE: "dim",
}
COUNTED = (Verdict.KEPT, Verdict.BROKEN, Verdict.UNCLEAR, Verdict.UNMEASURED)
BEGIN, END = "<!-- table: make bench WRITE=1 -->\n", "<!-- end of the table -->\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """What a part gave: where and when, and every figure that it promises."""

    name: str
    machine: str
    busy: float | None
    """The share of the processors that other programs had while it ran, but for those that a real-time priority goes before; None where it could not be told."""
    ratios: Sequence[Ratio]

    @property
    def when(self) -> str:
        """Return the day, and how busy others kept the machine where they did."""
        if self.busy is None:
            beside = f"; {UNTOLD}"
        else:
            beside = f", beside others with {self.busy:.0%} of the processors" if self.busy > BUSY else ""
        first = f", {FIRST}" if FIRST in self.machine else ""
        return self.machine.rpartition(", ")[2] + first + beside


def keep(result: PartResult, folder: Path) -> None:
    """Write a part's result, from which the page is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result.name}.json").write_text(json.dumps(asdict(result), indent=1), encoding="utf-8")


def kept(folder: Path) -> list[PartResult]:
    """Return the newest result of each part that was ever run here, in the order of the parts; none that was judged by other promises than today's."""
    found = []
    for name, part in PARTS.items():
        path = folder / f"{name}.json"
        if path.exists():
            read = json.loads(path.read_text(encoding="utf-8"))
            ratios = [Ratio.from_line(json.dumps(one)) for one in read.pop("ratios")]
            judged = {one.id: one for one in ratios}
            if judged.keys() == part.promises.keys() and all(
                one.is_of(part.promises[id_]) for id_, one in judged.items()
            ):
                found.append(PartResult(**read, ratios=ratios))
    return found


def summary(ratios: Sequence[Ratio]) -> str:
    """Return how many promises were kept and how many were not, in words."""
    counts = Counter(one.verdict for one in ratios)
    said = [f"{counts[one]} {one.value}" for one in COUNTED if counts[one]]
    return f"{sum(counts[one] for one in COUNTED)} promises: " + (", ".join(said) or "none")


def draw(results: Sequence[PartResult], to: TextIO | None = None) -> None:
    """Draw the table: a figure, what was promised, and what became of it; then the counts."""
    console = Console(file=to, highlight=False, soft_wrap=True)
    rows = [(result, PARTS[result.name].promises[one.id], one) for result in results for one in result.ratios]
    named = max((len(promise.what) for _, promise, _ in rows), default=0)
    wide = max((len(_value(promise, one)) for _, promise, one in rows), default=0)
    bound = max((len(promise.bounds) for _, promise, _ in rows), default=0)
    for result in results:
        title = f"{PARTS[result.name].title} [{result.name}]"
        console.print(Text.assemble("\n", (title, "bold"), (f"  {result.when}", "dim")))
        for one in result.ratios:
            promise = PARTS[result.name].promises[one.id]
            figures = (
                f"  {promise.what:<{named}}  {_value(promise, one):>{wide}}  {promise.bounds:<{bound}}  "
            )
            said = ": ".join(filter(None, (one.verdict.value, one.note)))
            console.print(Text.assemble(figures, (said, STYLES[one.verdict])))
    console.print(f"\n{summary([one for _, _, one in rows])}")


def _value(promise: Promise, one: Ratio) -> str:
    return "–" if one.value is None else promise.written(one.value)


def write(results: Sequence[PartResult], page: Path) -> None:
    """Put the table of these results between the marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for the table: {BEGIN.strip()} … {END.strip()}")
    drawn = StringIO()
    draw(results, drawn)
    places = (one.machine.rpartition(", ")[0].replace(f", {FIRST}", "") for one in results)
    machines = "; ".join(dict.fromkeys(places))
    lines = "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()).strip("\n")
    left_out = ", ".join(name for name in PARTS if name not in {one.name for one in results})
    ends = f"\nNot run for this table: {left_out}.\n" if left_out else ""
    text = f"{before}{begin}{machines}:\n\n```text\n{lines}\n```\n{ends}{end}{after}"
    page.write_text(text, encoding="utf-8")
