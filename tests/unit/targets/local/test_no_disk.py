"""What a plan, `up` and `doctor` say of a disk that has no room for the weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from homeport.resources.local.weights import Weights
from homeport.targets.local.room import no_disk
from homeport.weights.store import WeightsStore
from places import TAUGHT
from typist import Typist

WHEELED = "wheel:some-weights"


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What every disk says of itself: 300 MB are free, until a test says otherwise."""
    usage = SimpleNamespace(total=10**12, used=0, free=300_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    return usage


def weights(folder: Path, name: str, size: int | None) -> Weights:
    """Weights of a package that were never asked for, of which the catalog knows the size."""
    return Weights(
        name=name, source=f"{WHEELED}-{name}", format="gguf", store=WeightsStore(folder), expected_size=size
    )


def test_a_plan_says_that_the_weights_have_no_room_and_what_to_do(
    typist: Typist, free: SimpleNamespace
) -> None:
    typist.write('name = "w"\nmodel = "gemma-3-270m-pt"\n')
    said = typist.run("plan").out
    assert "in the way: wheel:" in said
    assert "MB of disk, and 300 MB are free at " in said
    assert "HOMEPORT_HOME" in said
    (problem,) = json.loads(typist.run("plan", "--json").out)["problems"]
    assert problem in said


def test_up_is_refused_by_it_before_it_asks_or_fetches(typist: Typist, free: SimpleNamespace) -> None:
    typist.write('name = "w"\nmodel = "gemma-3-270m-pt"\n')
    ran = typist.run("up", "--yes", code=17)
    assert "MB of disk, and 300 MB are free at " in ran.err
    assert not (typist.home / "weights" / "pins").exists()


def test_with_room_or_with_weights_that_lie_here_nothing_is_in_the_way(
    typist: Typist, free: SimpleNamespace
) -> None:
    shutil.copyfile(TAUGHT, typist.folder / TAUGHT.name)
    typist.write(f'name = "w"\nmodel = "./{TAUGHT.name}"\n')
    free.free = 0
    assert "in the way" not in typist.run("plan").out
    typist.write('name = "w"\nmodel = "gemma-3-270m-pt"\n')
    free.free = 10**10
    assert "in the way" not in typist.run("plan").out


def test_weights_on_one_disk_need_their_room_together(tmp_path: Path, free: SimpleNamespace) -> None:
    free.free = 500_000_000
    one, other = (weights(tmp_path, name, 70_000_000) for name in ("model", "projector"))
    assert no_disk([one]) is None
    full = no_disk([one, other])
    assert full is not None
    assert str(full).startswith(
        f"{one.source} and {other.source} need 280 MB of disk, and 500 MB are free at "
    )


def test_weights_of_a_size_that_nobody_told_stand_in_no_way(tmp_path: Path, free: SimpleNamespace) -> None:
    assert no_disk([weights(tmp_path, "model", None)]) is None


def test_doctor_calls_a_disk_lacking_on_which_no_weights_would_be_fetched(
    typist: Typist, free: SimpleNamespace
) -> None:
    assert "300 MB free" in typist.run("doctor", code=None).out
    free.free = 255_000_000
    (folder,) = (
        found
        for found in json.loads(typist.run("doctor", "--json", code=None).out)
        if found["what"] == "folder"
    )
    assert folder["verdict"] == "lacking"
    assert folder["detail"].endswith(
        "255 MB free: no weights are fetched where less than 256 MB would stay free"
    )
    assert "larger disk" in folder["hint"]
