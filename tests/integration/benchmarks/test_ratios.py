"""One table of all parts: what a part did not come to is told as not measured, however it ended."""

from __future__ import annotations

import ast
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import ratios
from common import ROOT
from promises import PARTS, Part, Promise
from ratio_table import BEGIN, END, draw, kept, summary, write
from scoreboard import Verdict

BEGINS = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(ratios.__file__).parent)!r})
import others, promises, scoreboard
promises.PARTS["one"] = promises.Part(title="One", command=(), minutes=1, promises={{
    name: promises.Promise(what=name, most=1) for name in ("early", "late")}})
others.Watch.share = lambda _: 0.0
with scoreboard.board("one") as told:
    told.measured("early", 0.5)
"""
WHOLE = '    told.measured("late", 2.0)\n'
KILLED = "    os.kill(os.getpid(), signal.SIGKILL)\n"
FAILED = "    raise OSError('no port')\n"
INTERRUPTED = "    os.kill(os.getppid(), signal.SIGINT)\n    raise KeyboardInterrupt\n"


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ratios, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(ratios, "others_between", lambda *_: 0.0)


def part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, ends: str, prepare: str = "true"
) -> None:
    script = tmp_path / f"{name}.py"
    script.write_text(BEGINS + ends)
    promised = {one: Promise(what=one, most=1) for one in ("early", "late")}
    made = Part(title=name, command=(str(script),), minutes=1, promises=promised, prepare=((prepare,),))
    monkeypatch.setitem(PARTS, name, made)


def verdicts(*names: str) -> list[list[tuple[Verdict, str]]]:
    return [[(one.verdict, one.note) for one in found.ratios] for found in ratios.measured(names)]


KEPT, BROKEN, UNMEASURED = Verdict.KEPT, Verdict.BROKEN, Verdict.UNMEASURED


def test_each_part_has_its_figures_in_the_table_and_on_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part(monkeypatch, tmp_path, "whole", WHOLE)
    found = ratios.measured(["whole"])
    assert [one.verdict for one in found[0].ratios] == [KEPT, BROKEN]
    capsys.readouterr()
    draw(found)
    drawn = capsys.readouterr().out
    assert "late   2.00 ×  at most 1 ×  BROKEN" in drawn
    assert drawn.rstrip().endswith("2 promises: 1 kept, 1 BROKEN")
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}of another day\n{END}after\n")
    write(kept(tmp_path / "kept"), page)
    assert "late   2.00 ×" in page.read_text()
    assert "of another day" not in page.read_text()
    assert "Not run for this table: startup, " in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")


def test_the_lane_of_benches_prepares_those_parts_whose_scripts_its_tests_call_and_no_other() -> None:
    called = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        if "pytestmark = pytest.mark.bench\n" in (text := file.read_text()):
            called |= {
                f"{node.module}.py" for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)
            }
    recipe = subprocess.run(
        ["make", "-n", "test-bench"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    (prepares,) = [line for line in recipe.splitlines() if "ratios.py --prepare" in line]
    prepared = shlex.split(prepares.partition("--prepare")[2])
    assert prepared
    assert {*prepared} == {name for name, one in PARTS.items() if one.command[0] in called}


def test_what_a_killed_part_did_not_come_to_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(monkeypatch, tmp_path, "killed", KILLED)
    assert verdicts("killed") == [[(KEPT, ""), (UNMEASURED, "killed.py ended with -9")]]


def test_after_ctrl_c_nothing_more_is_measured_and_all_of_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(monkeypatch, tmp_path, "stopped", INTERRUPTED)
    part(monkeypatch, tmp_path, "next", WHOLE)
    before = UNMEASURED, "interrupted before it began"
    assert verdicts("stopped", "next") == [[(KEPT, ""), (UNMEASURED, "interrupted")], [before, before]]
    assert summary([one for found in ratios.measured(["next"]) for one in found.ratios]).startswith("2 prom")


@pytest.mark.parametrize("ends", [INTERRUPTED, KILLED, FAILED], ids=["interrupted", "killed", "failed"])
def test_a_part_that_does_not_come_to_its_end_leaves_on_the_page_what_it_gave_before(
    ends: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(monkeypatch, tmp_path, "twice", WHOLE)
    ratios.measured(["twice"])
    part(monkeypatch, tmp_path, "twice", ends)
    ratios.measured(["twice"])
    (found,) = kept(tmp_path / "kept")
    assert [one.verdict for one in found.ratios] == [KEPT, BROKEN]


def test_a_part_that_lacks_what_it_needs_is_not_measured_and_the_next_one_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(monkeypatch, tmp_path, "lacking", WHOLE, prepare="no-such-program")
    part(monkeypatch, tmp_path, "next", WHOLE)
    lacks = UNMEASURED, "no-such-program: No such file or directory"
    assert verdicts("lacking", "next") == [[lacks, lacks], [(KEPT, ""), (BROKEN, "")]]


def test_ctrl_c_in_the_look_before_a_part_loses_nothing_of_the_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    part(monkeypatch, tmp_path, "first", WHOLE)
    before = ratios.measured(["first"])
    monkeypatch.setattr(ratios, "look", stopped)
    later = ratios.measured(["first"])
    assert [one.verdict for one in later[0].ratios] == [UNMEASURED, UNMEASURED]
    assert [one.ratios for one in kept(tmp_path / "kept")] == [one.ratios for one in before]


@pytest.mark.parametrize(
    "promised",
    [
        {"early": Promise(what="early", most=1), "late": Promise(what="late", most=3)},
        {"early": Promise(what="early", most=1), "late": Promise(what="late", most=1, unit="s")},
        {"early": Promise(what="early", most=1), "later": Promise(what="later", most=1)},
        {"early": Promise(what="early", most=1)},
        {one: Promise(what=one, most=1) for one in ("early", "late", "new")},
    ],
    ids=["another bound", "another unit", "another name", "one less", "one more"],
)
def test_what_was_judged_by_other_promises_is_not_put_on_the_page(
    promised: dict[str, Promise], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    part(monkeypatch, tmp_path, "changed", WHOLE)
    ratios.measured(["changed"])
    assert [one.name for one in kept(tmp_path / "kept")] == ["changed"]
    monkeypatch.setitem(PARTS, "changed", replace(PARTS["changed"], promises=promised))
    assert kept(tmp_path / "kept") == []
