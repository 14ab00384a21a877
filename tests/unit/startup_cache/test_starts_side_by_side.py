"""The tables that benchmarks/cold.py and cold_endpoint.py write into docs/cold-start.md: every term of each start beside the others."""

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


def test_a_copy_too_quick_to_be_told_is_not_one_that_was_not_made(cold: ModuleType) -> None:
    def start(said: str) -> object:
        return cold.Start(whole=1.0, terms={}, worked=1.0, said=said)

    quick = (start(""), start("checked and in place after 0.0 s"), start(""))
    left_aside = (start(""), start("left aside, and the start goes on without it: there is none"), start(""))
    assert "| copying and checking |  | 0.0 |  |" in cold.table([quick], "today")
    assert "| copying and checking |  |  |  |" in cold.table([left_aside], "today")


def test_of_a_part_that_took_nothing_no_ratio_is_told(cold: ModuleType) -> None:
    def start(fetch: float) -> object:
        return cold.Start(whole=1.0, terms={"fetch": fetch}, worked=1.0, said="")

    assert "| vLLM's log: fetch | 0.0 | 0.0 | 0.0 |" in cold.table([(start(0.02),) * 3], "today")
    assert "| vLLM's log: fetch | 0.4 | 0.4, 1.00 × |" in cold.table([(start(0.4),) * 3], "today")


@pytest.fixture
def cold_endpoint(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("cold_endpoint")


def test_both_starts_of_an_endpoint_are_told_term_by_term_with_how_busy_the_machine_was(
    cold_endpoint: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def start(whole: float, others: float, **terms: float) -> object:
        rest = whole - sum(terms.values())
        return cold_endpoint.ColdStart(
            whole=whole, terms={**terms, "the rest": rest}, worked=whole / 2, others=others
        )

    starts = {
        "off": [
            start(60.0, 0.02, fetch=0.04, compile=30.0),
            start(80.0, 0.55, compile=50.0),
            start(70.0, 0.1, compile=40.0),
        ],
        "auto": [start(36.0, 0.0, restore=0.5, compile=4.0), start(35.0, 0.1, restore=0.5, compile=4.0)],
    }
    page = tmp_path / "page.md"
    page.write_text(f"before\n{cold_endpoint.BEGIN}of another day\n{cold_endpoint.END}after\n")
    monkeypatch.setattr(cold_endpoint, "PAGE", page)
    cold_endpoint.write(starts)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "of another day" not in text
    assert "2 starts each" in text
    assert "at most 55% of the processors" in text
    assert "| compile | 40.0 (30.0 to 50.0) | 4.0 (4.0 to 4.0) | 0.10 |" in text
    assert "| fetch | 0.0 |  |  |" in text
    assert "| restore |  | 0.5 (0.5 to 0.5) |  |" in text
    assert text.index("| the rest |") > text.index("| restore |")
    assert (
        "| **from the request to the first token** | 70.0 (60.0 to 80.0) | 35.5 (35.0 to 36.0) | 0.51 |"
        in text
    )

    cold_endpoint.tell(starts)
    busy = capsys.readouterr().out
    assert "nothing can be told" in busy
    assert "promised: at most 0.8" not in busy
    quiet = {"off": starts["off"][:1], "auto": starts["auto"][:1]}
    cold_endpoint.tell(quiet)
    assert "promised: at most 0.8: kept" in capsys.readouterr().out


@pytest.mark.parametrize("failing", [("up", "stop"), ("up",), ("stop",)])
def test_why_an_endpoint_did_not_come_up_is_told_also_where_its_rehearsal_does_not_end(
    cold_endpoint: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, failing: tuple[str, ...]
) -> None:
    def ran(_: object, verb: str, *_more: str) -> str:
        if verb in failing:
            raise SystemExit(f"no {verb}")
        return ""

    monkeypatch.setattr(cold_endpoint.RehearsedEndpoint, "_run", ran)
    with (
        pytest.raises(SystemExit, match=f"no {failing[0]}"),
        cold_endpoint.rehearsed(tmp_path) as endpoint,
    ):
        endpoint.up("off")


@pytest.mark.parametrize("script", ["cold", "cold_endpoint"])
def test_the_page_has_the_place_that_each_script_writes_to(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    made = importlib.import_module(script)
    text = made.PAGE.read_text()
    assert made.BEGIN in text
    assert made.END in text.partition(made.BEGIN)[2]
