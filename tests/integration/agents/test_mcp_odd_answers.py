"""MCP servers whose answers are odd, and answers all the same: another kind of JSON, bytes that are no UTF-8; and one that sends from address to address."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from homeport.agents import mcp_servers
from homeport.agents.loop import AgentSetup, answer
from homeport.agents.transcript import Transcript, read
from homeport.errors import NetworkError
from homeport.sync import run
from hostile_mcp import HostileMcp
from places import TESTS
from tool_script import ToolScript

LIAR = f"{sys.executable} {TESTS / 'support' / 'lying_server.py'}"


async def allowed(*_: object) -> bool:
    return True


def result_of(server: str, path: Path) -> str:
    """What the model is told of the tool `add` of a server, in a run that ends with its answer."""

    async def work(engine: ToolScript) -> str:
        async with mcp_servers.opened([server], answer_within_s=120) as tools:
            setup = AgentSetup(endpoint=engine.endpoint, tools=tools, confirm=allowed)
            with Transcript(path) as transcript:
                return (await answer("What is 1 + 2?", setup, transcript)).answer

    with ToolScript([("add", {})], "I see.") as engine:
        assert run(work(engine)) == "I see."
        (result,) = engine.results()
        return str(result)


def test_json_of_another_name_is_taken_as_the_sdk_takes_it(tmp_path: Path) -> None:
    with HostileMcp().running() as server:
        assert result_of(server.address("call/json-rpc"), tmp_path / "t") == "3"


def test_a_server_that_has_moved_is_followed(tmp_path: Path) -> None:
    with HostileMcp().running() as server:
        assert result_of(server.address("moved"), tmp_path / "t") == "3"


def test_bytes_that_are_no_utf8_cost_a_letter_and_not_the_run(tmp_path: Path) -> None:
    assert result_of(f"{LIAR} latin-1", tmp_path / "t") == "J\ufffdrgen"
    assert read(tmp_path / "t")[-1]["outcome"] == "answered"


@pytest.mark.parametrize("path", ["loop", "call/loop"])
def test_a_server_that_sends_from_address_to_address_is_given_up_in_words(path: str, tmp_path: Path) -> None:
    with (
        HostileMcp().running() as server,
        pytest.raises(
            NetworkError, match=r"from address to address, 5 times and on.* the last is http://127"
        ),
    ):
        result_of(server.address(path), tmp_path / "t")
    methods = [method for _, method in server.asked]
    assert methods.count(methods[-1]) == 6
