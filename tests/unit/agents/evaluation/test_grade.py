"""What is right and what is wrong, judged from transcripts of the real loop with a brain that says what it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model
from pydantic_ai.models.function import AgentInfo, FunctionModel

from homeport.agents.evaluation.arguments import fits
from homeport.agents.evaluation.grade import TaskVerdict, says
from homeport.agents.evaluation.graded import ExpectedCall, GradedSet, GradedTask, OfferedTool
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.runner import Attempt, run_set
from homeport.endpoint import Endpoint
from homeport.sync import run

OBJECT = {"type": "object", "properties": {"name": {"type": "string"}}}
OFFERS = tuple(OfferedTool(name=one, description=one, parameters=OBJECT) for one in ("age", "room", "phone"))
ADA, BOB = ({"name": one} for one in ("Ada", "Bob"))
NOWHERE = Endpoint(name="nowhere", base_url="http://127.0.0.1/v1", model="told")
Step = str | list[tuple[str, Any]]


def attempted(calls: Any, *steps: Step, folder: Path, answer: tuple[str, ...] = ()) -> Attempt:
    """How a task with these `calls` ends where the brain takes `steps`, the last one for ever."""
    expected = tuple(tuple(ExpectedCall(tool=one[0], **one[1]) for one in step) for step in calls)
    task = GradedTask(id="t", category="c", question="?", offers=OFFERS, calls=expected, answer=answer)

    async def told(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = steps[min(sum(isinstance(one, ModelResponse) for one in messages), len(steps) - 1)]
        if isinstance(step, str):
            return ModelResponse(parts=[TextPart(step)])
        return ModelResponse(parts=[ToolCallPart(tool_name=name, args=given) for name, given in step])

    @asynccontextmanager
    async def brain() -> AsyncIterator[Model]:
        yield FunctionModel(told)

    graded = GradedSet(name="own", tasks=[task])
    (attempt,) = run(run_set(graded, lambda _: brain(), NOWHERE, EvalOptions(), folder / "t.jsonl"))
    return attempt


AGE = ("age", {"arguments": ADA, "returns": 36})
ROOM = ("room", {"arguments": ADA, "returns": "4.12"})


@pytest.mark.parametrize(
    ("calls", "steps", "verdict"),
    [
        ([[AGE]], [[("age", ADA)], "36"], TaskVerdict.RIGHT),
        ([[AGE]], ["36"], TaskVerdict.NO_CALL),
        ([[AGE]], [[("room", ADA)], "36"], TaskVerdict.WRONG_TOOL),
        ([[AGE]], [[("age", ADA), ("room", ADA)], "36"], TaskVerdict.WRONG_TOOL),
        ([[AGE]], [[("age", BOB)], "36"], TaskVerdict.WRONG_ARGUMENTS),
        ([[AGE]], [[("age", "{name")], [("age", ADA)], "36"], TaskVerdict.WRONG_ARGUMENTS),
        ([[AGE]], [[("age", BOB)], [("age", ADA)], "36"], TaskVerdict.EXTRA_CALL),
        ([[AGE]], [[("agee", ADA)], [("age", ADA)], "36"], TaskVerdict.NO_SUCH_TOOL),
        ([[AGE]], [[("age", ADA)]], TaskVerdict.EXTRA_CALL),
        ([[AGE]], [[("age", ADA)], ""], TaskVerdict.STOPPED),
        ([], ["Hello."], TaskVerdict.RIGHT),
        ([], [[("age", ADA)], "36"], TaskVerdict.UNWANTED_CALL),
        ([], [[("agee", ADA)], "36"], TaskVerdict.NO_SUCH_TOOL),
        ([[AGE, ROOM]], [[("room", ADA), ("age", ADA)], "36"], TaskVerdict.RIGHT),
        ([[AGE, ROOM]], [[("age", ADA)], [("room", ADA)], "36"], TaskVerdict.OTHER_ORDER),
        ([[AGE, ROOM]], [[("age", ADA)], "36"], TaskVerdict.WRONG_TOOL),
        ([[AGE], [ROOM]], [[("age", ADA)], [("room", ADA)], "36"], TaskVerdict.RIGHT),
        ([[AGE], [ROOM]], [[("room", ADA)], [("age", ADA)], "36"], TaskVerdict.OTHER_ORDER),
        ([[AGE], [ROOM]], [[("age", ADA), ("room", ADA)], "36"], TaskVerdict.OTHER_ORDER),
    ],
)
def test_a_run_is_judged_by_the_first_thing_that_is_wrong(
    calls: Any, steps: list[Step], verdict: TaskVerdict, tmp_path: Path
) -> None:
    assert attempted(calls, *steps, folder=tmp_path).verdict is verdict


def test_the_answer_has_to_say_what_was_returned_where_the_key_wants_it(tmp_path: Path) -> None:
    for said, verdict in (("Ada is **36**.", TaskVerdict.RIGHT), ("Ada is 35.", TaskVerdict.WRONG_ANSWER)):
        attempt = attempted([[AGE]], [("age", ADA)], said, answer=("36",), folder=tmp_path)
        assert attempt.verdict is verdict


def test_an_error_of_a_tool_is_told_and_the_same_call_may_then_succeed(tmp_path: Path) -> None:
    busy = ("age", {"arguments": ADA, "error": "busy"})
    attempted([[busy], [AGE]], [("age", ADA)], [("age", ADA)], "36", answer=("36",), folder=tmp_path)
    told = (tmp_path / "t.jsonl").read_text()
    assert told.index('"error: busy"') < told.index('"content": "36"')


def test_circles_are_counted_and_those_that_had_to_be_ended_apart(tmp_path: Path) -> None:
    same = [("age", ADA)]
    ended = attempted([[AGE]], same, folder=tmp_path)
    heeded = attempted([[AGE]], same, same, same, "36", folder=tmp_path)
    fine = attempted([[AGE]], same, same, "36", folder=tmp_path)
    assert [(one.looped, one.loop_stopped) for one in (ended, heeded, fine)] == [
        (True, True), (True, False), (False, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "given", "right"),
    [
        ({"n": 5}, {"n": 5.0}, True),
        ({"n": 5}, {"n": "5"}, False),
        ({"n": 1}, {"n": True}, False),
        ({"t": "New York"}, {"t": " new  york "}, True),
        ({"t": "New York"}, {"t": "York"}, False),
        ({"t": {"any_of": ["a", "b"]}}, {"t": "B"}, True),
        ({"t": {"any_of": ["a", None]}}, {}, True),
        ({"t": "a"}, {}, False),
        ({"t": "a"}, {"t": "a", "u": 1}, False),
        ({"l": [1, {"k": "V"}]}, {"l": [1, {"k": "v"}]}, True),
        ({"l": [1, 2]}, {"l": [2, 1]}, False),
        (None, {"anything": 1}, True),
        (None, "no object", False),
    ],
)
def test_arguments_are_compared_by_value_and_type(wanted: Any, given: Any, right: bool) -> None:
    assert fits(ExpectedCall(tool="a", arguments=wanted), "a", given) is right


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("There are 255,050 people.", "255050", True),
        ("There are 255 050.", "255050", True),
        ("It is 137.", "137", True),
        ("It is 137.0", "137", True),
        ("It is 1137", "137", False),
        ("It is 137.5", "137", False),
        ("It is 0.137", "137", False),
        ("At 21:16.", "21:16", True),
        ("At 21:16:30", "21:16", False),
        ("It costs 58.40 €", "58.4", True),
        ("It costs 58.41 €", "58.4", False),
        ("Ask `Jonas  Vik`!", "jonas vik", True),
        ("Jonas Viking", "Jonas Vik", False),
        ("\u22124 °C", "-4", True),
        ("whatever", "", True),
    ],
)
def test_numbers_and_names_are_found_only_as_wholes(text: str, answer: str, right: bool) -> None:
    assert says(text, (answer,) if answer else ()) is right
