"""The attacks of `make attack`: a small sample of each kind is carried out here, so that they stay alive."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from attack import doors
from attack.__main__ import SEED, planned, run
from attack.law import Attack, Outcome, Watch, carried_out, obeyed, told
from attack.report import table
from attack.stage import Stage
from attack.wire import Answer
from places import ROOT

PAGE = ROOT / "docs" / "security.md"
SAMPLE = 150


def test_the_same_seed_makes_the_same_attacks_and_another_one_others() -> None:
    names = [(attack.door, attack.kind, attack.name) for attack in planned()]
    assert names == [(attack.door, attack.kind, attack.name) for attack in planned()]
    assert names != [(attack.door, attack.kind, attack.name) for attack in planned(SEED + 1)]


def test_the_page_shows_the_counts_that_the_attacks_have() -> None:
    shown = PAGE.read_text().partition("```text\ndoor")[2].partition("\n```")[0]
    rows = {
        (row[1].strip(), row[2].strip()): tuple(map(int, row[3].split()))
        for row in re.finditer(r"(?m)^(.{20})(.{24})((?: +\d+){3})$", shown)
    }
    tried = Counter((attack.door, attack.kind) for attack in planned())
    tried["all", ""] = tried.total()
    shown_counts = {kind: tried_held_fell[0] for kind, tried_held_fell in rows.items()}
    assert shown_counts == dict(tried), "run `make attack` and copy its table"
    assert all(count == held + fell for count, held, fell in rows.values())


@pytest.mark.drill
def test_a_sample_of_every_kind_is_held(tmp_path: Path) -> None:
    """All but the deadly ones, after each of which an engine loads its model again."""
    sample = [attack for attack in planned(sample=SAMPLE) if attack.kind != "deadly"]
    fell = [f"{one.attack.name}: {one.fell}" for one in run(sample, tmp_path / "stage") if one.fell]
    assert not fell, "\n".join(fell)


def _outcomes(*reasons: str, watch: Watch | None = None) -> list[Outcome]:
    def came_to(reason: str, stage: Stage) -> str:
        return reason

    attacks = [
        Attack(door="a", kind="b", name=reason, carry_out=partial(came_to, reason)) for reason in reasons
    ]
    return carried_out(attacks, None, {"a": watch} if watch else {}, lambda _: None)  # type: ignore[arg-type]


def test_a_door_that_falls_is_counted_and_ends_the_script_with_1() -> None:
    attacks = [one.attack for one in _outcomes("", "it fell")]
    assert table(attacks, _outcomes("", "it fell")).splitlines()[1].split()[-3:] == ["2", "1", "1"]
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=ROOT / "tests" / "drills",
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ran.returncode, "fell: a, b: c" in ran.stdout) == (1, True), ran.stderr


_SCRIPT = """
import sys
from attack import __main__ as script
from attack.law import Attack
script.planned = lambda *_, **__: [Attack(door="a", kind="b", name="c", carry_out=lambda stage: "it fell")]
sys.argv = ["attack"]
sys.exit(script.main())
"""


def test_an_exception_is_a_fall_and_so_is_what_the_watch_sees() -> None:
    def broken(stage: Stage) -> str:
        raise KeyError("x")

    attack = Attack(door="a", kind="b", name="c", carry_out=broken)
    (outcome,) = carried_out([attack], None, {}, lambda _: None)  # type: ignore[arg-type]
    assert "KeyError" in outcome.fell
    looks = iter(["", "the owner is not served"])
    assert "not served" in _outcomes("", "", watch=Watch(lambda: next(looks)))[-1].fell


@pytest.mark.parametrize(
    ("answer", "whole", "falls"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n{}", True, False),
        (b'HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}', True, False),
        (b'HTTP/1.1 200 OK\r\n\r\n{"data": []}', True, True),
        (b'HTTP/1.1 401 X\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n{"choices": []}', True, True),
        (b"HTTP/1.1 403 Forbidden\r\n\r\ngemma-4-taught", True, True),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", True, True),
        (b"HTTP/1.1 403 Forbidden\r\nAccess-Control-Allow-Origin: *\r\n\r\n", True, True),
        (b"", True, True),
        (b"", False, False),
    ],
)
def test_what_a_stranger_may_be_told(answer: bytes, whole: bool, falls: bool) -> None:
    assert bool(doors.judged(Answer(data=answer, closed=False), whole=whole, key="the-key")) == falls


def test_a_secret_is_found_in_a_text_and_so_is_what_a_terminal_obeys() -> None:
    assert told("it is planted-12345!", ("planted-12345\r",))
    assert not told("it is ***", ("planted-12345",))
    assert obeyed("a\x1b[2J") == repr("\x1b")
    assert not obeyed("a ✓ é\n")
