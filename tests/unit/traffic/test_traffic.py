"""Traces are read as their makers wrote them; arrival processes have the rate that they promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from statistics import fmean, pstdev

import pytest

from homeport.errors import SpecError
from homeport.traffic import Arrival, Lengths, burst, constant, poisson, ramp, read

OWN = "seconds,input,output\n5,10,20\n6.5,30,40\n"
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
)
MOONCAKE = (
    '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
    '{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}\n'
)
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,Conversation log\n118,GPT-4,417,276,693,API log\n"
)


@pytest.mark.parametrize(
    ("text", "wanted", "skipped"),
    [
        (OWN, [Arrival(0, 10, 20), Arrival(1.5, 30, 40)], 0),
        (AZURE, [Arrival(0, 374, 44), Arrival(4.314579, 396, 109)], 0),
        (MOONCAKE, [Arrival(0, 6758, 500), Arrival(3, 7322, 490)], 0),
        (BURSTGPT, [Arrival(0, 472, 18), Arrival(113, 417, 276)], 1),
        (OWN.replace("5,10", "9,10"), [Arrival(0, 30, 40), Arrival(2.5, 10, 20)], 0),
    ],
    ids=["own", "azure", "mooncake", "burstgpt", "out of order"],
)
def test_a_trace_is_read_by_the_names_of_its_columns(
    text: str, wanted: list[Arrival], skipped: int, tmp_path: Path
) -> None:
    (tmp_path / "trace").write_text(text)
    trace = read(tmp_path / "trace")
    assert [one.seconds for one in trace.arrivals] == pytest.approx([one.seconds for one in wanted], abs=1e-6)
    assert [(one.input, one.output) for one in trace.arrivals] == [(one.input, one.output) for one in wanted]
    assert trace.skipped == skipped


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no request"),
        ("seconds,input,output\n", "no request"),
        ("when,input,output\n1,2,3\n", "columns when, input, output"),
        ("seconds,input,output\n1,2,3\nsoon,2,3\n", "line 3"),
        ("seconds,input,output\nnan,2,3\n", "line 2"),
        ("seconds,input,output\n1,-2,3\n", "line 2: '-2' is no number of tokens"),
        ("seconds,input,output\n1,2\n", "line 2"),
        ("seconds,input,output\n1,1e400,3\n", "line 2"),
        ('{"timestamp": 0\n', "line 1"),
        ("seconds,input,output\n1,0,3\n", "no request with a prompt"),
        ("seconds,input,output\n1,1e300,3\n", "line 2: '1e300' is no number of tokens"),
        ("seconds,input,output\n-5,2,3\n1e300,2,3\n", r"1e\+300 s between .* 366 days are the most"),
        ("seconds,input,output\n-1e308,2,3\n1e308,2,3\n", "inf s between"),
    ],
)
def test_what_is_no_trace_is_refused_by_its_line(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(SpecError, match=says):
        read(tmp_path / "trace.csv")


def test_a_part_of_a_trace_begins_at_zero_and_a_faster_one_has_more_a_second(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("seconds,input,output\n" + "".join(f"{n},1,1\n" for n in range(11)))
    trace = read(tmp_path / "trace.csv")
    assert [one.seconds for one in trace.part(3, 6).arrivals] == [0, 1, 2]
    assert trace.faster(2).rate == pytest.approx(2 * trace.rate)
    with pytest.raises(SpecError, match="no request from 50"):
        trace.part(50, 60)


def test_each_process_has_its_rate_and_stays_within_its_time() -> None:
    assert list(constant(2, 2)) == [0, 0.5, 1, 1.5]
    assert list(burst(4, 2, size=4)) == [0, 0, 0, 0, 1, 1, 1, 1]
    rising = list(ramp(0, 10, 10))
    assert len(rising) == 50
    assert sum(moment < 5 for moment in rising) == pytest.approx(12.5, abs=1)  # ∫₀⁵ t dt
    assert list(ramp(2, 2, 2)) == pytest.approx(list(constant(2, 2)))
    assert all(later > one for one, later in pairwise(rising))


def test_gaps_of_poisson_are_exponential_and_come_again_with_their_seed() -> None:
    moments = list(poisson(100, 100, seed=7))
    gaps = [later - one for one, later in pairwise(moments)]
    assert len(moments) == pytest.approx(10_000, abs=4 * 100)  # Its deviation is √10000.
    assert pstdev(gaps) / fmean(gaps) == pytest.approx(1, rel=0.05)
    assert sum(gap > 0.01 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-1), rel=0.05)
    assert moments == list(poisson(100, 100, seed=7)) != list(poisson(100, 100, seed=8))


def test_lengths_have_the_mean_and_the_spread_that_are_asked_for() -> None:
    assert next(Lengths(input=512, output=128).drawn()) == (512, 128)
    drawn = [tokens for tokens, _ in islice(Lengths(input=500, output=100, spread=0.8).drawn(3), 20_000)]
    assert fmean(drawn) == pytest.approx(500, rel=0.03)
    assert pstdev(drawn) / fmean(drawn) == pytest.approx(0.8, rel=0.05)


@pytest.mark.parametrize("wrong", [0, -1, math.inf, math.nan])
def test_what_is_no_rate_is_refused(wrong: float) -> None:
    for process in (constant, poisson):
        with pytest.raises(SpecError, match="rate: should be above 0"):
            process(wrong, 1)


@pytest.mark.parametrize(
    "process",
    [
        lambda: constant(1e9, 20),
        lambda: poisson(1e9, 20),
        lambda: burst(1e9, 20, size=8),
        lambda: burst(1, 20, size=10**9),
        lambda: ramp(0, 1e9, 20),
    ],
    ids=["constant", "poisson", "burst", "one burst", "ramp"],
)
def test_more_requests_than_can_be_made_up_are_refused_before_the_first(
    process: Callable[[], Iterator[float]],
) -> None:
    with pytest.raises(SpecError, match="more than the 2,000,000"):
        next(process())
