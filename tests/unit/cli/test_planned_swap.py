"""The plan of a swap, which changes nothing, for people and for programs."""

from __future__ import annotations

import json

import pytest

import homeport
from homeport.errors import SpecError
from schemas import ensure_valid
from typist import Typist


@pytest.fixture
def planner(typist: Typist) -> Typist:
    """Somebody whose file names one model of the catalog."""
    typist.write('name = "home"\nmodel = "gemma-3-270m-pt"\n[local]\nport = 0\n')
    return typist


def test_a_swap_is_planned_as_one_document_for_programs_and_the_file_stays(planner: Typist) -> None:
    before = (planner.folder / "homeport.toml").read_text()
    planned = planner.run("plan", "--model", "smollm2-135m", "--json").json
    ensure_valid("plan", planned)
    assert "SmolLM2" in planned["facts"]["model"]["title"]
    assert planned["changes_pending"]
    assert (planner.folder / "homeport.toml").read_text() == before
    assert "Gemma" in planner.run("plan", "--json").json["facts"]["model"]["title"]


def test_a_swap_is_planned_in_python_as_at_the_command_line(
    planner: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = planner.run("plan", "--model", "smollm2-135m", "--json").json
    monkeypatch.chdir(planner.folder)
    planned = json.loads(json.dumps(homeport.plan(model="smollm2-135m").as_json()))
    for one in (typed, planned):
        assert one["facts"].pop("fits")  # It tells how much memory is free, which moves.
    assert planned == typed


@pytest.mark.parametrize("typed", [("swap", "", "--yes"), ("swap", " ", "--yes"), ("plan", "--model", "")])
def test_a_model_that_is_no_name_is_refused_by_itself_and_the_file_is_not_blamed(
    planner: Typist, typed: tuple[str, ...]
) -> None:
    ran = planner.run(*typed, code=10)
    assert ran.err.startswith(f"error: {typed[1] if typed[0] == 'swap' else typed[2]!r} names no model\n")
    assert "homeport.toml" not in ran.err


@pytest.mark.parametrize("model", [3, None, ""])
def test_so_it_is_in_python(planner: Typist, monkeypatch: pytest.MonkeyPatch, model: object) -> None:
    monkeypatch.chdir(planner.folder)
    with pytest.raises(SpecError, match=f"^{model!r} names no model$"):
        homeport.swap(model)  # type: ignore[arg-type]


def test_a_rollback_of_what_never_was_says_that_nothing_runs(planner: Typist) -> None:
    ran = planner.run("rollback", code=32)
    assert "nothing of home was verified before, and nothing of it runs here" in ran.err
    assert "what serves now" not in ran.err
