"""Figures are what their formulas say, on runs whose times are set by hand; percentiles, intervals and the knee."""

from __future__ import annotations

import asyncio
import math
import random
from array import array
from collections.abc import Callable

import pytest
from hdrh.histogram import HdrHistogram

from homeport.bench import knee
from homeport.bench.comparison import welch
from homeport.bench.figures import estimate, spread, t975
from homeport.bench.level import LevelResult, Loaded, level
from homeport.bench.load import LoadRun
from homeport.bench.slo import Slo
from homeport.bench.timed_request import RequestFailure, TimedRequest
from homeport.errors import SpecError


def request(due: float, first: float, itl: float, tokens: int, *, sent: float | None = None) -> TimedRequest:
    """A request that was answered: its first token at `first`, the others `itl` apart."""
    made = TimedRequest(due=due, input=10, output=tokens)
    made.sent = due if sent is None else sent
    made.chunks = array("d", [first + itl * number for number in range(tokens)])
    made.first_answer = made.chunks[min(2, tokens - 1)]
    made.finish, made.status, made.last_piece = "length", 200, made.chunks[-1]
    made.usage = {"prompt_tokens": 10, "completion_tokens": tokens}
    return made


def run(*requests: TimedRequest) -> LoadRun:
    ended = max(one.chunks[-1] for one in requests)
    return LoadRun(begun=requests[0].due, ended=ended, requests=list(requests), delays=[0.0], cpu_s=0.1)


def found(*runs: LoadRun, slo: str = "") -> LevelResult:
    return level(Loaded(load="by hand"), runs, Slo.parse(slo), exact=True)


def test_each_figure_is_what_its_formula_says() -> None:
    result = found(run(request(100.0, 100.5, 0.1, 11)))
    medians = {name: one.p50 for name, one in result.latency.items()}
    wanted = {"ttft": 0.5, "ttfo": 0.7, "itl": 0.1, "tpot": 0.1, "e2e": 1.5}
    assert medians == pytest.approx(wanted, rel=0.001)
    rates = {name: one.mean for name, one in result.rates.items()}
    assert rates == pytest.approx(
        {"output_tokens": 11 / 1.5, "total_tokens": 21 / 1.5, "requests": 1 / 1.5, "goodput": 1 / 1.5}
    )
    assert result.valid


def test_a_request_is_timed_from_when_it_was_due_and_lateness_makes_it_no_result() -> None:
    late = found(run(*(request(n, n + 2.5, 0.01, 5, sent=n + 2.0) for n in range(10))))
    assert late.latency["ttft"].p50 == pytest.approx(2.5, rel=0.001)
    assert late.requests.late == 10
    assert any("sent late" in one for one in late.doubts)


def test_goodput_counts_what_keeps_all_objectives() -> None:
    fast, slow = request(0, 0.5, 0.1, 11), request(0, 3, 0.1, 11)
    stutters = request(0, 0.5, 0.2, 11)
    result = found(run(fast, slow, stutters), slo="ttft=2s,itl=150ms")
    assert result.rates["goodput"].mean == pytest.approx(1 / 4.0)
    assert result.rates["requests"].mean == pytest.approx(3 / 4.0)
    for wrong in ("ttft", "ttft=2", "speed=2s", "ttft=0s", "ttft=-1s"):
        with pytest.raises(SpecError):
            Slo.parse(wrong)


def test_one_token_has_no_time_of_a_token_and_is_good_by_its_gaps() -> None:
    result = found(run(request(0, 0.5, 0, 1)), slo="tpot=1ms")
    assert set(result.latency) == {"ttft", "ttfo", "e2e"}
    assert result.rates["goodput"].mean == pytest.approx(2)


def test_percentiles_are_right_to_three_digits_and_the_histogram_can_be_read_by_others() -> None:
    chance = random.Random(5)
    values = [chance.lognormvariate(-2, 1) for _ in range(5000)]
    result = spread("e2e", values)
    assert result is not None
    ordered = sorted(values)
    for share, got in ((0.5, result.p50), (0.9, result.p90), (0.99, result.p99), (1, result.max)):
        assert got == pytest.approx(ordered[math.ceil(share * len(ordered)) - 1], rel=0.002)
    decoded = HdrHistogram.decode(result.histogram)
    assert decoded.get_total_count() == 5000
    assert decoded.get_value_at_percentile(50) / 1e6 == result.p50


def test_intervals_hold_the_truth_in_about_19_of_20_cases() -> None:
    chance = random.Random(11)
    inside = differs = 0
    for _ in range(2000):
        one, other = ([chance.gauss(10, 2) for _ in range(4)] for _ in range(2))
        interval = estimate(one)
        assert interval.low is not None
        assert interval.high is not None
        inside += interval.low <= 10 <= interval.high
        low, high = welch(tuple(one), tuple(other))
        assert low is not None
        assert high is not None
        differs += not low <= 0 <= high
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)
    assert differs / 2000 <= 0.065


@pytest.mark.parametrize(("freedom", "published"), [(1, 12.706), (4, 2.776), (40, 2.021), (60, 2.000), (120, 1.980), (10**6, 1.960)])  # fmt: skip
def test_quantiles_of_t_are_the_published_ones(freedom: int, published: float) -> None:
    assert t975(freedom) == pytest.approx(published, abs=0.002)


def test_one_repetition_tells_nothing_of_its_noise() -> None:
    assert estimate([5.0]).low is None
    assert welch((1.0,), (2.0, 3.0)) == (None, None)


@pytest.mark.parametrize("slots", [1, 3, 6, 8, 13, 50])
def test_the_knee_of_a_server_with_slots_is_found_by_halves(slots: int) -> None:
    async def goodput(users: int) -> float:
        return float(min(users, slots))

    result = asyncio.run(knee.find(goodput, most_users=256))
    assert not result.why
    assert not knee.judged_again(result.measured, 256)
    assert slots * 0.9 <= result.users <= slots * 1.1
    assert max(result.measured) <= 4 * slots  # Beyond saturation nothing is sought.
    assert len(result.measured) <= 2 * math.log2(max(2, slots)) + 5


def test_the_knee_is_found_where_goodput_collapses_beyond_it() -> None:
    async def goodput(users: int) -> float:
        return float(users if users <= 11 else 0)

    result = asyncio.run(knee.find(goodput, most_users=256))
    assert result.users in {10, 11}
    assert max(result.measured.values()) >= 10


def searched(most_users: int, goodput: Callable[[int], float | str]) -> knee.FoundKnee:
    async def measure(users: int) -> float | str:
        return goodput(users)

    return asyncio.run(knee.find(measure, most_users=most_users))


@pytest.mark.parametrize("most", [2, 3, 32, 33, 48, 64])
def test_a_search_that_came_to_no_end_tried_the_most_users_and_found_no_knee(most: int) -> None:
    found = searched(most, float)
    assert max(found.measured) == most
    assert found.why == knee.STILL_GREW


def test_one_user_alone_is_no_search() -> None:
    assert searched(1, float).why == knee.NO_MORE_ASKED


def test_saturation_between_the_last_power_of_two_and_the_most_users_is_seen() -> None:
    found = searched(48, lambda users: float(min(users, 33)))
    assert not found.why
    assert found.users in {32, 33}
    assert searched(48, lambda users: float(min(users, 47))).why == knee.STILL_GREW


def test_a_search_whose_time_was_up_says_so() -> None:
    found = searched(32, lambda users: float(users) if users < 8 else knee.TIME_UP)
    assert (found.why, max(found.measured)) == (knee.TIME_UP, 4)


@pytest.mark.parametrize("few", [range(1, 3), range(1, 5), range(2, 4)])
def test_loads_that_cannot_be_compared_do_not_end_the_doubling(few: range) -> None:
    async def measure(users: int) -> float:
        return 1.0 if users in few else float(min(users, 8))

    found = asyncio.run(knee.find(measure, most_users=64, tells=lambda users: users not in few))
    assert (found.why, found.users, max(found.measured)) == ("", 8, 16)


def test_where_nothing_keeps_the_objectives_no_more_users_are_tried() -> None:
    found = searched(64, lambda _: 0.0)
    assert (found.why, found.measured) == (knee.NOTHING_GOOD, {1: 0.0})


def test_the_medians_that_are_compared_are_those_of_the_table() -> None:
    result = found(run(*(request(0, first, 0.01, 5) for first in (0.1, 0.2, 0.3, 0.4, 1.0, 1.1, 1.2, 1.3))))
    for figure in ("ttft", "itl", "tpot", "e2e"):
        assert result.by_repetition[f"{figure}_p50"].mean == result.latency[figure].p50
        assert result.by_repetition[f"{figure}_p95"].mean == result.latency[figure].p95


def test_an_answer_that_fills_the_context_is_no_wrong_count() -> None:
    cut = [request(0, 0.5, 0.01, 464) for _ in range(3)]
    for one in cut:
        one.output = 600
    (doubt,) = found(run(*cut)).doubts
    assert "the context was full: 3 answers ended at 474 tokens" in doubt


def test_fewer_tokens_than_chunks_are_a_wrong_count_and_no_full_context() -> None:
    short = [request(0, 0.5, 0.01, 12) for _ in range(3)]
    for one in short:
        one.usage = {"prompt_tokens": 10, "completion_tokens": 11}
    assert "usage is wrong" in found(run(*short)).doubts[0]


def test_the_first_of_each_kind_of_failure_is_kept() -> None:
    good, *bad = (request(0, 0.5, 0.1, 5) for _ in range(4))
    kinds = (RequestFailure.REFUSED, RequestFailure.STALLED, RequestFailure.STALLED)
    for one, kind, detail in zip(bad, kinds, ("400", "after 3 chunks", "after 9 chunks"), strict=True):
        one.fail(kind, detail)
    kept = found(run(good, *bad)).requests.first_failures
    assert kept == {str(RequestFailure.REFUSED): "400", str(RequestFailure.STALLED): "after 3 chunks"}
