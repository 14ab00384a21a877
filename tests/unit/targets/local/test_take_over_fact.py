"""How a plan tells which of two engines has its turn first: with the figures by which it was judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from homeport.hardware import this_machine
from homeport.home import Home
from homeport.spec import Spec
from homeport.targets.local.swap import turn
from homeport.targets.local.target import LocalTarget
from places import TAUGHT

FIRST = "the old engine stops first, and is started again if the new one fails"


def swapped_to(model: str, home: Path) -> LocalTarget:
    return LocalTarget(
        spec=Spec(name="home", model=model),
        spec_file=home / "homeport.toml",
        home=Home(home),
        take_over=False,
    )


@pytest.mark.parametrize(
    ("free", "beside", "reason"), [(10**12, True, "both-fit"), (1, False, "both-do-not-fit")]
)
def test_what_memory_decides_has_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, beside: bool, reason: str
) -> None:
    machine = replace(this_machine(gpus=False), memory_available=free)
    monkeypatch.setattr("homeport.targets.local.target.this_machine", lambda **_: machine)
    told = turn(swapped_to(f"file:{TAUGHT}", tmp_path)).as_json()
    assert (told["beside"], told["reason"], told["free_bytes"]) == (beside, reason, free)
    assert told["needs_bytes"] > 1
    assert told["text"].startswith("the new engine is verified on a spare port first" if beside else FIRST)


def test_what_is_not_here_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homeport.targets.local.weights_headers.described", lambda *_, **__: None)
    told = turn(swapped_to("hf:nobody/nothing", tmp_path)).as_json()
    assert (told["beside"], told["reason"], told["needs_bytes"]) == (None, "weights-not-here", None)
    assert told["text"].endswith(FIRST)
