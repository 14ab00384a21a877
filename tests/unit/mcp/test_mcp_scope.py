"""A client names files of one folder, whatever it calls them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.errors import SpecError
from homeport.mcp.scope import Scope

PIECES = st.sampled_from(["..", ".", "a", "homeport.toml", "link", "circle", "out", "", "~", "etc"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=6), st.sampled_from(["", "/", "//"]))
def test_whatever_a_file_is_called_it_is_in_the_folder_or_refused(
    tmp_path: Path, pieces: list[str], root: str
) -> None:
    folder = tmp_path / "served"
    folder.mkdir(exist_ok=True)
    if not (folder / "link").exists():
        (folder / "link").symlink_to(tmp_path)
        (folder / "circle").symlink_to("circle")
        (folder / "out").symlink_to("/etc/hostname")
    try:
        path = Scope(folder.resolve()).file(root + "/".join(pieces))
    except SpecError:
        return
    assert Path(os.path.realpath(path)).is_relative_to(folder.resolve())


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "link/x", "a\x00b"])
def test_a_file_outside_is_refused_in_words(tmp_path: Path, name: str) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "link").symlink_to(tmp_path)
    with pytest.raises(SpecError):
        Scope((tmp_path / "served").resolve()).file(name)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "file:/etc/passwd", "../x.gguf", "~/x.gguf", "a/../../x", "link", "../a:b", "./../x"],
)
def test_a_model_outside_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "link").symlink_to(tmp_path)
    with pytest.raises(SpecError):
        Scope((tmp_path / "served").resolve()).model(name)


@pytest.mark.parametrize("name", ["gemma-3-270m", "hf:org/name", "no-such-model", None])
def test_a_model_of_the_catalog_or_of_a_hub_is_taken_as_it_is(tmp_path: Path, name: str | None) -> None:
    assert Scope(tmp_path.resolve()).model(name) == name


@pytest.mark.parametrize("name", ["own.gguf", "./own.gguf", "file:own.gguf"])
def test_a_file_of_the_folder_is_found_wherever_the_server_was_started(tmp_path: Path, name: str) -> None:
    (tmp_path / "own.gguf").touch()
    assert Scope(tmp_path.resolve()).model(name) == str(tmp_path.resolve() / "own.gguf")


def test_a_name_that_no_disk_has_is_no_file_of_the_folder(tmp_path: Path) -> None:
    scope = Scope(tmp_path.resolve())
    for name in ("n" * 300, "n" * 300 + ".gguf", "file:" + "n" * 300, "a/" * 3000 + "a"):
        assert scope.model(name) == name


@pytest.mark.parametrize(
    "name", ["circle", "circle/x.gguf", "circle/../out.toml", "one/../out.toml", "into/out.toml", "none/../out.toml"]
)  # fmt: skip
def test_the_folder_is_not_left_through_a_circle_of_links(tmp_path: Path, name: str) -> None:
    folder = (tmp_path / "served").resolve()
    folder.mkdir()
    secret = tmp_path / "secret.toml"
    secret.write_text("secret = 1")
    for link, goal in {
        "circle": "circle", "one": "two", "two": "one", "into": "circle/..", "out.toml": str(secret),
    }.items():  # fmt: skip
        (folder / link).symlink_to(goal)
    scope = Scope(folder)
    for take in (scope.file, scope.model):
        with pytest.raises(SpecError, match="cannot be looked at"):
            take(name)


def test_a_file_that_is_to_be_written_is_named_in_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    folder = tmp_path.resolve()
    (folder / "later").symlink_to("new/deep")
    assert Scope(folder).file("later/./a/b.toml") == folder / "new/deep/a/b.toml"
    (folder / "lost").symlink_to("../not-there/x")
    with pytest.raises(SpecError, match="is not in the folder"):
        Scope(folder).file("lost")
