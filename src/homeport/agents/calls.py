"""Calls of tools: counted, confirmed, bounded in time and size, and kept from going round in circles."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeport.agents.budget import Budget, Spent
from homeport.agents.tool import Tool, ToolFailed
from homeport.agents.transcript import Transcript
from homeport.errors import AgentStopped, HomeportError, SpecError
from homeport.json_types import Json, JsonObject

LONGEST_RESULT = 32_768
"""Characters of a result that the model is given: more would push the question out of its context."""
SAME_CALLS = 3
"""So many times the same call with the same arguments is a circle: the model is told; once more, and the run ends."""
Confirm = Callable[[Tool, Mapping[str, Json], str], Awaitable[bool]]
"""Asks whether a tool that may change something may be run, with these arguments, for the call of this id."""


class CallOutcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    FAILED = "failed"
    """The tool said so, raised, or took too long."""
    REFUSED = "refused"
    """Nobody allowed it."""
    REPEATED = "repeated"
    """The same call for the third time: it was not run."""
    INVALID = "invalid"
    """There is no such tool, or its arguments were no JSON object: nothing was run."""


async def refuse(tool: Tool, arguments: Mapping[str, Json], call: str) -> bool:
    """Refuse every call that may change something: what is done where nobody can be asked."""
    return False


@dataclass(slots=True, kw_only=True)
class Calls:
    """Runs the calls of one run, one after the other, and writes each down."""

    tools: Mapping[str, Tool]
    budget: Budget
    spent: Spent
    transcript: Transcript
    confirm: Confirm = refuse
    told: set[str] = field(default_factory=set)
    """Ids of the calls that are written down."""
    _seen: Counter[str] = field(default_factory=Counter)

    async def call(self, name: str, arguments: JsonObject, call: str) -> str:
        """
        Return what the model is told of one call, which may be an error for it to read.

        Raises `AgentStopped` where the budget is spent, or the model goes round in circles.
        """
        self.spent.before_call(self.budget)
        self.spent.tool_calls += 1
        key = f"{name} {json.dumps(arguments, sort_keys=True)}"
        self._seen[key] += 1
        began = time.monotonic()
        if self._seen[key] > SAME_CALLS:
            raise AgentStopped(
                f"the model goes round in circles: it called {name} with the same arguments "
                f"{self._seen[key]} times, also after it was told that it does",
                hint="ask in other words, or serve a model that is better with tools",
            )
        if self._seen[key] == SAME_CALLS:
            outcome, content = CallOutcome.REPEATED, _circle(name)
        else:
            outcome, content = await self._run(self.tools[name], arguments, call)
        self.told.add(call)
        self.transcript.add(
            "result",
            id=call,
            name=name,
            arguments=arguments,
            outcome=outcome,
            content=content,
            seconds=round(time.monotonic() - began, 3),
        )
        return content

    async def _run(self, tool: Tool, arguments: JsonObject, call: str) -> tuple[CallOutcome, str]:
        # What a tool has said before is never looked at here: only the tool itself, and the person who is asked.
        if tool.changes and not await self.confirm(tool, arguments, call):
            return CallOutcome.REFUSED, (
                f"refused: {tool.name} may change something, and nobody allowed it. Do not try it again; "
                "say what you would have done."
            )
        limit = self.budget.tool_seconds
        try:
            async with asyncio.timeout(limit) as deadline:
                return CallOutcome.OK, result_text(await tool.run(arguments))
        except ToolFailed as error:
            return CallOutcome.FAILED, cut(f"error: {error}")
        except HomeportError:
            raise
        except TimeoutError as error:
            if not deadline.expired():
                return CallOutcome.FAILED, cut(f"error: TimeoutError: {error}")
            return CallOutcome.FAILED, f"error: {tool.name} did not end within {limit:g} s, and was given up"
        except Exception as error:  # noqa: BLE001 - whatever a tool raises, the model is told and the run goes on
            return CallOutcome.FAILED, cut(f"error: {type(error).__name__}: {error}")


def by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Return the tools by their names. Raises `SpecError` where two have one name."""
    named: dict[str, Tool] = {}
    for tool in tools:
        if tool.name in named:
            first, second = (one.origin or "this program" for one in (named[tool.name], tool))
            whose = f"both of {first}" if first == second else f"of {first} and of {second}"
            raise SpecError(
                f"two tools are called {tool.name}, {whose}", hint="leave one of them out, or rename it"
            )
        named[tool.name] = tool
    return named


def result_text(value: Any) -> str:  # Any: whatever a tool returns
    """Return a result as the model reads it. Raises `ToolFailed` for what is no text, and has none."""
    if isinstance(value, bytes | bytearray | memoryview):
        raise ToolFailed(f"the result is {len(value)} bytes of binary data, which a model cannot read")
    if isinstance(value, str):
        return cut(value)
    try:
        return cut(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        raise ToolFailed(f"the result is a {type(value).__name__}, which is neither text nor JSON") from None


def cut(text: str) -> str:
    """Return `text` with what JSON can carry, and no more of it than a model should be given."""
    length = len(text)
    text = text[:LONGEST_RESULT].encode("utf-8", errors="replace").decode()
    return text if length <= LONGEST_RESULT else f"{text}\n… (cut: {LONGEST_RESULT} of {length} characters)"


def _circle(name: str) -> str:
    return (
        f"not run: you have called {name} with these same arguments {SAME_CALLS} times. Its results are above. "
        "Use them to answer in words now, or call something else."
    )
