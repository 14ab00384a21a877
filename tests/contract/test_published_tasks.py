"""BFCL's own tasks, as PyPI has them, can be done, and are graded as its own checker does: `make test-agents`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from homeport.agents.evaluation.reader import read
from places import ROOT, TESTS

pytestmark = pytest.mark.agents


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The packages of an environment with bfcl-eval, which Python finds, too."""
    found = next((ROOT / ".cache" / "bfcl").glob("lib/python*/site-packages"))
    monkeypatch.syspath_prepend(found)
    return found


@pytest.mark.usefixtures("installed")
def test_all_single_turn_tasks_but_a_few_are_read() -> None:
    graded = read("bfcl")
    assert Counter(one.category for one in graded.tasks) == {
        "simple_python": 400,
        "multiple": 200,
        "parallel": 200,
        "parallel_multiple": 198,
        "irrelevance": 240,
    }
    assert graded.notes == ("2 of 1240 tasks are left out: 2 whose key does not fit their tools",)
    live = read("bfcl-live")
    assert len(live.tasks) > 2100
    assert "with more than one message" in live.notes[0]


def test_a_call_is_right_where_its_own_checker_says_so_and_nowhere_else_but_for_how_numbers_are_written(
    installed: Path,
) -> None:
    script = TESTS / "support" / "judged_by_bfcl.py"
    ran = subprocess.run(
        [sys.executable, str(script), str(installed)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["agreed"] > 45_000
    assert told["stricter"] == {}
    whole = told["laxer"].pop("a whole number as a float")
    assert whole > 1000, "JSON has one kind of number, BFCL two"
    assert sum(told["laxer"].values()) < 0.005 * told["agreed"], told["laxer"]
