"""The agent's A2A interface, by the protocol's own SDK: it reads the card, and its client gets an answer. `make test-agents`."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from homeport import addresses
from homeport.agents.builtin import calculate
from homeport.agents.loop import AgentSetup
from homeport.agents.service.app import on_port
from homeport.agents.service.served import ServedAgent
from homeport.agents.tool import tool_of
from homeport.secret import Secret
from places import ROOT
from tool_script import ToolScript

PYTHON = ROOT / ".cache" / "adk" / "bin" / "python"
KEY = "hp-test"
ASKS = """
import asyncio
import json
import sys

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_message_text, new_text_message
from a2a.types.a2a_pb2 import Role, SendMessageRequest


async def ask(url, key):
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=300) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        client = ClientFactory(ClientConfig(httpx_client=http)).create(card)
        message = new_text_message("What is 6*7?", role=Role.ROLE_USER)
        said = []
        async for event in client.send_message(SendMessageRequest(message=message)):
            said.append(get_message_text(event.message))
        print(json.dumps({"name": card.name, "skills": [one.id for one in card.skills], "said": said}))


asyncio.run(ask(*sys.argv[1:]))
"""

pytestmark = pytest.mark.agents


def test_the_sdks_client_reads_the_card_and_is_answered(tmp_path: Path) -> None:
    async def asked(engine: ToolScript) -> tuple[str, str]:
        setup = AgentSetup(endpoint=engine.endpoint, tools=[tool_of(calculate, changes=False)])
        agent = ServedAgent(name="helper", setup=setup, key=Secret(KEY), transcripts=tmp_path)
        async with on_port(agent, addresses.listen(0, str)) as url:
            process = await asyncio.create_subprocess_exec(
                str(PYTHON), "-c", ASKS, url, KEY,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=dict(os.environ),
            )  # fmt: skip
            out, err = await process.communicate()
        return out.decode(), err.decode()

    with ToolScript([("calculate", {"expression": "6*7"})], "It is 42.") as engine:
        out, err = asyncio.run(asked(engine))
    assert out, err
    assert json.loads(out) == {"name": "helper", "skills": ["answer"], "said": ["It is 42."]}
