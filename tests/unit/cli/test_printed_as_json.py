"""What commands print with `--json` is what the schema of their name says, and all that stands on standard output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from homeport.cli import export
from homeport.cli.console import _greet as greet
from homeport.secret import Secret
from homeport.terminal import Terminal
from places import TAUGHT
from schemas import ensure_valid
from typist import Typist


def test_the_catalog_is_told_to_programs_with_the_same_keys_for_one_model_as_for_all(typist: Typist) -> None:
    models = typist.run("models", "--json").json
    ensure_valid("models", models)
    (shown,) = [model for model in models if model["name"] == "gemma-3-270m-pt"]
    one = typist.run("models", "show", "gemma-3-270m-pt", "--json").json
    ensure_valid("models-show", one)
    assert one == shown
    assert (one["size_bytes"]["llamacpp"], one["brings_template"]) == (253113024, True)


def test_what_nobody_says_of_a_model_is_null_and_not_zero(typist: Typist) -> None:
    one = typist.run("models", "show", "gemma-4-e2b", "--json").json
    ensure_valid("models-show", one)
    assert {variant["quantization"]: variant["size_bytes"] for variant in one["variants"]}["fp8"] is None
    assert (one["pooling"], one["dimensions"]) == (None, None)


@pytest.fixture
def keeper(typist: Typist) -> Typist:
    """Somebody who has a model's file."""
    shutil.copyfile(TAUGHT, typist.folder / TAUGHT.name)
    return typist


def test_weights_are_fetched_listed_and_checked_as_their_schemas_say(keeper: Typist) -> None:
    fetched = keeper.run("weights", "fetch", f"./{TAUGHT.name}", "--json").json
    ensure_valid("weights-fetch", fetched)
    listed = keeper.run("weights", "--json").json
    ensure_valid("weights", listed)
    assert listed == fetched
    checked = keeper.run("weights", "check", "--json").json
    ensure_valid("weights-check", checked)
    assert [(one["source"], one["whole"]) for one in checked] == [(fetched[0]["source"], True)]


def test_a_file_that_is_gone_is_named_for_programs_with_what_is_wrong_with_it(keeper: Typist) -> None:
    keeper.run("weights", "fetch", f"./{TAUGHT.name}")
    (keeper.folder / TAUGHT.name).unlink()
    (checked,) = keeper.run("weights", "check", "--json", code=12).json
    ensure_valid("weights-check", [checked])
    assert not checked["whole"]
    assert [(Path(one["path"]).name, one["what"]) for one in checked["damages"]] == [
        (TAUGHT.name, "is missing")
    ]


def test_removing_weights_prints_one_document_whether_all_were_here_or_not(keeper: Typist) -> None:
    ran = keeper.run("weights", "remove", "nosuch", "neither", "--json", code=20)
    ensure_valid("weights-remove", ran.json)
    assert ran.json == {"removed": [], "not_here": ["nosuch", "neither"]}
    assert "no weights called nosuch and neither are here" in ran.err


def test_an_export_is_its_files_by_name_or_where_they_were_written(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_made_by", lambda *_: {"main.tf": "# all of it\n", "README.md": "read\n"})
    files = typist.run("export", "terraform", "--json").json
    ensure_valid("export", files)
    written = typist.run("export", "terraform", "--output", "made", "--json").json
    ensure_valid("export", written)
    assert {Path(one).name: Path(typist.folder / one).read_text() for one in written["written"]} == files


def test_the_link_of_a_console_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    greet(Terminal(json_output=True), "http://127.0.0.1:8390", Secret("of-this-start"))
    told = json.loads(capsys.readouterr().out)
    ensure_valid("console", told)
    assert told == {"url": "http://127.0.0.1:8390/#key=of-this-start"}


@pytest.mark.parametrize(
    ("typed", "said", "hint"),
    [
        (("logs", "--follow"), "--follow", "homeport logs --help"),
        (("fit", "--nosuch"), "--nosuch", "homeport fit --help"),
        (("models", "show"), "Missing argument", "homeport models show --help"),
        (("statsu",), "Did you mean 'status'?", "homeport --help"),
    ],
)
def test_wrong_usage_is_told_to_programs_as_any_other_error(
    typist: Typist, typed: tuple[str, ...], said: str, hint: str
) -> None:
    ran = typist.run(*typed, "--json", code=64)
    ensure_valid("error", ran.json)
    assert said in ran.json["message"]
    assert said in ran.err
    assert (ran.json["error"], ran.json["hint"], ran.json["exit_code"]) == ("UsageError", hint, 64)
    assert typist.run(*typed, code=None).out == ""


def test_a_mistake_of_homeports_own_is_told_to_programs_too(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_made_by", lambda *_: 1 // 0)
    ran = typist.run("export", "terraform", "--json", code=1)
    ensure_valid("error", ran.json)
    assert "ZeroDivisionError" in ran.json["message"]
    assert "--debug" in ran.json["hint"]


def test_who_interrupts_a_command_is_told_nothing_that_a_program_would_read(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "_made_by", pressed)
    ran = typist.run("export", "terraform", "--json", code=130)
    assert (ran.out, ran.err.strip()) == ("", "interrupted")
