"""Each target answers every question that is asked of one, and what is known of it before it is imported is whole."""

from __future__ import annotations

import pytest

from homeport.targets import registry
from homeport.targets.base import Capability, TargetModule


@pytest.mark.parametrize("name", registry.TITLES)
def test_a_target_answers_all_that_is_asked_of_one(name: str) -> None:
    asked = {one for one in (*vars(TargetModule), *TargetModule.__annotations__) if not one.startswith("_")}
    assert asked - set(dir(registry.module(name))) == set()


def test_what_is_known_without_importing_a_target_is_known_of_each() -> None:
    assert registry.MODELS.keys() == registry.TITLES.keys()
    assert registry.TITLES.keys() > registry.CLOUDS
    assert registry.DEFAULT not in registry.CLOUDS


def test_a_verb_without_a_target_goes_to_the_one_that_can_do_it() -> None:
    assert registry.able(Capability.PROXY) == registry.able(Capability.EXPORT) == "cloudrun"
    assert registry.able(Capability.PORT) == "local"
