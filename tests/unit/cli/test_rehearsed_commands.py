"""What is said in a rehearsal names the commands that are run against it."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.cli.context import rehearsed
from typist import Typist


@pytest.mark.parametrize(
    ("said", "there"),
    [
        ("`homeport up` starts one", "`homeport rehearse up` starts one"),
        ("`homeport bench --on cloudrun`", "`homeport rehearse bench --on cloudrun`"),
        ("`homeport bench list` shows them", "`homeport bench list` shows them"),
        ("`homeport fit`", "`homeport fit`"),
    ],
)
def test_a_command_that_asks_the_cloud_is_named_as_a_rehearsal_has_it(said: str, there: str) -> None:
    assert rehearsed(said) == there


def test_a_bench_can_be_rehearsed(tmp_path: Path) -> None:
    helped = Typist(tmp_path / "project").run("rehearse", "bench", "--help")
    assert "--profile" in helped.out
