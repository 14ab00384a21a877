"""An evaluation as it is asked for from Python: on an engine that keeps to a script, over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from homeport.agents.evaluation import EvalOptions, EvalReport, evaluate
from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.comparison import Better, compared
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.page import page
from homeport.agents.evaluation.report import saved
from homeport.agents.evaluation.result import EvalResult, TaskOutcome
from homeport.agents.evaluation.words import labels, notes
from homeport.errors import EndpointError, HomeportError, NotRunning, SpecError
from homeport.home import find_home
from homeport.shapes import schema
from scripted_engine import Defect, EngineReply
from tool_script import ToolScript

TOOL: dict[str, Any] = {
    "tool": "age",
    "description": "Return somebody's age.",
    "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}
CALL = [("age", {"name": "Ada"})]


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """Two tasks that want a call, and one that wants none."""
    key = [[{"tool": "age", "arguments": {"name": "Ada"}, "returns": 36}]]
    task = {"category": "one_tool", "question": "How old is Ada?", "offers": ["age"], "calls": key}
    lines = [
        TOOL,
        {**task, "task": "a", "answer": ["36"]},
        {**task, "task": "b"},
        {**task, "task": "c", "category": "no_tool", "calls": []},
    ]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return str(path)


def reported(suite: str, *answers: Any, **more: Any) -> EvalReport:
    with ToolScript(*answers) as engine:
        return evaluate(engine.endpoint, suite, **more)


RIGHT = (CALL, "Ada is 36.", CALL, "Yes.", "Hello.")
WRONG = ("I do not know.",)


def test_what_is_right_is_counted_between_chance_and_the_oracle(suite: str) -> None:
    result = reported(suite, CALL, "Ada is 36.", "No idea.", "Hello.").result
    one_tool, no_tool = result.categories
    assert (one_tool.right, one_tool.tasks, one_tool.chance) == (1, 2, 0.5)
    assert (no_tool.right, no_tool.tasks) == (1, 1)
    assert (result.total.right, result.total.accuracy) == (2, 0.6667)
    assert result.total.low < result.total.accuracy < result.total.high
    assert not result.total.above_chance
    assert result.total.baselines[Baseline.ORACLE] == 3
    assert result.total.baselines[Baseline.ALWAYS_NONE] == 1
    assert [one.verdict.value for one in result.tasks] == ["right", "no_call", "right"]
    assert result.mean_input_tokens > 0
    assert (result.mean_usd, result.price) == (None, "not known: it needs a throughput")


def test_the_engine_is_asked_as_the_options_say(suite: str) -> None:
    with ToolScript(*RIGHT) as engine:
        evaluate(engine.endpoint, suite, options=EvalOptions(temperature=0.5))
        first = engine.requests[0]
    assert (first["temperature"], first["max_tokens"]) == (0.5, 1024)
    assert [one["function"]["name"] for one in first["tools"]] == ["age"]


def test_a_task_is_priced_by_its_tokens_where_a_million_has_a_price(suite: str) -> None:
    result = reported(
        suite, *RIGHT, options=EvalOptions(usd_per_million_tokens=2.0, price="of a test")
    ).result
    tokens = result.mean_input_tokens + result.mean_output_tokens
    assert result.mean_usd == pytest.approx(tokens * 2e-6, rel=1e-3)


def test_the_transcript_has_every_task_and_stays_where_transcripts_are(suite: str) -> None:
    path = Path(reported(suite, *RIGHT).result.transcript)
    assert path.parent == find_home().root / "transcripts"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["id"] for one in events if one["event"] == "task"] == ["a", "b", "c"]
    assert sum(one["event"] == "end" for one in events) == 3


def test_a_report_is_what_its_schema_says_and_is_read_again_as_it_was(suite: str, tmp_path: Path) -> None:
    import jsonschema

    report = reported(suite, *RIGHT)
    jsonschema.Draft202012Validator(schema("agent-eval")).validate(report.as_json())
    file = tmp_path / "kept.json"
    file.write_text(json.dumps(report.as_json()))
    again = reported(suite, *WRONG, against=saved(file))
    jsonschema.Draft202012Validator(schema("agent-eval")).validate(again.as_json())
    assert again.as_json()["against"] == report.as_json()["result"]
    assert again.comparison is not None
    assert (again.comparison.total.only_first, again.comparison.total.only_second) == (0, 2)


@pytest.mark.parametrize("content", ["", "{}", '{"error": "SpecError"}', '{"result": {"endpoint": 1}}'])
def test_what_is_no_kept_result_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text(content)
    with pytest.raises(SpecError, match="is no result of an evaluation") as caught:
        saved(tmp_path / "kept.json")
    assert "eval --json" in caught.value.hint
    with pytest.raises(SpecError, match="there is no"):
        saved(tmp_path / "none.json")


def test_two_endpoints_do_the_same_tasks(suite: str) -> None:
    with ToolScript(*RIGHT) as good, ToolScript(*WRONG) as bad:
        report = evaluate(good.endpoint, suite, against=bad.endpoint)
    assert report.against is not None
    assert report.comparison is not None
    assert (report.result.total.right, report.against.total.right) == (3, 1)
    assert report.comparison.total.only_first == 2
    assert report.comparison.total.better is Better.NOT_SHOWN  # Two tasks show nothing: p = 0.5.
    assert Path(report.against.transcript).is_file()
    assert report.against.transcript != report.result.transcript


def test_other_tasks_are_not_compared_and_no_endpoint_is_asked_first(suite: str) -> None:
    with ToolScript(*RIGHT) as engine:
        kept = evaluate(engine.endpoint, suite).result
        asked = len(engine.requests)
        with pytest.raises(SpecError, match="of other tasks"):
            evaluate(engine.endpoint, suite, only=["no_tool"], against=kept)
        assert len(engine.requests) == asked


def outcomes(kept: EvalResult, right: dict[str, tuple[int, int]]) -> EvalResult:
    """`kept` as if it had so many right of so many tasks, by category: the first ones."""
    tasks = [
        TaskOutcome(
            task=f"{name}-{place}", category=name, looped=False, chance=0.5, input_tokens=1, output_tokens=1,
            seconds=0.1, verdict=TaskVerdict.RIGHT if place < count else TaskVerdict.NO_CALL,
        )
        for name, (count, of) in right.items()
        for place in range(of)
    ]  # fmt: skip
    scores = [replace(kept.total, category=name) for name in right]
    return replace(kept, tasks=tasks, categories=scores)


def test_who_is_silent_is_above_chance_only_where_silence_is_and_it_is_said(tmp_path: Path) -> None:
    """A set in which no call is right most of the time flatters a model that never calls."""
    task = {"question": "Hello.", "offers": ["age"], "category": "c", "calls": []}
    wanted = {**task, "calls": [[{"tool": "age", "arguments": {"name": "Ada"}}]]}
    lines = [
        TOOL,
        *({**task, "task": f"n{one}"} for one in range(14)),
        *({**wanted, "task": f"w{one}"} for one in range(6)),
    ]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    suite = str(tmp_path / "own.jsonl")
    silent = reported(suite, "Hello.").result
    assert not silent.above_always_none
    assert any("14 of 20 right without any call" in line for line in notes(silent))
    able = reported(suite, *["Hello."] * 14, *[CALL, "Done."] * 6).result
    assert (able.total.right, able.above_always_none) == (20, True)
    assert not any("without any call" in line for line in notes(able))


def test_a_difference_is_told_only_where_it_is_beyond_chance(suite: str) -> None:
    kept = reported(suite, *RIGHT).result
    first = outcomes(kept, {"one_tool": (12, 12), "two_steps": (12, 12), "no_tool": (6, 12)})
    second = outcomes(kept, {"one_tool": (11, 12), "two_steps": (2, 12), "no_tool": (11, 12)})
    found = compared(first, second)
    assert [one.better.value for one in found.categories] == ["not_shown", "first", "not_shown"]
    two_steps = found.categories[1]
    assert (two_steps.both, two_steps.only_first) == (2, 10)
    assert two_steps.p_value == pytest.approx(2 / 1024, abs=1e-6)
    assert [one.better.value for one in compared(second, first).categories][1] == "second"


def test_an_endpoint_that_is_not_there_ends_it_in_one_message(suite: str) -> None:
    with ToolScript() as engine:
        endpoint = engine.endpoint
    with pytest.raises(NotRunning, match="nothing answers"):
        evaluate(endpoint, suite)


class Refusing(ToolScript):
    """Answers the first `times` requests with an error of this status."""

    def __init__(self, status: int, times: int) -> None:
        super().__init__(*WRONG)
        self._status = status
        self._times = times

    def _chat(self, request: Any) -> Any:
        if self._times:
            self._times -= 1
            return EngineReply(self._status, {"error": {"message": "cannot parse the output"}})
        return super()._chat(request)


def test_an_answer_that_the_engine_cannot_parse_is_a_wrong_one_and_the_others_are_asked(suite: str) -> None:
    with Refusing(500, 1) as engine:
        result = evaluate(engine.endpoint, suite).result
    assert [one.verdict.value for one in result.tasks] == ["refused", "no_call", "right"]


@pytest.mark.parametrize(("status", "times"), [(500, 99), (400, 99), (401, 1), (503, 1)])
def test_an_endpoint_that_refuses_from_the_beginning_is_no_model_to_judge(
    status: int, times: int, suite: str
) -> None:
    with Refusing(status, times) as engine, pytest.raises(EndpointError, match=str(status)):
        evaluate(engine.endpoint, suite)


class Parser(HTMLParser):
    """Collects whatever a page would fetch or run, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = ("src", "href", "action", "data", "srcset", "xlink:href")
        self.fetched += [f"{key}={value}" for key, value in attrs if key in names or key.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_shows_names_as_they_are(suite: str) -> None:
    result = reported(suite, *RIGHT).result
    odd = replace(result, model="<script>alert(1)</script>", endpoint='"><img src=x onerror=y>')
    read = Parser()
    text = page(EvalReport(result=odd, against=result, comparison=compared(odd, result)))
    read.feed(text)
    assert read.fetched == []
    assert not {"script", "img", "link", "iframe"} & set(read.tags)
    assert "url(" not in text
    assert "@import" not in text
    assert "<script>alert(1)</script>" in read.text
    for said in ("one_tool", "no_tool", "chance", "oracle", "3 of 3 right", "McNemar", "no difference shown"):
        assert said in read.text


def test_two_results_of_one_endpoint_are_told_apart_by_model_or_by_time(suite: str) -> None:
    result = reported(suite, *RIGHT).result
    other = replace(result, started_at="2027-01-01T00:00:00+00:00")
    assert labels(result, replace(result, endpoint="far")) == (result.endpoint, "far")
    assert labels(result, replace(result, model="small")) == (result.model, "small")
    assert labels(result, other) == ("this run", "run of 2027-01-01T00:00:00+00:00")


def test_an_endpoint_that_goes_away_half_way_leaves_what_was_done(suite: str) -> None:
    def goes(number: int) -> None:
        if number == 2:  # The first task is answered yet.
            engine.end()
            engine._defect = Defect.HANGS_UP

    with (
        ToolScript(*RIGHT, before=goes) as engine,
        pytest.raises(HomeportError, match=r"nothing answers|broke"),
    ):
        evaluate(engine.endpoint, suite)
    (path,) = (find_home().root / "transcripts").iterdir()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["outcome"] for one in events if one["event"] == "end"] == ["answered", "failed"]
