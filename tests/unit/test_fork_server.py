"""What hurries gcloud, also another version of it."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from fork_server import shorten


def test_a_pause_that_another_gcloud_has_not_is_said_and_the_others_are_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slept: list[float] = []
    waiting = ModuleType("made_up_gcloud")
    vars(waiting)["Sleep"] = slept.append
    monkeypatch.setitem(sys.modules, "made_up_gcloud", waiting)
    shorten([("no_gcloud_has_this", "Sleep"), ("made_up_gcloud", "_SleepMs"), ("made_up_gcloud", "Sleep")])
    vars(waiting)["Sleep"](20)
    assert slept == [1]
    first, second = capsys.readouterr().err.splitlines()
    assert "no_gcloud_has_this.Sleep is not there" in first
    assert "made_up_gcloud._SleepMs is not there" in second
