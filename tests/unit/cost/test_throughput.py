"""Without a figure of the user's, a price rests on the newest bench that is one of an instance, and says which."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeport.bench import BenchResult, stored
from homeport.bench.result import KneeResult
from homeport.cli import cost_text
from homeport.cost.answer import CostAnswer, Question, answer
from homeport.home import Home
from paced_bench import measured

SPEC = 'name = "mine"\nmodel = "gemma-3-270m"\n[engine]\nkind = "vllm"\n[cloudrun]\nproject = "my-project"\n'


@pytest.fixture(scope="module")
def result() -> BenchResult:
    """A bench that is a result, whatever this machine was busy with."""
    whole = measured()
    return replace(
        whole,
        levels=tuple(replace(one, doubts=()) for one in whole.levels),
        knee=KneeResult(users=2, goodput=1.0, searched=True, why=""),
    )


def priced(
    tmp_path: Path, result: BenchResult, *, speed: float | None = None, **setting: object
) -> CostAnswer:
    home, file = Home(tmp_path / "home"), tmp_path / "homeport.toml"
    file.write_text(SPEC)
    told = {
        "endpoint": "mine",
        "on": "cloudrun",
        "engine": "vllm",
        "model": "gemma-3-270m",
        "gpu": "nvidia-l4",
        "max_instances": 1,
        "rehearsed": False,
        **setting,
    }
    stored.keep(home, replace(result, setting=replace(result.setting, **told)))  # type: ignore[arg-type]
    question = Question(
        wanted={}, engine=None, tokens_per_day=None, tokens_per_second=speed, wakes=12, versus=None,
        input_share=None, prices=None, home=home,
    )  # fmt: skip
    return answer(None, file, question)


def test_the_newest_bench_of_one_instance_gives_the_price_of_a_million_tokens(
    tmp_path: Path, result: BenchResult
) -> None:
    found = priced(tmp_path, result)
    assert result.best is not None
    speed = result.best.rates["total_tokens"].mean
    assert found.cost.tokens is not None
    assert found.cost.tokens.used.value == pytest.approx(1e6 / speed / 3600 * found.hourly.total)
    assert f"tokens/s (bench of {result.setting.started_at}, 2 users" in cost_text.text(found, explain=False)


def test_a_figure_of_the_users_comes_first(tmp_path: Path, result: BenchResult) -> None:
    found = priced(tmp_path, result, speed=123.0)
    assert found.throughput.tokens_per_second == 123
    assert "(your figure)" in cost_text.text(found, explain=False)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"on": "local"}, "one of this machine"),
        ({"on": "local", "rehearsed": None}, "one of this machine"),
        ({"rehearsed": True}, "one of a rehearsal"),
        ({"rehearsed": None}, "did not write down whether it was rehearsed"),
        ({"engine": "ollama"}, "is of ollama"),
        ({"model": "gemma-3-1b"}, "is of gemma-3-1b, not of gemma-3-270m"),
        ({"gpu": "nvidia-rtx-pro-6000"}, "is of nvidia-rtx-pro-6000, not of nvidia-l4"),
        ({"gpu": None}, "does not say on which GPU it was"),
        ({"max_instances": 3}, "more than one instance"),
        ({"max_instances": None}, "more than one instance"),
    ],
)
def test_a_bench_that_is_none_of_this_instance_is_not_taken_and_that_is_told(
    setting: dict[str, Any], says: str, tmp_path: Path, result: BenchResult
) -> None:
    found = priced(tmp_path, result, **setting)
    assert found.cost.tokens is None
    assert says in cost_text.text(found, explain=False)


def test_a_bench_without_a_knee_does_not_tell_what_a_busy_instance_does(
    tmp_path: Path, result: BenchResult
) -> None:
    found = priced(tmp_path, replace(result, knee=None))
    assert found.cost.tokens is None
    assert "no knee, where an instance gives the most" in cost_text.text(found, explain=False)


def test_a_bench_that_found_no_knee_is_not_taken_and_says_why_and_how_to_get_one(
    tmp_path: Path, result: BenchResult
) -> None:
    why = "goodput still grew there, and more were not asked for"
    bench = replace(result, knee=KneeResult(users=2, goodput=1.0, searched=False, why=why))
    found = priced(tmp_path, bench)
    assert found.cost.tokens is None
    assert f"up to 2 users: {why}" in bench.said_of_knee
    assert f"where an instance gives the most. {bench.said_of_knee} One that" in found.throughput.source
    assert "`homeport bench --on cloudrun` with more --users or --seconds" in found.throughput.source


def test_a_bench_that_is_no_result_is_not_taken(tmp_path: Path, result: BenchResult) -> None:
    doubtful = replace(result, levels=tuple(replace(one, doubts=("wrong",)) for one in result.levels))
    assert priced(tmp_path, doubtful).cost.tokens is None


def test_a_file_of_before_rehearsals_were_written_down_does_not_tell_whether_it_is_of_one(
    tmp_path: Path, result: BenchResult
) -> None:
    document = result.as_json()
    setting = document["setting"]
    assert isinstance(setting, dict)
    del setting["rehearsed"]
    setting["on"] = "cloudrun"
    file = tmp_path / "old.json"
    file.write_text(json.dumps(document))
    read = stored.read(file)
    assert (read.setting.rehearsed, read.setting.where) == (None, "cloudrun, perhaps rehearsed")
