"""A client names files of one folder, whatever it calls them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.errors import SpecError
from homeport.mcp.scope import Scope

PIECES = st.sampled_from(["..", ".", "a", "homeport.toml", "link", "", "~", "etc"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PIECES, min_size=1, max_size=6), st.sampled_from(["", "/", "//"]))
def test_whatever_a_file_is_called_it_is_in_the_folder_or_refused(
    tmp_path: Path, pieces: list[str], root: str
) -> None:
    folder = tmp_path / "served"
    folder.mkdir(exist_ok=True)
    if not (folder / "link").exists():
        (folder / "link").symlink_to(tmp_path)
    try:
        path = Scope(folder.resolve()).file(root + "/".join(pieces))
    except SpecError:
        return
    assert path.resolve().is_relative_to(folder.resolve())


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


def test_a_name_that_no_disk_has_and_a_circle_of_links_are_no_files_of_the_folder(tmp_path: Path) -> None:
    scope = Scope(tmp_path.resolve())
    (tmp_path / "circle").symlink_to("circle")
    for name in ("n" * 300, "n" * 300 + ".gguf", "file:" + "n" * 300, "circle", "circle/x.gguf"):
        assert scope.model(name) == name
    assert scope.file("circle") == tmp_path.resolve() / "circle"
