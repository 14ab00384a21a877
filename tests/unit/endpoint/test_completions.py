"""An endpoint that answers with something else than a chat completion is told as that, whoever reads it."""

from __future__ import annotations

from typing import Any

import pytest

from homeport.endpoint import Endpoint
from homeport.endpoint.completions import AnswerEnd, message_of, pieces_of, text_of
from homeport.errors import NetworkError
from homeport.json_types import JsonObject

LIES: list[JsonObject] = [
    {},
    {"choices": []},
    {"choices": None},
    {"choices": {"0": {}}},
    {"choices": ["Paris"]},
    {"choices": [{}]},
    {"choices": [{"message": None}]},
    {"choices": [{"message": "Paris"}]},
    {"choices": [{"message": {"content": ["Paris"]}}]},
]


@pytest.mark.parametrize("answer", LIES)
def test_what_is_no_completion_is_told_with_what_came(
    answer: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answered(*_: Any, **__: Any) -> JsonObject:  # Any: as `answer` takes them
        return answer

    monkeypatch.setattr(Endpoint, "answer", answered)
    endpoint = Endpoint(name="home", base_url="http://127.0.0.1:1/v1", model="m")
    with pytest.raises(NetworkError, match=r"with no chat completion: \{") as told:
        endpoint.ask("What is the capital of France?")
    assert "homeport verify" in told.value.hint


def test_a_message_without_text_has_none() -> None:
    completion: JsonObject = {
        "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": []}}]
    }
    assert text_of(completion) == ""
    assert message_of(completion)["tool_calls"] == []


@pytest.mark.parametrize(
    "chunk", [{"choices": "x"}, {"choices": [{}]}, {"choices": [{"delta": "Paris"}]}, {"choices": [{"delta": {"content": 1}}]}]
)  # fmt: skip
def test_a_chunk_that_is_none_is_told_too(chunk: JsonObject) -> None:
    with pytest.raises(NetworkError, match="with no chat completion"):
        list(pieces_of(chunk))


def test_a_chunk_of_usage_has_no_pieces_and_each_choice_has_one() -> None:
    assert list(pieces_of({"choices": [], "usage": {}})) == []
    assert list(pieces_of({"usage": {}})) == []
    assert list(pieces_of({"choices": [{"delta": {"content": "Pa"}}, {"delta": {}}]})) == ["Pa", ""]


def test_an_answer_that_the_context_cut_is_told_and_one_that_was_asked_to_be_so_short_is_not() -> None:
    full = _end(
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"completion_tokens": 30}},
    )
    assert (
        full.why_cut(None)
        == "the answer is cut after 30 tokens: the context is full; `context` of [engine] raises it"
    )
    assert full.why_cut(31) == full.why_cut(None)
    assert full.why_cut(30) == ""
    uncounted = _end({"choices": [{"finish_reason": "length"}], "usage": None})
    assert (
        uncounted.why_cut(None) == "the answer is cut: the context is full; `context` of [engine] raises it"
    )
    assert uncounted.why_cut(30) == "the answer is cut: so many tokens were asked for, or the context is full"


@pytest.mark.parametrize(
    "answer", [*LIES, {"choices": [{"finish_reason": "stop"}], "usage": {"completion_tokens": 3}}]
)
def test_of_what_ended_by_itself_or_is_no_completion_nothing_is_said_to_be_cut(answer: JsonObject) -> None:
    assert _end(answer).why_cut(None) == ""


def _end(*answers: JsonObject) -> AnswerEnd:
    end = AnswerEnd()
    for answer in answers:
        end.read(answer)
    return end
