"""The tests of lanes stay out unless their file or a mark is named: what conftest.py makes of a command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asked_lane import LANES, named_files, without
from places import TESTS

TEXT = "pytestmark = pytest.mark.long"


@pytest.fixture
def hooks(pytestconfig: pytest.Config) -> Any:  # Any: a module by its path
    return pytestconfig.pluginmanager.get_plugin(str(TESTS / "conftest.py"))


def config(
    *args: str, marks: str = "", keyword: str = ""
) -> Any:  # Any: the part of pytest.Config that is read
    return SimpleNamespace(
        option=SimpleNamespace(markexpr=marks, keyword=keyword),
        args=list(args),
        stash=pytest.Stash(),
        getini=lambda _: ["long: lasts"],
        hook=SimpleNamespace(pytest_deselected=lambda items: None),
    )


def item(path: Path, *marks: str) -> Any:  # Any: the part of pytest.Item that is read
    path.write_text(TEXT, encoding="utf-8")
    return SimpleNamespace(path=path, iter_markers=lambda: [SimpleNamespace(name=mark) for mark in marks])


@pytest.mark.parametrize("keyword", ["", "swap"])
def test_the_lanes_stay_out_where_folders_are_named_with_a_word_of_tests_or_without(
    hooks: Any, tmp_path: Path, keyword: str
) -> None:
    asked = config(str(tmp_path), str(TESTS), keyword=keyword)
    hooks.pytest_cmdline_main(asked)
    assert asked.option.markexpr == without(LANES)


def test_a_mark_that_is_named_stands_as_it_is(hooks: Any, tmp_path: Path) -> None:
    asked = config(str(tmp_path), marks="long")
    hooks.pytest_cmdline_main(asked)
    assert asked.option.markexpr == "long"


def test_a_file_that_is_named_brings_its_lanes_and_none_of_a_folder_beside_it(
    hooks: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    named, beside, usual = (
        item(tmp_path / "test_named.py", "long"), item(folder / "test_beside.py", "long"), item(folder / "test_usual.py"),
    )  # fmt: skip
    asked = config(str(folder), f"{folder}/../test_named.py::test_it")
    hooks.pytest_cmdline_main(asked)
    assert not asked.option.markexpr
    items = [named, beside, usual]
    hooks.pytest_collection_modifyitems(asked, items)
    assert items == [named, usual]


def test_a_file_is_named_by_itself_or_with_a_test(tmp_path: Path) -> None:
    file = tmp_path.resolve() / "test_it.py"
    assert named_files([str(tmp_path), f"{file}::test_this[a]", str(file)]) == {file}
