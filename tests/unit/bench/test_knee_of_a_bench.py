"""What a bench says of the knee, and when it is no result: on servers of a known pace, and on results made by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from benches import bench_of
from homeport import sync
from homeport.bench import BenchResult, bench, knee
from homeport.bench.bench import _BenchWork
from homeport.bench.figures import spread
from homeport.bench.load import LoadRun
from homeport.bench.page import page
from homeport.bench.result import KneeResult
from homeport.bench.slo import Slo
from homeport.capacity.replica import BatchLimits
from homeport.capacity.step_time import paced
from homeport.cli.bench_text import text
from paced_bench import QUICK, endpoint_of
from paced_server import Pace, PacedServer

LIMITS = BatchLimits(sequences=4, step_tokens=2048, cache_tokens=10**9)


def found(*, searched: bool = True, why: str = "", users: tuple[int, ...] = (1, 2, 4)) -> BenchResult:
    at_two = KneeResult(users=2, goodput=7.25, searched=searched, why=why)
    result = bench_of(paced(0.05), LIMITS, users=users)
    half_a_second = spread("e2e", [0.5])
    assert half_a_second is not None
    latency = {"e2e": half_a_second, "ttft": half_a_second}
    levels = (replace(one, latency=latency) for one in result.levels)
    return replace(result, knee=at_two, levels=tuple(levels))


def sought(pace: Pace, **options: Any) -> BenchResult:  # Any: of BenchOptions
    asked = replace(QUICK, users=(), repetitions=2, **options)
    with PacedServer(pace) as server:
        return sync.run(bench(endpoint_of(server), asked))


def doubted(result: BenchResult, users: int) -> BenchResult:
    levels = (replace(one, doubts=("late",)) if one.users == users else one for one in result.levels)
    return replace(result, levels=tuple(levels))


@pytest.mark.parametrize("users", [1, 2, 4])
def test_a_bench_with_a_load_that_is_no_result_is_none(users: int) -> None:
    assert found().valid
    assert not doubted(found(), users).valid


def test_the_knee_is_one_sentence_in_the_terminal_and_on_the_page() -> None:
    said = "The knee: 2 users; more of them give no more than 7.25 requests a second."
    assert said in text(found())
    assert said in page(found())


@pytest.mark.parametrize(("users", "most"), [((1,), "1 user"), ((1, 2, 3), "3 users")])
def test_where_none_was_found_no_load_is_called_the_knee(users: tuple[int, ...], most: str) -> None:
    result = found(searched=False, why="the time was up", users=users)
    for said in (text(result), page(result)):
        assert f"No knee found up to {most}: the time was up." in said
        assert "The knee:" not in said
        assert "knee: " not in said


def test_too_few_requests_are_not_compared_and_what_they_measured_stays_a_result() -> None:
    result = sought(Pace(ttft_s=0.3, itl_s=0.001), seconds=0.5, most_users=4)
    # On a busy machine the client may have been late, which is a doubt of its own.
    assert all(doubt.startswith("the client was") for level in result.levels for doubt in level.doubts)
    assert result.knee is not None
    assert not result.knee.searched
    assert "too few to be compared" in result.knee.why


def test_a_slow_server_is_asked_by_many_users_although_few_requests_find_no_knee() -> None:
    result = sought(Pace(ttft_s=0.15, itl_s=0.001), seconds=2, most_users=16)
    assert {1, 2, 4, 8, 16} <= {level.users for level in result.levels}
    assert not any("too few" in doubt for level in result.levels for doubt in level.doubts)
    assert "too few to be compared" in result.said_of_knee


class Lucky(_BenchWork):
    """A bench of an endpoint whose goodput is its users, but for one lucky first sample."""

    async def _at(
        self, users: int, *, repetitions: int, seconds: float, fewest: int = 0, until: float = 0.0
    ) -> None:
        runs = self.runs.setdefault(users, [])
        runs += [LoadRun(begun=0.0) for _ in range(repetitions - len(runs))]
        self.levels[users] = replace(found().levels[0], users=users, doubts=())

    def _goodput(self, users: int) -> float:
        return users + (38 if users == 32 else 0) / len(self.runs[users])

    def _few(self, users: int) -> str:
        return ""


def searched_by(kind: type[Lucky], most_users: int) -> KneeResult:
    nothing: Any = None  # Any: what would be sent, and how
    options, until = replace(QUICK, users=(), repetitions=3, most_users=most_users), time.monotonic() + 1000
    work = kind(options=options, sender=nothing, prompts=nothing, ignores_eos=True, say=nothing, until=until)
    result = sync.run(work.measure())
    assert result is not None
    return result


@pytest.mark.parametrize(("most_users", "why"), [(64, knee.STILL_GREW), (128, knee.MOVED)])
def test_a_knee_that_moves_when_it_is_measured_again_is_judged_again(most_users: int, why: str) -> None:
    judged = searched_by(Lucky, most_users)
    assert (judged.users, judged.searched, judged.why) == (64, False, why)


class OfFew(Lucky):
    """The same, where a load has enough requests once it was measured twice."""

    async def _at(
        self, users: int, *, repetitions: int, seconds: float, fewest: int = 0, until: float = 0.0
    ) -> None:
        await super()._at(users, repetitions=max(repetitions, 2 if fewest else 0), seconds=seconds)

    def _few(self, users: int) -> str:
        return "" if len(self.runs[users]) > 1 else "too few"


def test_loads_of_few_requests_get_the_time_that_the_search_left() -> None:
    assert searched_by(OfFew, 16).why == knee.STILL_GREW


def test_where_nothing_keeps_the_objectives_one_user_is_enough_to_say_so() -> None:
    result = sought(Pace(ttft_s=0.01, itl_s=0.001), seconds=1, most_users=16, slo=Slo.parse("ttft=1ms"))
    assert [level.users for level in result.levels] == [1]
    assert result.said_of_knee == "No knee found up to 1 user: nothing keeps the objectives."


def test_the_goodput_of_the_knee_is_that_of_the_table() -> None:
    result = sought(Pace(ttft_s=0.02, itl_s=0.001, slots=2), seconds=2, most_users=3)
    assert result.knee is not None
    assert result.knee.goodput == max(level.rates["goodput"].mean for level in result.levels)
