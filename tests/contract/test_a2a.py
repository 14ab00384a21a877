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
from a2a.types.a2a_pb2 import GetTaskRequest, Role, SendMessageRequest


async def refused(work):
    try:
        return "not refused: " + str(await work)
    except Exception as error:
        return type(error).__name__


async def ask(url, key):
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=300) as http:
        card = await A2ACardResolver(http, url).get_agent_card()

        async def sent(task="", **config):
            client = ClientFactory(ClientConfig(httpx_client=http, **config)).create(card)
            message = new_text_message("What is 6*7?", role=Role.ROLE_USER)
            message.task_id = task
            return [get_message_text(one.message) async for one in client.send_message(SendMessageRequest(message=message))]

        told = {"name": card.name, "skills": [one.id for one in card.skills], "said": await sent()}
        told["of a task"] = await refused(sent(task="none"))
        told["for pictures"] = await refused(sent(accepted_output_modes=["image/png"]))
        client = ClientFactory(ClientConfig(httpx_client=http)).create(card)
        told["a task"] = await refused(client.get_task(GetTaskRequest(id="none")))
        card.capabilities.streaming = True  # as if the card said so: the client keeps from it otherwise
        told["a stream"] = await refused(sent(streaming=True))
        print(json.dumps(told))


asyncio.run(ask(*sys.argv[1:]))
"""

pytestmark = pytest.mark.agents


def test_the_sdks_client_reads_the_card_is_answered_and_knows_what_it_is_refused_for(tmp_path: Path) -> None:
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
    assert json.loads(out) == {
        "name": "helper",
        "skills": ["answer"],
        "said": ["It is 42."],
        "of a task": "TaskNotFoundError",
        "for pictures": "ContentTypeNotSupportedError",
        "a task": "TaskNotFoundError",
        "a stream": "UnsupportedOperationError",
    }
