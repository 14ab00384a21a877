"""A measurement that is wrong cannot be missed: servers that lie, streams that break, a client that is too slow."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from homeport.bench import BenchResult, bench
from homeport.bench.level import LevelResult
from homeport.errors import EndpointError, NotRunning, SpecError
from paced_bench import QUICK, endpoint_of, measured
from paced_server import Lie, Pace, PacedServer


def only(result: BenchResult) -> LevelResult:
    (one,) = result.levels
    return one


def said(result: BenchResult) -> str:
    """What makes it no result, apart from a busy machine's."""
    return "; ".join(one for one in only(result).doubts if "the client was the bottleneck" not in one)


def test_a_server_that_tells_the_truth_is_believed() -> None:
    result = measured()
    found = only(result)
    assert not said(result)
    assert found.tokens.counted
    assert found.tokens.chunks == found.tokens.output == 12 * found.requests.answered
    assert found.tokens.input_exact == found.requests.answered > 4
    assert not found.requests.failed


@pytest.mark.parametrize(
    ("lie", "says"),
    [
        (Lie.USAGE_MORE, "usage is wrong: .* the server counts another number .such as 13 of 12"),
        (Lie.USAGE_LESS, "usage is wrong: .* the server counts another number .such as 11 of 12"),
        (Lie.USAGE_HALF, "usage is wrong: .* the server counts another number .such as 6 of 12"),
    ],
)
def test_usage_that_is_wrong_makes_it_no_result(lie: Lie, says: str) -> None:
    assert re.search(says, said(measured(lie)))


def test_a_prompt_that_is_counted_one_token_less_makes_it_no_result() -> None:
    assert "prompts have another number of tokens" in said(measured(Lie.PROMPT_LESS, input=200))


def test_without_usage_chunks_are_taken_for_tokens_and_that_is_told() -> None:
    result = measured(Lie.NO_USAGE)
    found = only(result)
    assert found.tokens.output == found.tokens.chunks
    assert not found.tokens.counted
    assert not result.setting.exact_prompts
    assert any("a chunk is taken for a token" in note for note in found.notes)


def test_chunks_of_several_tokens_are_told_and_leave_the_time_of_a_token_right() -> None:
    found = only(measured(Lie.FOUR_A_CHUNK, pace=Pace(ttft_s=0.01, itl_s=0.005), output=24))
    assert found.tokens.output == 4 * found.tokens.chunks
    assert any("a chunk has 4.0 tokens" in note for note in found.notes)
    # Its first chunk has four tokens, as aiperf reckons: last - first is five gaps of chunks, and 23 tokens come after the first.
    chunk, token = found.latency["itl"].mean, found.latency["tpot"].mean
    assert token == pytest.approx(chunk * 5 / 23, rel=0.02)


@pytest.mark.parametrize(
    ("lie", "kind"),
    [
        (Lie.STALLS, "stalled: no piece for too long"),
        (Lie.ERROR_IN_THE_MIDDLE, "error in the middle of the stream"),
        (Lie.HANGS_UP_IN_THE_MIDDLE, "connection lost in the middle"),
        (Lie.FAILS, "error of the server (5xx)"),
        (Lie.NO_REASON, "stream ended without a reason to finish"),
    ],
)
def test_answers_that_break_are_counted_by_kind_and_make_it_no_result(lie: Lie, kind: str) -> None:
    result = measured(lie)
    assert only(result).requests.failed.get(kind)
    assert "requests failed" in said(result)


def test_a_stream_of_no_json_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(EndpointError, match="no stream of JSON"):
        measured(Lie.GARBAGE)


def test_a_word_of_two_tokens_is_found_and_left_out() -> None:
    result = measured(Lie.TWO_WORDS, input=90)
    assert only(result).tokens.input_exact == only(result).requests.answered


def test_a_server_that_knows_no_ignore_eos_is_measured_without_it() -> None:
    result = measured(Lie.REFUSES_EOS)
    assert not result.setting.ignores_eos
    assert only(result).requests.answered


def test_a_connection_that_the_server_had_closed_is_no_failure_and_is_counted() -> None:
    found = only(measured(Lie.CLOSES_IDLE))
    assert not found.requests.failed
    assert found.requests.answered > 4


def test_a_client_that_is_too_slow_makes_it_no_result() -> None:
    async def measured_beside_work() -> BenchResult:
        over = asyncio.Event()

        async def hog() -> None:
            while not over.is_set():
                until = time.perf_counter() + 0.03
                while time.perf_counter() < until:
                    pass
                await asyncio.sleep(0)

        task = asyncio.create_task(hog())
        with PacedServer(Pace(ttft_s=0.01, itl_s=0.001)) as server:
            result = await bench(endpoint_of(server), QUICK)
        over.set()
        await task
        return result

    result = asyncio.run(measured_beside_work())
    assert not result.valid
    assert any("the client was the bottleneck" in one for one in only(result).doubts)


def test_nobody_there_and_prompts_too_short_are_told_before_anything_is_measured() -> None:
    with PacedServer(Pace()) as server:
        gone = endpoint_of(server)
    with pytest.raises(NotRunning):
        asyncio.run(bench(gone, QUICK))
    with pytest.raises(SpecError, match="the chat template alone has 6"):
        measured(input=3)
