"""
Measure what is promised, part by part, and draw one table of it: `make bench`, or `make bench PARTS="proxy gateway"`.

Each part is a script here, a process of its own; what it needs is made before. What a part did not come to, since it was
interrupted or lacks something, is not measured, and never counts as kept. Exits as a script does: 0 where all is kept, 1 where a
promise is broken, 3 where something was not measured or could not be told. `--prepare` makes what the parts need and measures
nothing; `--write` puts the newest results of all parts into docs/speed.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import ROOT
from others import look, others_at_work, others_between
from promises import PARTS, Part
from ratio_table import PartResult, draw, keep, kept, write
from scoreboard import BUSY, RESULTS, UNTOLD, Ratio, Verdict, exit_code, machine

KEPT = ROOT / ".cache" / "bench"
PAGE = ROOT / "docs" / "speed.md"
ENDS = {0, 1, 3}
"""What a part exits with that came to its end; an error of Python's before it begins exits with 1, too, and has told nothing."""
ENDED_S = 30
"""Within which a part that was interrupted takes down what it started."""


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description="Measure what is promised, and draw one table of it.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}; all, if none")
    parser.add_argument(
        "--prepare", action="store_true", help="make what the parts need, and measure nothing"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the newest results of all parts into docs/speed.md"
    )
    given = parser.parse_args()
    if unknown := [one for one in given.parts if one not in PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; there are: {', '.join(PARTS)}")
    chosen = [one for one in PARTS if one in given.parts] or [*PARTS]
    if given.prepare:
        for name in chosen:
            if why := prepared(PARTS[name]):
                raise SystemExit(f"{name}: {why}")
        return
    announce(chosen)
    results = measured(chosen)
    draw(results)
    if given.write:
        write(kept(KEPT), PAGE)
    raise SystemExit(exit_code([one for result in results for one in result.ratios]))


def announce(chosen: Sequence[str]) -> None:
    """Say how long it will take, how a part is chosen, and whether the machine is quiet."""
    minutes = sum(PARTS[one].minutes for one in chosen)
    each = ", ".join(f"{one} {PARTS[one].minutes:g}" for one in chosen)
    print(machine())
    print(f"about {minutes:.0f} minutes on a quiet machine, once what they need is there: {each}")
    if len(chosen) > 1:
        print('PARTS="proxy gateway" runs some of them; Ctrl-C ends the part that runs and those behind it')
    busy = others_at_work()
    if busy is None:
        print(UNTOLD)
    elif busy > BUSY:
        print(
            f"other programs have {busy:.0%} of the processors: much will not be told; `sudo chrt -r 5 make bench` has priority"
        )
    sys.stdout.flush()


def measured(chosen: Sequence[str]) -> list[PartResult]:
    """Return what each part gave, kept for the page, too; after Ctrl-C those that are left are not measured."""
    results, ended = [], False
    for name in chosen:
        part = PARTS[name]
        if ended:
            results.append(
                PartResult(
                    name=name,
                    machine=machine(),
                    busy=0,
                    ratios=complete(part, {}, "interrupted before it began"),
                )
            )
            continue
        busy: float | None = 0.0
        said: dict[str, Ratio] = {}
        why, whole = "interrupted while what it needs was made", False
        try:
            print(f"\n{part.title} [{name}]", flush=True)
            if not (lacks := prepared(part)):
                before, busy = look(), None
                said, why, whole, ended = ran(part)
                busy = others_between(before, look())
            why = lacks or why
        except KeyboardInterrupt:
            ended = True
        result = PartResult(name=name, machine=machine(), busy=busy, ratios=complete(part, said, why))
        if whole and not ended:
            keep(result, KEPT)
        results.append(result)
    return results


def prepared(part: Part) -> str:
    """Make what a part needs; return why it could not be made, '' where it was."""
    for command in part.prepare:
        try:
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
        except OSError as error:
            return f"{' '.join(command)}: {error.strerror}"
        if code:
            return f"`{' '.join(command)}` exited with {code}"
    return ""


def ran(part: Part) -> tuple[dict[str, Ratio], str, bool, bool]:
    """Return what a part told, why it did not tell the rest, whether it came to its end, and whether it was interrupted."""
    script, *arguments = part.command
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, RESULTS: str(results)})
        interrupted = False
        try:
            code = process.wait()
        except KeyboardInterrupt:
            interrupted = True
            try:
                code = process.wait(ENDED_S)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                code = process.wait()
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
        said = {one.id: one for one in map(Ratio.from_line, lines)}
    why = "interrupted" if interrupted else f"{Path(script).name} ended with {code}"
    return said, why, code in ENDS and said.keys() == part.promises.keys(), interrupted


def complete(part: Part, said: dict[str, Ratio], why: str) -> list[Ratio]:
    """Return a figure for each promise of a part: as it was told, or not measured."""
    return [
        said.get(id_, Ratio.of(id_, promise, None, Verdict.UNMEASURED, why))
        for id_, promise in part.promises.items()
    ]


if __name__ == "__main__":
    main()
