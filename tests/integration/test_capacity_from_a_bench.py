"""Traffic of other lengths takes what the steps of a bench say: benchmarks/steps_from_a_bench.py."""

from __future__ import annotations

import pytest

from promised import held
from scoreboard import Scoreboard
from steps_from_a_bench import measure

pytestmark = pytest.mark.bench


def test_traffic_of_other_lengths_takes_what_steps_from_a_bench_say() -> None:
    told = Scoreboard("steps")
    measure(told)
    held(told, *told.promises)
