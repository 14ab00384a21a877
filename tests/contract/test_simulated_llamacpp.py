"""One real llama.cpp on one thread is within a quarter of what `capacity` simulates: benchmarks/one_engine.py."""

from __future__ import annotations

import pytest

from one_engine import measure
from promised import held
from scoreboard import Scoreboard

pytestmark = pytest.mark.bench


def test_a_real_llamacpp_on_one_thread_is_within_a_quarter_of_what_is_simulated() -> None:
    told = Scoreboard("engine")
    measure(told)
    held(told, *told.promises)
