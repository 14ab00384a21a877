"""The table that benchmarks/cold.py writes into docs/cold-start.md: every term of each start beside the others."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from places import ROOT


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("cold")


def test_each_term_of_the_log_is_told_for_each_start_with_its_ratio(
    cold: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def start(compiled: float, whole: float, said: str = "") -> object:
        return cold.Start(
            whole=whole, terms={"fetch": 1.0, "compile": compiled, "rest": 2.0}, worked=10.0, said=said
        )

    ours = "54 files of 3.1 MB from pack checked and in place after 0.5 s"
    rounds = [
        (start(20.0, 40.0), start(4.0, 20.0, ours), start(4.0, 21.0)),
        (start(30.0, 60.0), start(5.0, 30.0, ours), start(4.0, 31.0)),
        (start(40.0, 80.0), start(6.0, 40.0, ours), start(4.0, 41.0)),
    ]
    page = tmp_path / "page.md"
    page.write_text(f"before\n{cold.BEGIN}of another day\n{cold.END}after\n")
    monkeypatch.setattr(cold, "PAGE", page)
    cold.write(rounds)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "of another day" not in text
    assert (
        "| vLLM's log: compile | 30.0 (20.0 to 40.0) | 5.0 (4.0 to 6.0), 0.17 × | 4.0 (4.0 to 4.0), 0.13 × |"
        in text
    )
    assert (
        "| engine's initialization | 32.0 (22.0 to 42.0) | 7.0 (6.0 to 8.0), 0.22 × | 6.0 (6.0 to 6.0), 0.19 × |"
        in text
    )
    assert (
        "| the whole start, to the first token | 60.0 (40.0 to 80.0) | 30.0 (20.0 to 40.0), 0.50 × |" in text
    )
    assert "| copying and checking |  | 0.5 (0.5 to 0.5) |  |" in text


def test_the_page_has_the_place_that_the_script_writes_to(cold: ModuleType) -> None:
    text = cold.PAGE.read_text()
    assert cold.BEGIN in text
    assert cold.END in text.partition(cold.BEGIN)[2]
