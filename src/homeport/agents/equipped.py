"""An agent with the tools of its MCP servers; where they cannot be had, the transcript of the question tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from homeport.agents import mcp_servers
from homeport.agents.calls import by_name
from homeport.agents.loop import AgentSetup, tell_not_begun
from homeport.agents.mcp_servers import McpServer
from homeport.agents.transcript import Transcript
from homeport.errors import HomeportError
from homeport.progress import Progress, Silent


@asynccontextmanager
async def equipped(
    setup: AgentSetup,
    servers: Sequence[str | McpServer],
    transcript: Transcript,
    *,
    question: str = "",
    progress: Progress | None = None,
) -> AsyncIterator[AgentSetup]:
    """
    Yield the agent with the tools of MCP servers as well, for as long as they are needed.

    Raises what `mcp_servers.opened` raises, and `SpecError` where two tools have one name. That is written down as the end of
    the `question`, where there is one.
    """
    begun = False
    try:
        async with mcp_servers.opened(
            servers, answer_within_s=setup.budget.tool_seconds, progress=progress or Silent()
        ) as foreign:
            tools = [*setup.tools, *foreign]
            by_name(tools)
            begun = True
            yield replace(setup, tools=tools)
    except (HomeportError, asyncio.CancelledError, KeyboardInterrupt) as error:
        if question and not begun:
            tell_not_begun(question, setup, transcript, error)
        raise
