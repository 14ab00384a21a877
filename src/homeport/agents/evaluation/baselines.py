"""Baselines: brains without a model, run through the same loop, by which a set and its chance are checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING

from homeport.agents.evaluation.arguments import usual
from homeport.agents.evaluation.graded import GradedTask
from homeport.json_types import JsonObject

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model as LoopModel
    from pydantic_ai.models.function import AgentInfo

Brain = Callable[[GradedTask], AbstractAsyncContextManager["LoopModel"]]
"""Opens the model that does a task."""
_Calls = list[tuple[str, JsonObject]]
"""Names and arguments, JSON."""
_Policy = Callable[[int], _Calls]
"""Returns the calls of a step, by its number from 0; none: it answers in words."""


class Baseline(StrEnum):
    """A brain without a model."""

    UNIFORM = "uniform"
    """Draws every choice from the offered tools and none, with the right arguments for each draw."""
    ALWAYS_NONE = "always_none"
    """Calls nothing."""
    ORACLE = "oracle"
    """Reads the key."""


def baseline(kind: Baseline, *, seed: int = 0) -> Brain:
    """Return the brain. The draws of `uniform` follow from `seed`."""
    random = Random(seed)  # noqa: S311 - a baseline, no secret

    def brain(task: GradedTask) -> AbstractAsyncContextManager[LoopModel]:
        def policy(step: int) -> _Calls:
            if kind is Baseline.UNIFORM:
                return _drawn(task, step, random)
            return _key(task, step) if kind is Baseline.ORACLE else []

        return _opened(task, kind, policy)

    return brain


def _key(task: GradedTask, step: int) -> _Calls:
    return [(call.tool, usual(call)) for call in task.calls[step]] if step < len(task.calls) else []


def _drawn(task: GradedTask, step: int, random: Random) -> _Calls:
    if step >= max(1, len(task.calls)):
        return []
    expected = task.calls[step] if task.calls else ()
    names: list[str | None] = [None, *(tool.name for tool in task.offers)]
    drawn = [name for name in random.choices(names, k=max(1, len(expected))) if name is not None]
    used: Counter[str] = Counter()
    calls: _Calls = []
    for name in drawn:
        right = [call for call in expected if call.tool == name]
        calls.append((name, usual(right[min(used[name], len(right) - 1)]) if right else {}))
        used[name] += 1
    return calls


@asynccontextmanager
async def _opened(task: GradedTask, kind: Baseline, policy: _Policy) -> AsyncIterator[LoopModel]:
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    async def answered(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        step = sum(isinstance(message, ModelResponse) for message in messages)
        calls = policy(step)
        if not calls:
            return ModelResponse(parts=[TextPart(task.answer[0] if task.answer else "That is all.")])
        return ModelResponse(
            parts=[ToolCallPart(tool_name=name, args=arguments) for name, arguments in calls]
        )

    yield FunctionModel(answered, model_name=kind)
