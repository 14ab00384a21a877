"""
What `capacity` simulates is what real requests meet, behind the rehearsed front end of Cloud Run: benchmarks/replicas.py.

With BENCH=sample there is one load, past the knee.
"""

from __future__ import annotations

import os

import pytest

from promised import held
from promises import LOADS, REPLICAS
from replicas import measure
from scoreboard import Scoreboard

pytestmark = pytest.mark.bench
SAMPLE = os.environ.get("BENCH") == "sample"


@pytest.mark.parametrize("replicas", REPLICAS[:1] if SAMPLE else REPLICAS)
@pytest.mark.parametrize("load", LOADS[-1:] if SAMPLE else LOADS)
def test_queue_and_429s_are_those_of_the_rehearsed_front_end(replicas: int, load: float) -> None:
    told = Scoreboard("replicas")
    measure(told, replicas, load)
    held(told, *told.ratios)
