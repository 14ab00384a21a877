"""The tools of a task, as the loop runs them: each call is answered from what the task says, so every run is alike."""

from __future__ import annotations

import json
from typing import Any

from homeport.agents.evaluation.arguments import fits
from homeport.agents.evaluation.graded import ExpectedCall, GradedTask, OfferedTool
from homeport.agents.tool import Tool, ToolFailed


def scripted_tools(task: GradedTask) -> list[Tool]:
    """
    Return the offered tools for one run. A call that is expected comes to what the task says, in the order of the task
    where it is expected more than once; any other is an error that the model reads.
    """
    pending = [call for step in task.calls for call in step]
    done: list[ExpectedCall] = []

    def tool(offer: OfferedTool) -> Tool:
        async def run(arguments: dict[str, Any]) -> Any:  # Any: JSON
            call = next((call for call in pending if fits(call, offer.name, arguments)), None)
            if call is None:
                call = next((call for call in reversed(done) if fits(call, offer.name, arguments)), None)
            if call is None:
                raise ToolFailed(f"nothing is known of {json.dumps(arguments, ensure_ascii=False)}")
            if call in pending:
                pending.remove(call)
                done.append(call)
            if call.error:
                raise ToolFailed(call.error)
            return call.returns

        return Tool(
            name=offer.name,
            description=offer.description,
            parameters=offer.parameters,
            run=run,
            changes=False,
        )

    return [tool(offer) for offer in task.offers]
