"""Our tools as the library of the loop takes them: it chooses nothing, and runs tools only through `Calls`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

if TYPE_CHECKING:
    from pydantic_ai import RunContext

    from homeport.agents.calls import Calls

_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))
MENDED = 2
"""How often the model may mend a call of a tool that is not there, or whose arguments are no JSON."""


class Bounded(AbstractToolset[None]):
    """The tools of one run."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    @property
    def id(self) -> str:
        """Return the name that tells this toolset from others."""
        return "homeport"

    async def get_tools(self, ctx: RunContext[None]) -> dict[str, ToolsetTool[None]]:
        """Return the tools, as the model is told of them. They run one after the other."""
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=name,
                    description=tool.description,
                    parameters_json_schema=dict(tool.parameters),
                    sequential=True,
                ),
                max_retries=MENDED,
                args_validator=_OBJECT,
            )
            for name, tool in self._calls.tools.items()
        }

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[None],
        tool: ToolsetTool[None],  # Any: JSON
    ) -> str:
        """Return what the model is told of a call. Raises as `Calls.call` does."""
        return await self._calls.call(name, tool_args, ctx.tool_call_id or "")
