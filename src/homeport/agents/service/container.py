"""
The agent's process in its container on Cloud Run: `python3 -m homeport.agents.service.container --host … --port …`.

What it is stands in HOMEPORT_AGENT, where its model is in MODEL_URL. Who may ask it is up to Cloud Run's front end, before
it; it calls its model as the service's own account, whose tokens it has from the metadata server.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from homeport.agents.budget import Budget
from homeport.agents.builtin import builtin
from homeport.agents.calls import Confirm
from homeport.agents.loop import INSTRUCTIONS, AgentSetup, load
from homeport.agents.mcp_servers import McpServer
from homeport.agents.service.app import until_cancelled
from homeport.agents.service.served import ServedAgent
from homeport.agents.tool import Tool
from homeport.backoff import Backoff
from homeport.endpoint import Endpoint
from homeport.endpoint.auth import REDIRECTS
from homeport.endpoint.start import Start
from homeport.errors import HomeportError, SpecError
from homeport.google.credentials import GoogleIdentity, find
from homeport.json_types import Json
from homeport.secret import Secret, judged

_GRANT_SEEN_S = 420.0
"""As long as a grant may take to be seen: Google says two minutes, and sometimes seven (IAM, "access change propagation")."""
_STARTS_WITHIN_S = 3000.0
"""As long as a model may take from zero, and Cloud Run lets a request wait."""


async def agent_of(env: Mapping[str, str]) -> ServedAgent:
    """Return the agent that the variables describe. Raises `SpecError` where they do not, and `NoCredentials`."""
    try:
        described, url = json.loads(env["HOMEPORT_AGENT"]), env["MODEL_URL"]
    except (KeyError, ValueError) as error:
        raise SpecError(
            f"HOMEPORT_AGENT and MODEL_URL have to say which agent this is: {error!r}",
            hint="`homeport up --on cloudrun` sets both",
        ) from error
    credentials = await find(env)
    endpoint = Endpoint(
        name=described["name"],
        base_url=f"{url}/v1",
        model=described["model"],
        identity=GoogleIdentity(credentials, url),
        via=env.get("HOMEPORT_GOOGLE_URL", ""),
        headers=described.get("headers", {}),
        trusted=described.get("certificates", ""),
    )
    setup = AgentSetup(
        endpoint=endpoint,
        tools=[tool for name in described["tools"] for tool in builtin(name, Path())],
        budget=Budget(
            steps=described["max_steps"],
            tool_calls=described["max_tool_calls"],
            tokens=described["max_total_tokens"],
            seconds=described["max_seconds"],
            max_tokens=described["max_tokens"],
        ),
        confirm=_allowed(frozenset(described["allow"])),
        instructions=described["instructions"] or INSTRUCTIONS,
    )
    agent = ServedAgent(
        name=described["name"],
        setup=setup,
        mcp=[_server(url, described.get("mcp_tokens", {}), env) for url in described["mcp"]],
        key=None,
        tell=_tell,
    )
    backoff = Backoff(
        what="the right to call the model to be seen",
        within=_GRANT_SEEN_S,
        first=2.0,
        factor=1.5,
        longest=15.0,
    )
    return replace(agent, ready=lambda: _awake(endpoint, setup.start, backoff))


def _server(url: str, tokens: Mapping[str, str], env: Mapping[str, str]) -> str | McpServer:
    """Return the server with its token, where the file names a secret for it. Raises `SpecError` where that holds none."""
    variable = tokens.get(url)
    if variable is None:
        return url
    token = judged(
        env.get(variable, ""),
        called=f"the token for {url}",
        hint="add a version to its secret, on one line, and let a new instance start",
    )
    if token == Secret(""):
        raise SpecError(
            f"the secret that mcp_secrets names for {url} is empty", hint="add a version that holds the token"
        )
    return McpServer(url=url, token=token)


async def _awake(endpoint: Endpoint, start: Start, backoff: Backoff) -> None:
    """
    Wait until the model answers anything: Cloud Run keeps the request while it starts. A run tells what is wrong.

    429 and 503 are waited out until it has answered once: from then on Cloud Run keeps what it can serve, and a limit before it
    is the run's to tell. A refusal is waited out for as long as `backoff` allows, from the container's start on: the right to call was granted just
    before.
    """
    with suppress(HomeportError):
        async with endpoint.client(timeout_s=_STARTS_WITHIN_S) as client:
            client.auth = endpoint.auth(max_redirects=REDIRECTS, start=start)
            while (await client.get("/health")).status_code == 403 and await backoff.pause():
                pass


def _allowed(names: frozenset[str]) -> Confirm:
    async def confirm(tool: Tool, arguments: Mapping[str, Json], call: str) -> bool:
        if tool.name not in names:
            _tell(f"{tool.name} may change something, and was refused: `allow` of [agent] does not name it")
        return tool.name in names

    return confirm


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _serve(host: str, port: int, env: Mapping[str, str]) -> None:
    agent = await agent_of(env)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    load()
    with socket.create_server((host, port)) as listening, suppress(asyncio.CancelledError):
        await until_cancelled(
            agent, listening, lambda _: _tell(f"{agent.name} answers by {agent.setup.endpoint.model}")
        )


def main(arguments: list[str], env: Mapping[str, str]) -> int:
    """Serve until the container is to end; return its exit code."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    try:
        asyncio.run(_serve(options.get("--host", "127.0.0.1"), int(options.get("--port", "8080")), env))
    except HomeportError as error:
        sys.stderr.write(f"{error}\n   do: {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
