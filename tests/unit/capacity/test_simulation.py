"""The simulation agrees with closed forms, with a model that counts every step, and loses nothing."""

from __future__ import annotations

import math
from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closed_forms import (
    MEAN_S,
    QUEUES,
    STEP_S,
    drawn,
    erlang_c,
    expected_wait,
    lost,
    mean_wait,
    queue,
    recursion,
    served,
    stays,
    waited,
)
from homeport.capacity.replica import BatchLimits, Replica
from homeport.capacity.request_table import RequestTable, request_table
from homeport.capacity.scaled_service import (
    PENDING_LEAST_S,
    PENDING_STARTS,
    ScaledService,
    ServiceSettings,
)
from homeport.capacity.step_time import StepTime, paced
from homeport.errors import SpecError
from homeport.traffic import Arrival

m_m_c = pytest.mark.parametrize(("servers", "utilization"), QUEUES)


@m_m_c
def test_one_request_at_once_waits_as_in_m_m_c(servers: int, utilization: float) -> None:
    load, run = servers * utilization, queue(servers, utilization)
    chance, expected = erlang_c(servers, load), expected_wait(servers, load)
    there = run.in_service_s / run.until
    off = mean_wait(run) / expected - 1
    print(f"M/M/{servers} at {utilization}: mean wait {off:+.1%}, chance {waited(run):.3f} for {chance:.3f}")
    assert off == pytest.approx(0, abs=0.1)
    assert waited(run) == pytest.approx(chance, abs=0.01)
    assert there == pytest.approx(load / MEAN_S * (expected + MEAN_S), rel=0.03)


@pytest.mark.long
@m_m_c
def test_over_many_seeds_the_mean_wait_is_that_of_m_m_c(servers: int, utilization: float) -> None:
    expected = expected_wait(servers, servers * utilization)
    off = [mean_wait(queue(servers, utilization, seed)) / expected - 1 for seed in range(20)]
    error = stdev(off) / math.sqrt(len(off))
    print(f"M/M/{servers} at {utilization}: mean wait {mean(off):+.1%}, standard error {error:.1%}")
    assert abs(mean(off)) < 3 * error


@pytest.mark.parametrize("servers", [1, 3])
def test_each_request_waits_as_kiefer_and_wolfowitz_say(servers: int) -> None:
    """Who comes is served by the server that is free first: the exact waits, request by request."""
    assert recursion(served(drawn(2000, servers * 0.9, 100), servers), servers) < 1e-6


def test_answers_of_one_length_wait_half_as_long_as_in_m_m_1() -> None:
    """M/D/1, by Pollaczek and Khinchine: load x service / (2 (1 - load))."""
    service_s, utilization = 1.0, 0.6
    run = served(drawn(20_000, utilization / service_s, service_s / STEP_S, fixed=True), 1)
    assert mean_wait(run) == pytest.approx(utilization * service_s / (2 * (1 - utilization)), rel=0.08)


def test_littles_law_holds_exactly() -> None:
    """The area below the number of requests that are there is the sum of their stays."""
    run = served(drawn(5000, 0.9, 100), 1)
    assert run.in_service_s == pytest.approx(stays(run), rel=1e-9)


def test_a_request_that_finds_no_room_in_time_is_turned_away_and_counts() -> None:
    run = served(drawn(2000, 2.0, 100), 1, start_s=0.0)
    assert run.refused > 500
    assert lost(run) == 0
    longest = max(
        first - at for first, at in zip(run.traffic.first, run.traffic.arrived, strict=True) if first >= 0
    )
    assert longest <= 10.0 + STEP_S + 1e-6
    assert run.in_service_s == pytest.approx(stays(run), rel=1e-9)


def test_the_work_that_is_done_is_the_work_that_came() -> None:
    """One request at once: instances were busy for as long as the answers take, whoever gave them."""
    run = served(drawn(5000, 2.4, 100), 3)
    assert run.busy_s == pytest.approx(sum(run.traffic.outputs) * STEP_S, rel=1e-9)


lengths = st.tuples(st.floats(0.0001, 0.3), st.integers(1, 60), st.integers(1, 40))
"""Seconds after the one before, tokens of prompt and answer."""
machines = st.builds(
    StepTime,
    overhead_s=st.floats(0.001, 0.01),
    weights_s=st.just(lambda tokens: 0.004 + 0.001 * min(tokens, 8)),
    cached_token_s=st.sampled_from([0.0, 1e-5, 1e-4]),
    window_s=st.sampled_from([0.0, 1e-4]),
    token_s=st.sampled_from([0.0, 1e-4, 2e-3]),
    pair_s=st.sampled_from([0.0, 1e-6]),
    how=st.just("drawn"),
)
limits = st.builds(
    BatchLimits,
    sequences=st.integers(1, 6),
    step_tokens=st.sampled_from([16, 64, 2048]),
    cache_tokens=st.sampled_from([110, 200, 100_000]),
)


def table_of(drawn_lengths: list[tuple[float, int, int]]) -> RequestTable:
    now, made = 0.0, []
    for gap, tokens_in, tokens_out in drawn_lengths:
        now += gap
        made.append(Arrival(now, tokens_in, tokens_out))
    return request_table(made)


class Counted:
    """An engine that takes one step after the other, and counts its cache anew before each."""

    def __init__(self, table: RequestTable, times: StepTime, most: BatchLimits) -> None:
        self.table, self.times, self.most = table, times, most
        self.first, self.ended = [-1.0] * len(table), [-1.0] * len(table)
        self.done = [0] * len(table)
        self.waiting: list[int] = []
        self.prompts: list[list[int]] = []
        self.decoding: list[int] = []

    def cached(self) -> int:
        read = sum(one[2] for one in self.prompts)
        return read + sum(self.table.inputs[one] + self.done[one] - 1 for one in self.decoding)

    def run(self) -> None:
        now, coming = 0.0, 0
        while any(end < 0 for end in self.ended):
            while coming < len(self.table) and self.table.arrived[coming] <= now + 1e-12:
                self.waiting.append(coming)
                coming += 1
            self.choose()
            if self.decoding or self.prompts:
                now += self.step(now)
            else:
                now = self.table.arrived[coming]

    def choose(self) -> None:
        most, decoding, prompts, waiting = self.most, self.decoding, self.prompts, self.waiting
        while waiting and len(decoding) + len(prompts) < most.sequences:
            prompt = self.table.inputs[waiting[0]] + self.done[waiting[0]]
            if (decoding or prompts) and self.cached() + prompt + len(decoding) > most.cache_tokens:
                break
            prompts.append([waiting.pop(0), 0, prompt])
        while len(decoding) + len(prompts) > 1 and self.cached() + len(decoding) > most.cache_tokens:
            victim = prompts.pop()[0] if prompts else max(decoding)
            if victim in decoding:
                decoding.remove(victim)
            waiting.insert(0, victim)

    def step(self, now: float) -> float:
        budget, pieces = max(1, self.most.step_tokens - len(self.decoding)), []
        for one in self.prompts:
            piece = min(budget, one[2] - one[1])
            budget -= piece
            if piece:
                pieces.append((one, piece))
        times, tokens = self.times, sum(piece for _, piece in pieces) + len(self.decoding)
        memory = times.weights_s(tokens) + times.cached_token_s * self.cached()
        memory += times.window_s * len(self.decoding)
        pairs = sum(piece * (one[1] + piece / 2) for one, piece in pieces)
        took = times.overhead_s + max(memory, times.token_s * tokens + times.pair_s * pairs)
        for number in self.decoding:
            self.done[number] += 1
        for one, piece in pieces:
            one[1] += piece
            if one[1] == one[2]:
                self.prompts.remove(one)
                self.decoding.append(one[0])
                if not self.done[one[0]]:
                    self.first[one[0]] = now + took
                self.done[one[0]] += 1
        for number in [one for one in self.decoding if self.done[one] == self.table.outputs[one]]:
            self.decoding.remove(number)
            self.ended[number] = now + took
        return took


@settings(max_examples=100, deadline=None)
@given(st.lists(lengths, min_size=1, max_size=25), machines, limits)
def test_jumping_gives_the_times_that_counting_every_step_gives(
    drawn_lengths: list[tuple[float, int, int]], times: StepTime, most: BatchLimits
) -> None:
    table = table_of(drawn_lengths)
    replica = Replica(table, times, most)
    for number in range(len(table)):
        while replica.wake < table.arrived[number]:
            replica.proceed()
        replica.arrive(number, table.arrived[number])
    while replica.wake < math.inf:
        replica.proceed()
    counted = Counted(table, times, most)
    counted.run()
    assert list(table.first) == pytest.approx(counted.first, rel=1e-6)
    assert list(table.ended) == pytest.approx(counted.ended, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(lengths, min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(2, 4),
    st.floats(0, 20),
)
def test_no_request_and_no_second_is_lost_and_no_instance_is_billed_for_less_than_its_minute(
    drawn_lengths: list[tuple[float, int, int]], concurrency: int, least: int, most: int, start_s: float
) -> None:
    table = table_of(drawn_lengths)
    wanted = ServiceSettings(concurrency=concurrency, least=least, most=most, start_s=start_s)
    run = ScaledService(
        table, wanted, paced(0.2), BatchLimits(sequences=4, step_tokens=64, cache_tokens=500)
    ).run()
    done = [number for number in range(len(table)) if table.ended[number] >= 0]
    assert len(done) + run.refused == len(table)
    assert all(table.arrived[one] < table.first[one] <= table.ended[one] for one in done)
    answered = sum(table.ended[one] - table.arrived[one] for one in done)
    patience = max(PENDING_STARTS * start_s, PENDING_LEAST_S)
    assert run.in_service_s == pytest.approx(answered + run.refused * patience, rel=1e-9)
    assert least <= run.peak <= most
    assert len(run.lives) == run.starts
    assert all(end - start >= wanted.billed_minimum_s - 1e-9 for start, end in run.lives)
    assert run.busy_s <= run.billed_s() + 1e-6


def test_requests_out_of_order_are_refused() -> None:
    with pytest.raises(SpecError, match="request 2 cannot be"):
        request_table([Arrival(2.0, 1, 1), Arrival(1.0, 1, 1)])
