"""homeport agent serve"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.cli.agent_options import (
    AgentOptions,
    budget_of,
    ensure_allowed_are_there,
    own_tools,
    price_of,
    servers_of,
)

if TYPE_CHECKING:
    from homeport.agents.calls import Confirm
    from homeport.agents.service.served import ServedAgent
    from homeport.agents.tool import Tool
    from homeport.json_types import Json
    from homeport.terminal import Terminal


def serve(terminal: Terminal, where: tuple[Path, str], how: AgentOptions, *, name: str, port: int) -> None:
    """Serve the agent that the options describe until Ctrl-C. Raises `PortTaken`, and what finding its endpoint raises."""
    from homeport import addresses, door, sync
    from homeport.agents import transcript
    from homeport.agents.loop import INSTRUCTIONS, AgentSetup, load
    from homeport.agents.service.app import until_cancelled
    from homeport.agents.service.served import ServedAgent
    from homeport.cli.session import agents_endpoint
    from homeport.home import find_home

    endpoint = agents_endpoint(terminal, how["name"], *where, anyway=how["anyway"])
    agent = ServedAgent(
        name=name,
        setup=AgentSetup(
            endpoint=endpoint,
            tools=own_tools(how),
            budget=budget_of(how),
            confirm=_confirm(terminal, how),
            instructions=INSTRUCTIONS if how["system"] is None else how["system"],
            temperature=how["temperature"],
            usd_per_hour=price_of(endpoint, how),
        ),
        mcp=servers_of(how),
        key=door.new_key(),
        transcripts=how["transcripts"] or transcript.folder(find_home()),
        tell=terminal.say,
    )
    listening = addresses.listen(
        port, lambda free: f"homeport agent serve --port {free}, or --port 0 for any"
    )

    async def served() -> None:
        load()
        await _ensure_servers(terminal, agent, how)
        await until_cancelled(agent, listening, lambda url: _greet(terminal, agent, url))

    with suppress(KeyboardInterrupt), listening, sync.ended_as_interrupted():
        sync.run(served())


async def _ensure_servers(terminal: Terminal, agent: ServedAgent, how: AgentOptions) -> None:
    """Raise what opening the MCP servers raises, and where what is allowed is not there, before anybody asks."""
    from homeport.agents import mcp_servers
    from homeport.agents.calls import by_name

    seconds = agent.setup.budget.tool_seconds
    try:
        async with mcp_servers.opened(agent.mcp, answer_within_s=seconds, progress=terminal) as foreign:
            ensure_allowed_are_there(how, [*by_name([*agent.setup.tools, *foreign]).values()])
    finally:
        terminal.close()


def _confirm(terminal: Terminal, how: AgentOptions) -> Confirm:
    async def confirm(tool: Tool, _: Mapping[str, Json], __: str) -> bool:
        if how["allow_changes"] or tool.name in how["allow"]:
            return True
        terminal.note(f"{tool.name} may change something, and was refused: --allow {tool.name} allows it")
        return False

    return confirm


def _greet(terminal: Terminal, agent: ServedAgent, url: str) -> None:
    from homeport.agents.service.card import CARD

    assert agent.key is not None
    tools = ", ".join(tool.name for tool in agent.setup.tools) or "no tools of its own"
    terminal.say(f"{agent.name} answers at {url}/v1, by {agent.setup.endpoint.model} with {tools}")
    terminal.say(f"its A2A card is at {url}{CARD}. Ctrl-C ends it. For a client:")
    variables = {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": agent.key.reveal(),
        "OPENAI_MODEL": agent.name,
    }
    terminal.secret_result(
        "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), variables
    )
