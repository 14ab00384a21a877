"""A bench of a trace says that its requests had the lengths of the trace, and no others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeport import sync
from homeport.bench import BenchOptions, BenchResult, bench, stored
from homeport.bench.bench import Served
from homeport.bench.comparison import compared
from homeport.bench.options import OpenLoad
from homeport.bench.page import page
from homeport.cli.bench import PROFILES, _open_load
from homeport.cli.bench_text import text
from homeport.errors import SpecError
from homeport.traffic import Arrival
from paced_bench import QUICK, endpoint_of, measured
from paced_server import Pace, PacedServer
from typist import Typist

TRACE = OpenLoad(
    title="mixed.csv, 20 s of it",
    of_trace=True,
    arrivals=(Arrival(0, 2, 4), Arrival(0.01, 60, 12), Arrival(0.02, 90, 4)),
)


@pytest.fixture(scope="module")
def result() -> BenchResult:
    with PacedServer(Pace(ttft_s=0.001, itl_s=0.001)) as server:
        return sync.run(bench(endpoint_of(server), replace(QUICK, users=(), open_load=TRACE)))


@pytest.fixture
def typist(tmp_path: Path) -> Typist:
    return Typist(tmp_path / "project")


def other(result: BenchResult, load: str = "", **setting: Any) -> BenchResult:  # Any: of Setting
    levels = tuple(replace(one, load=load or one.load) for one in result.levels)
    return replace(result, setting=replace(result.setting, **setting), levels=levels)


def test_its_setting_has_no_lengths_and_its_tokens_are_those_of_the_trace(result: BenchResult) -> None:
    assert (result.setting.input, result.setting.output) == (None, None)
    (level,) = result.levels
    assert (level.tokens.input, level.tokens.output) == (7 + 60 + 90, 4 + 12 + 4)


def test_the_terminal_and_the_page_call_them_as_the_trace(result: BenchResult) -> None:
    assert (
        "lengths as the trace, of prompts exactly (6 tokens of each are the chat template's) and of answers\n"
        in text(result)
    )
    assert "<td>prompts</td><td>lengths as the trace, exactly" in page(result)
    assert "<td>answers</td><td>lengths as the trace</td>" in page(result)
    assert not any("None" in shown for shown in (text(result), page(result)))


def test_prompts_that_had_to_be_longer_are_counted(result: BenchResult) -> None:
    (note,) = (one for one in result.levels[0].notes if "lengthened" in one)
    assert note.startswith(
        "1 of the trace's 3 prompts was lengthened to 7 tokens, the least that can be made"
    )
    assert note in text(result)


def test_the_warm_up_has_lengths_of_the_trace() -> None:
    with PacedServer(Pace(ttft_s=0.001, itl_s=0.001)) as server:
        sync.run(bench(endpoint_of(server), replace(QUICK, users=(), output=500, open_load=TRACE)))
    assert max(request["max_tokens"] for request in server.requests) == 12


def test_an_open_load_of_the_options_lengths_has_them_in_its_setting_and_makes_no_prompt_longer() -> None:
    arrivals = tuple(Arrival(at / 100, 60, 12) for at in range(12))
    setting = measured(
        users=(), open_load=OpenLoad(title="constant", of_trace=False, arrivals=arrivals)
    ).setting
    assert (setting.input, setting.output) == (60, 12)
    short = OpenLoad(title="constant", of_trace=False, arrivals=(Arrival(0, 3, 12),))
    with pytest.raises(SpecError, match="a prompt of 3 tokens cannot be made"):
        measured(users=(), input=3, open_load=short)


def test_a_trace_whose_requests_all_have_the_options_lengths_is_one_all_the_same() -> None:
    def at_times(*times: float) -> BenchResult:
        arrivals = tuple(Arrival(at_s, 60, 12) for at_s in times)
        load = OpenLoad(title="even.csv, 20 s of it", of_trace=True, arrivals=arrivals)
        with PacedServer(Pace(ttft_s=0.001, itl_s=0.001)) as server:
            return sync.run(bench(endpoint_of(server), replace(QUICK, users=(), open_load=load)))

    first = at_times(0, 0.01, 0.02)
    assert (first.setting.input, first.setting.output) == (None, None)
    with pytest.raises(SpecError, match="times or lengths of the traces differ"):
        compared(first, at_times(0, 0.01, 0.03))


def test_the_command_says_which_load_is_a_trace(tmp_path: Path) -> None:
    trace = tmp_path / "even.csv"
    trace.write_text("seconds,input,output\n0,256,64\n")
    how = {"seconds": 3.0, "repetitions": 1, "rate": 5.0, "faster": 1.0, "trace": trace, "seed": 0, "size": 8, "input": 256, "output": 64}  # fmt: skip
    said = {
        profile: _open_load(profile, how).of_trace
        for profile in PROFILES
        if profile not in {"sweep", "users"}
    }
    assert said == {"constant": False, "poisson": False, "burst": False, "ramp": False, "trace": True}


def test_two_benches_of_one_trace_are_compared_and_those_of_two_are_not(result: BenchResult) -> None:
    assert compared(result, result).figures
    with pytest.raises(SpecError, match="times or lengths of the traces differ"):
        compared(result, other(result, arrivals="sha256:other"))
    with pytest.raises(SpecError, match="input is as the trace in the first and 256 in the second"):
        compared(result, other(result, input=256, output=64))


def test_what_an_older_homeport_did_not_write_down_of_a_trace_is_told(result: BenchResult) -> None:
    older = other(result, arrivals=None)
    assert any("whether both had the same cannot be told" in note for note in compared(result, older).notes)
    with pytest.raises(SpecError, match="the traces differ"):
        compared(result, other(result, "other.csv, 20 s of it", arrivals=None))


@pytest.mark.parametrize(
    ("load", "read"),
    [
        ("mixed.csv, 20 s of it", (None, None)),
        ("mixed.csv, 20 s of it, 2.5 times as fast", (None, None)),
        ("poisson, 2 a second", (256, 64)),
    ],
)
def test_lengths_that_an_older_homeport_gave_a_trace_are_not_read(
    load: str, read: tuple[int | None, int | None], result: BenchResult, tmp_path: Path
) -> None:
    document: Any = other(result, load, input=256, output=64).as_json()  # Any: JSON
    file = tmp_path / "older.json"
    file.write_text(json.dumps(document))
    with_digest = stored.read(file).setting
    del document["setting"]["arrivals"]
    file.write_text(json.dumps(document))
    without = stored.read(file).setting
    assert (with_digest.input, with_digest.output) == (without.input, without.output) == read


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_lengths_beside_a_trace_are_refused(option: str, typist: Typist) -> None:
    (typist.folder / "trace.csv").write_text("seconds,input,output\n0,60,4\n")
    refused = typist.run("bench", "--trace", "trace.csv", option, "512", code=64)
    assert f"{option} is of --profile sweep" in refused.err


@pytest.mark.parametrize(
    ("lengths", "hint"),
    [((600, 8), "say --input 504 or less"), ((8, 600), "--input and --output of at most 512 together")],
)
def test_requests_longer_than_the_context_are_refused_before_anything_is_asked(
    lengths: tuple[int, int], hint: str
) -> None:
    options = BenchOptions(input=lengths[0], output=lengths[1])
    with PacedServer(Pace()) as server:
        with pytest.raises(SpecError, match="608 together, and the endpoint's context has 512") as refused:
            sync.run(bench(endpoint_of(server), options, served=Served(context=512)))
        assert hint in refused.value.hint
        assert not server.requests
