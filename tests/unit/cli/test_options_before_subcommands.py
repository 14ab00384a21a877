"""An option that a command does not see, or of another profile, is refused and not dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from typist import Typist


@pytest.mark.parametrize(
    "words",
    [
        ("bench", "--json", "list"), ("bench", "--name", "nosuch", "list"), ("bench", "--on", "cloudrun", "list"),
        ("key", "--json", "show"), ("weights", "--json", "check"), ("models", "--json", "show", "gemma-3-270m"),
        ("mcp", "--allow-changes", "skill"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_would_be_dropped_is_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    said = Typist(tmp_path / "project").run(*words, code=64).err
    assert f"{words[1]} before" in said
    assert f"homeport {words[0]}" in said


@pytest.mark.parametrize(
    "words", [("--json", "home"), ("home", "--json"), ("--json", "--", "home")], ids=" ".join
)
def test_the_key_of_a_name_is_told_as_json_wherever_that_is_said(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    assert (
        '"message": "no endpoint called home runs here"'
        in Typist(tmp_path / "project").run("key", *words, code=20).out
    )


def test_the_file_of_a_key_may_stand_before_its_name(tmp_path: Path) -> None:
    typist = Typist(tmp_path / "project")
    (typist.folder / "other.toml").write_text("name = 'other'\nmodel = 'gemma-3-270m'\n")
    behind = typist.run("key", "home", "-f", "other.toml", code=20).err
    assert typist.run("key", "-f", "other.toml", "home", code=20).err == behind


def test_behind_the_command_the_same_option_is_taken(tmp_path: Path) -> None:
    assert Typist(tmp_path / "project").run("bench", "list", "--json").json == []


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--rate", "5"), "--rate"),
        (("--profile", "users", "--rate", "5"), "--rate"),
        (("--profile", "poisson", "--rate", "5", "--size", "3"), "--size"),
        (("--size", "8"), "--size"),
        (("--faster", "2"), "--faster"),
        (("--faster", "1"), "--faster"),
        (("--trace", "t.csv", "--input", "256"), "--input"),
        (("--profile", "trace", "--trace", "t.csv", "--output", "7"), "--output"),
        (("--profile", "users", "--trace", "t.csv"), "--trace"),
    ],
)
def test_an_option_of_another_profile_is_refused(words: tuple[str, ...], option: str, tmp_path: Path) -> None:
    typist = Typist(tmp_path / "project")
    (typist.folder / "t.csv").write_text("seconds,input,output\n0,10,4\n")
    assert f"{option} is of --profile" in typist.run("bench", *words, code=64).err
