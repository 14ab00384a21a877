"""A recorded run, once more: the real loop, with the model's answers and the tools' results from the transcript."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from homeport.agents import loop
from homeport.agents.budget import Budget
from homeport.agents.calls import CallOutcome
from homeport.agents.tool import Tool, ToolFailed
from homeport.agents.transcript import Transcript
from homeport.endpoint import Endpoint
from homeport.errors import AgentStopped, SpecError
from homeport.json_types import Json, JsonObject

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model as LoopModel
    from pydantic_ai.models.function import AgentInfo

Events = Sequence[Mapping[str, Json]]
"""Of one run, as `transcript.read` gives them."""


async def replay(events: Events, transcript: Transcript) -> loop.AgentResult:
    """
    Return what the recorded run comes to today. No engine is asked, no tool is run, and nobody is asked to allow one.

    Raises `AgentStopped` where it stops, as the recorded one did or otherwise: the message tells which.
    """
    begin = events[0]
    try:
        setup = loop.AgentSetup(
            endpoint=Endpoint(name=begin["endpoint"], base_url="http://127.0.0.1/v1", model=begin["model"]),
            tools=_tools(begin["tools"], events),
            budget=Budget(**{**begin["budget"], "seconds": max(begin["budget"]["seconds"], 60.0)}),
            confirm=_confirm(events),
            instructions=begin["instructions"],
        )
        question = str(begin["question"])
    except (KeyError, TypeError) as error:
        raise SpecError(f"the transcript lacks what a replay needs: {error}", hint="replay one as homeport wrote it") from error  # fmt: skip
    return await loop.answer(question, setup, transcript, model=_recorded(events))


def same_end(events: Events, again: Events) -> bool:
    """Return whether a replay's events end as the recorded ones: with the same outcome and the same answer."""
    ends = [
        (event["outcome"], event.get("answer", ""))
        for event in (*events[-1:], *again[-1:])
        if event["event"] == "end"
    ]
    return len(ends) == 2 and ends[0] == ends[1]


@asynccontextmanager
async def _recorded(events: Events) -> AsyncIterator[LoopModel]:
    from pydantic_ai.models.function import FunctionModel

    steps = deque(event for event in events if event["event"] == "step")
    last = next((str(event.get("error", "")) for event in events if event["event"] == "end"), "")

    async def next_step(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if not steps:
            raise AgentStopped(
                f"the recorded run ends here: {last or 'nobody wrote how'}",
                hint="`homeport agent run` asks the question again",
            )
        return _response(steps.popleft())

    yield FunctionModel(next_step, model_name=str(events[0]["model"]))


def _response(step: Mapping[str, Json]) -> ModelResponse:
    from pydantic_ai.messages import ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart
    from pydantic_ai.usage import RequestUsage

    parts: list[ModelResponsePart] = []
    if step["thought"]:
        parts.append(ThinkingPart(step["thought"]))
    if step["text"]:
        parts.append(TextPart(step["text"]))
    parts += [
        ToolCallPart(tool_name=call["name"], args=call["arguments"], tool_call_id=call["id"])
        for call in step["calls"]
    ]
    usage = RequestUsage(input_tokens=step["input_tokens"], output_tokens=step["output_tokens"])
    return ModelResponse(parts=parts, usage=usage, finish_reason=step.get("finish_reason"))


def _tools(described: Events, events: Events) -> list[Tool]:
    results: dict[str, deque[Mapping[str, Json]]] = defaultdict(deque)
    for event in events:
        if event["event"] == "result" and event["outcome"] in {CallOutcome.OK, CallOutcome.FAILED}:
            results[event["name"]].append(event)

    def tool(description: Mapping[str, Json]) -> Tool:
        async def run(arguments: JsonObject) -> str:
            if not results[description["name"]]:
                raise ToolFailed("the transcript holds no more results of this tool")
            result = results[description["name"]].popleft()
            if result["outcome"] == CallOutcome.FAILED:
                raise ToolFailed(result["content"].removeprefix("error: "))
            return str(result["content"])

        return Tool(**{**description, "run": run})

    return [tool(description) for description in described]


def _confirm(events: Events) -> Any:  # Any: a `Confirm`
    refused = {
        event["id"]
        for event in events
        if event["event"] == "result" and event["outcome"] == CallOutcome.REFUSED
    }

    async def confirm(tool: Tool, arguments: Mapping[str, Json], call: str) -> bool:
        return call not in refused

    return confirm
