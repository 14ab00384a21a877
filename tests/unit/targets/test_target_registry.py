"""Each target answers every question that is asked of one, and what is known of it before it is imported is whole."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import ModuleType

import pytest

from homeport.errors import Unsupported
from homeport.home import Home
from homeport.live_places import look
from homeport.targets import registry
from homeport.targets.base import Capability, LiveModule, OpenOptions, TargetModule


@pytest.mark.parametrize("name", registry.TITLES)
def test_a_target_answers_all_that_is_asked_of_one(name: str) -> None:
    for protocol, found in ((TargetModule, registry.module(name)), (LiveModule, registry.live(name))):
        assert len(registry.asked(protocol)) >= 1
        assert registry.asked(protocol) - set(dir(found)) == set()


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The target `other`, which has of all that is asked only what this test gives it."""
    package, lifecycle = ModuleType("homeport.targets.other"), ModuleType("homeport.targets.other.lifecycle")
    package.__path__ = []
    for module in (package, lifecycle):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "TITLES", {**registry.TITLES, "other": "another place"})
    return lifecycle


def test_a_target_that_lacks_what_is_asked_of_one_is_refused_by_what_it_lacks(another: ModuleType) -> None:
    for one in registry.asked(TargetModule) - {"check_names", "check_of"}:
        setattr(another, one, None)
    with pytest.raises(
        Unsupported, match=r"'other' is not whole: .*lifecycle\.py has no check_names, check_of$"
    ):
        registry.module("other")
    another.check_names = another.check_of = None  # type: ignore[attr-defined]
    assert registry.module("other") is another


def test_a_target_that_cannot_be_looked_at_again_and_again_is_told_as_one_place_that_is_not_known(
    another: ModuleType, tmp_path: Path
) -> None:
    place = asyncio.run(look("other", tmp_path, OpenOptions(env={}, home=Home(tmp_path))))
    assert "src/homeport/targets/other/live.py is not there" in place.lines()[0]


def test_what_is_known_without_importing_a_target_is_known_of_each() -> None:
    assert registry.MODELS.keys() == registry.TITLES.keys()
    assert registry.TITLES.keys() > registry.CLOUDS
    assert registry.DEFAULT not in registry.CLOUDS


def test_a_verb_without_a_target_goes_to_the_one_that_can_do_it() -> None:
    assert registry.able(Capability.PROXY) == registry.able(Capability.EXPORT) == "cloudrun"
    assert registry.able(Capability.PORT) == "local"
