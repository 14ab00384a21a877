"""The folder that each test has: tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize("case", [1, 2])
def test_a_case_of_a_test_has_an_empty_folder_and_no_link_beside_it_to_the_last_one(
    tmp_path: Path, case: int
) -> None:
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    link = tmp_path.name.rstrip("0123456789") + "current"
    assert not (tmp_path.parent / link).is_symlink()
