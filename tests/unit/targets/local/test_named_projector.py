"""What `engine.projector` names is looked at before anything is carried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeport import cli
from made_projector import ear, projector
from places import TAUGHT

MODEL = "model = {model}\n[engine]\nkind = 'llamacpp'\nprojector = {encoder}\n"


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan(capsys: pytest.CaptureFixture[str], encoder: str) -> tuple[int, str]:
    model = json.dumps("gemma-3-270m")
    Path("homeport.toml").write_text(MODEL.format(model=model, encoder=json.dumps(encoder)))
    code = cli.run(["plan"])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("encoder", ["file:./mmproj.gguf", "missing/mmproj.gguf"])
def test_a_file_that_is_not_there_is_told_by_the_plan(
    encoder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = plan(capsys, encoder)
    assert code == 12
    assert "there is no " in told
    assert "mmproj.gguf" in told


def test_a_model_in_its_place_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = plan(capsys, f"file:{TAUGHT}")
    assert code == 12
    assert (
        f"{TAUGHT} holds a model of the architecture gemma4, and an encoder of images or sound was expected"
        in told
    )
    assert "mmproj in its name" in told


def test_what_is_no_gguf_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mmproj.gguf").write_text("<html>404</html>")
    code, told = plan(capsys, "file:./mmproj.gguf")
    assert code == 12
    assert "mmproj.gguf" in told


@pytest.mark.parametrize("make", [projector, ear])
def test_what_sees_or_hears_is_taken(make: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(make)
    make(Path("mmproj.gguf"))
    code, told = plan(capsys, "file:./mmproj.gguf")
    assert (code, told) == (0, "")
