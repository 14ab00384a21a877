"""Other load generators find the figures that `homeport bench` finds, and cost more than twice as much: benchmarks/judges.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from judges import GENERATORS, Generator, measure_ours, measure_theirs, paced
from promised import held
from scoreboard import Scoreboard

pytestmark = pytest.mark.bench


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with paced() as found:
        yield found


@pytest.fixture(scope="module")
def told() -> Scoreboard:
    return Scoreboard("judges")


@pytest.fixture(scope="module")
def ours(told: Scoreboard, url: str, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    return measure_ours(told, url, tmp_path_factory.mktemp("ours"))


def test_what_is_measured_is_the_pace_of_the_server(told: Scoreboard, ours: Generator) -> None:
    held(told, "pace", "tokens", "lost")


@pytest.mark.parametrize("name", GENERATORS)
def test_another_generator_finds_the_same_and_takes_more_than_twice_the_processor_time(
    name: str, told: Scoreboard, ours: Generator, url: str, tmp_path: Path
) -> None:
    measure_theirs(told, name, url, ours, tmp_path)
    held(told, name, f"{name}-work", f"{name}-lost")
