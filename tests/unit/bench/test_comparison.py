"""Two benches side by side say what cannot be told, and that nothing can."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benches import bench_of
from homeport.bench.comparison import compared
from homeport.bench.figures import estimate
from homeport.bench.options import OpenLoad
from homeport.bench.result import BenchResult
from homeport.capacity.replica import BatchLimits
from homeport.capacity.step_time import paced
from homeport.errors import SpecError
from typist import Typist

LIMITS = BatchLimits(sequences=4, step_tokens=2048, cache_tokens=10**9)


def result(*rates: float, doubts: tuple[str, ...] = ()) -> BenchResult:
    made = bench_of(paced(0.05), LIMITS, doubts=doubts)
    levels = [replace(one, rates=dict.fromkeys(one.rates, estimate(rates))) for one in made.levels]
    return replace(made, levels=tuple(levels))


SLOW, FAST = result(1.0, 1.1, 1.2), result(2.0, 2.1, 2.2)


@pytest.fixture
def typist(tmp_path: Path) -> Typist:
    return Typist(tmp_path / "project")


def typed(typist: Typist, first: BenchResult, second: BenchResult, code: int) -> str:
    for name, one in (("first.json", first), ("second.json", second)):
        (typist.folder / name).write_text(json.dumps(one.as_json()))
    ran = typist.run("bench", "compare", "first.json", "second.json", code=code)
    return ran.out + ran.err


def test_what_was_measured_well_and_often_enough_is_told(typist: Typist) -> None:
    said = typed(typist, SLOW, FAST, 0)
    assert "the second is better" in said
    assert "9 figures at 95 % each: about 0.5 differ by chance" in said


def test_times_have_their_unit_and_rates_have_none(typist: Typist) -> None:
    def timed(*seconds: float) -> BenchResult:
        levels = (replace(one, by_repetition={"ttft_p50": estimate(seconds)}) for one in SLOW.levels)
        return replace(SLOW, levels=tuple(levels))

    said = typed(typist, timed(0.35, 0.36), timed(3.5, 3.6), 0)
    row = next(line for line in said.splitlines() if "ttft_p50" in line)
    assert "355.0 ms" in row
    assert "3.55 s" in row
    assert " s to " in row


@pytest.mark.parametrize(
    "other", [result(2.0, doubts=("late",)), result(2.0, 2.1, doubts=("late",)), result(2.0)]
)
def test_where_nothing_can_be_told_the_command_does_not_succeed(typist: Typist, other: BenchResult) -> None:
    said = typed(typist, SLOW, other, 3)
    assert "nothing can be told" in said
    assert "by chance" not in said


def test_benches_without_a_load_in_common_do_not_succeed(typist: Typist) -> None:
    alone = replace(FAST, levels=())
    assert not compared(SLOW, alone).told
    assert "no load that both measured" in typed(typist, SLOW, alone, 3)


def test_a_thousand_users_are_compared_whichever_version_wrote_their_number() -> None:
    older, newer = (
        replace(one, levels=(replace(one.levels[0], load=load, users=1024),))
        for one, load in ((SLOW, "1024 users"), (FAST, "1,024 users"))
    )
    (load,) = {figure.load for figure in compared(older, newer).figures}
    assert load == "1024 users"


def test_an_open_load_of_no_requests_is_refused() -> None:
    with pytest.raises(SpecError, match="none of its requests is due"):
        OpenLoad(title="poisson, 0.01 a second", of_trace=False, arrivals=())
