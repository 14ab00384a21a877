"""Tools of MCP servers: real ones, over stdio and streamable HTTP, and some that lie, die or dawdle."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from homeport.agents import bounded_answers, mcp_servers
from homeport.agents.budget import Budget
from homeport.agents.calls import LONGEST_RESULT
from homeport.agents.loop import AgentSetup, answer
from homeport.agents.mcp_servers import McpServer
from homeport.agents.transcript import Transcript, read
from homeport.cli.agent_options import servers_of
from homeport.errors import HomeportError, NetworkError, SpecError
from homeport.free_ports import free_port
from homeport.secret import Secret
from homeport.sync import run
from hostile_mcp import LONG, HostileMcp
from patience import until
from places import TESTS
from tool_script import ToolScript

SERVER = f"{sys.executable} {TESTS / 'support' / 'tool_server.py'}"
TOKEN = "open-sesame"
LIAR = f"{sys.executable} {TESTS / 'support' / 'lying_server.py'}"


async def allowed(*_: Any) -> bool:
    return True


def asked(engine: ToolScript, server: str | McpServer, path: Path, **more: Any) -> str:
    """What an agent answers that has the tools of `server`."""

    async def work() -> str:
        async with mcp_servers.opened([server], answer_within_s=120) as tools:
            setup = AgentSetup(endpoint=engine.endpoint, tools=tools, **{"confirm": allowed, **more})
            with Transcript(path) as transcript:
                return (await answer("What is 1 + 2?", setup, transcript)).answer

    return run(work())


def test_a_tool_over_stdio_is_called(tmp_path: Path) -> None:
    with ToolScript([("add", {"a": 1, "b": 2})], "Three.") as engine:
        assert asked(engine, SERVER, tmp_path / "t") == "Three."
        assert engine.results() == ["3"]


@pytest.fixture(scope="module")
def over_http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a real server is, begun once for these tests: with /mcp behind it for everybody, with /locked for who has `TOKEN`."""
    port = free_port("127.0.0.1")
    words = [*SERVER.split(), "http", str(port), TOKEN]
    environment = {**os.environ, "PYTHONPATH": str(TESTS / "support" / "guard")}
    log = tmp_path_factory.mktemp("over-http") / "log"  # a pipe that nobody reads would be full at last
    with log.open("wb") as file, subprocess.Popen(words, stderr=file, env=environment) as server:
        try:
            until(log.read_text, lambda said: "running on" in said or server.poll() is not None)
            assert server.poll() is None, log.read_text()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()


def test_a_tool_over_streamable_http_is_called(over_http: str, tmp_path: Path) -> None:
    with ToolScript([("add", {"a": 1, "b": 2})], "Three.") as engine:
        assert asked(engine, f"{over_http}/mcp", tmp_path / "t") == "Three."
        assert engine.results() == ["3"]


def test_a_server_that_wants_a_token_gets_it_and_without_it_nothing_is_begun(
    over_http: str, tmp_path: Path
) -> None:
    url = f"{over_http}/locked"
    with ToolScript([("add", {"a": 1, "b": 2})], "Three.") as engine:
        wants = servers_of({"mcp": (url,), "mcp_token": (f"{url}=env:T",)}, env={"T": TOKEN})
        assert asked(engine, wants[0], tmp_path / "t") == "Three."
        assert engine.results() == ["3"]
        assert TOKEN not in (tmp_path / "t").read_text()
        with pytest.raises(
            NetworkError, match="cannot be reached: it answers with HTTP status 401"
        ) as locked:
            asked(engine, url, tmp_path / "u")
        assert "--mcp-token" in locked.value.hint


def test_a_token_goes_to_no_command_and_to_no_address_in_clear(tmp_path: Path) -> None:
    with ToolScript([], "?") as engine:
        for server, words in ((SERVER, "is a command"), ("http://192.0.2.1/mcp", "everybody on the way")):
            with pytest.raises(SpecError, match=words):
                asked(engine, McpServer(url=server, token=Secret(TOKEN)), tmp_path / "t")
        assert engine.requests == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("https://a.example.com/mcp", "one of them is missing"),
        ("https://a.example.com/mcp=s3cret", "one of them is missing"),
        ("https://b.example.com/mcp=env:T", "no --mcp names that server"),
        ("https://a.example.com/mcp=env:NOT_SET", "NOT_SET, which is not set"),
    ],
)
def test_a_token_that_is_told_wrongly_is_one_clear_error_without_it(given: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as refused:
        servers_of({"mcp": ("https://a.example.com/mcp",), "mcp_token": (given,)}, env={})
    assert "s3cret" not in f"{refused.value}{refused.value.hint}"


def test_an_address_of_another_kind_is_not_taken_for_a_program(tmp_path: Path) -> None:
    for server in ("ftp://127.0.0.1/mcp", "HTTPS+x://127.0.0.1 serve"):
        with ToolScript("Hello.") as engine, pytest.raises(SpecError, match="is no address of an MCP server"):
            asked(engine, server, tmp_path / "t")


def test_a_server_that_calls_its_tool_harmless_is_not_believed(over_http: str, tmp_path: Path) -> None:
    """`add` says of itself that it only reads: that is a hint of a stranger's, so it asks all the same."""
    from homeport.agents.calls import refuse

    with ToolScript([("add", {"a": 1, "b": 2})], "I may not.") as engine:
        asked(engine, f"{over_http}/mcp", tmp_path / "t", confirm=refuse)
        assert engine.results()[0].startswith("refused: ")


def test_a_server_that_dies_in_the_middle_ends_the_run_in_one_message(tmp_path: Path) -> None:
    with (
        ToolScript([("die", {})]) as engine,
        pytest.raises(NetworkError, match="within the call of die") as caught,
    ):
        asked(engine, SERVER, tmp_path / "t")
    assert "out of luck" in str(caught.value)
    assert read(tmp_path / "t")[-1] == {**read(tmp_path / "t")[-1], "event": "end", "outcome": "failed"}


def test_a_slow_server_is_not_waited_for(tmp_path: Path) -> None:
    with ToolScript([("slow", {})], "Too slow.") as engine:
        assert asked(engine, SERVER, tmp_path / "t", budget=Budget(tool_seconds=0.3)) == "Too slow."
        assert engine.results() == ["error: slow did not end within 0.3 s, and was given up"]


def test_an_error_of_a_servers_tool_is_told_to_the_model(over_http: str, tmp_path: Path) -> None:
    with ToolScript([("fails", {})], "It failed.") as engine:
        asked(engine, f"{over_http}/mcp", tmp_path / "t")
        assert engine.results()[0].startswith("error: ")
        assert "fails" in engine.results()[0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no-schema", "is no JSON Schema"), ("name", "no name that models can call"), ("many", "more than 200 tools"),
        ("large", "bytes, and at most 65536 are shown to a model"),
        ("large-result", "the result of add wrongly: it has 70037 bytes, and at most 65536"),
        ("no-schema-result", "the result of add wrongly: it is no JSON Schema"),
        ("long-together", "at greater length than is looked at: all of them together have more parts, up to add"),
    ],
)  # fmt: skip
def test_a_server_that_lies_of_its_tools_is_refused_in_words(kind: str, said: str, tmp_path: Path) -> None:
    with ToolScript("Hello.") as engine, pytest.raises(SpecError, match=said):
        asked(engine, f"{LIAR} {kind}", tmp_path / "t")


def test_a_result_that_is_not_what_was_promised_is_told_to_the_model(tmp_path: Path) -> None:
    with ToolScript([("add", {})], "It lies.") as engine:
        assert asked(engine, f"{LIAR} output", tmp_path / "t") == "It lies."
        assert engine.results()[0].endswith('not what it promised: $ is not of required ["sum"]')


@pytest.mark.parametrize("kind", ["expression", "branches", "circle"])
def test_no_result_is_held_against_what_was_promised_for_ever(kind: str, tmp_path: Path) -> None:
    """What would be looked at until the sun is cold is looked at for a moment, and then given to the model as it came."""
    with ToolScript([("add", {})], "I see.") as engine:
        assert asked(engine, f"{LIAR} {kind}", tmp_path / "t", budget=Budget(tool_seconds=600)) == "I see."
        assert engine.results() == ["3"]


def test_a_server_may_be_longer_in_beginning_than_in_any_other_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a second to begin, and never tells its tools: by the bound of an answer neither would be waited for."""
    monkeypatch.setattr(mcp_servers, "_ANSWERS_WITHIN_S", 0.5)

    async def work() -> None:
        async with mcp_servers.opened([f"{LIAR} late"], answer_within_s=0.5):
            raise AssertionError("it has told no tools")

    with pytest.raises(NetworkError, match="does not tell its tools: it does not answer in time"):
        run(work())


def test_all_pages_of_tools_together_are_waited_for_no_longer_than_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each page comes in time, and there is always one more."""
    monkeypatch.setattr(mcp_servers, "_ANSWERS_WITHIN_S", 0.5)

    async def work() -> None:
        async with mcp_servers.opened([f"{LIAR} endless-pages"], answer_within_s=0.5):
            raise AssertionError("it has told no end of its tools")

    with pytest.raises(NetworkError, match="does not tell its tools: it does not answer in time"):
        run(work())


KILLED = """
import asyncio, sys
from homeport.agents import mcp_servers

async def work():
    async with mcp_servers.opened([sys.argv[1]], answer_within_s=120) as (add,):
        await asyncio.sleep(3600)

asyncio.run(work())
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process that the one that began it is gone"
)
def test_a_server_that_does_not_read_its_stdin_ends_where_homeport_is_killed(tmp_path: Path) -> None:
    deaf = tmp_path / "deaf"
    with subprocess.Popen([sys.executable, "-c", KILLED, f"{LIAR} deaf {deaf}"]) as homeport:
        try:
            until(deaf.exists)
            server = psutil.Process(int(deaf.read_text()))
            assert server.ppid() == homeport.pid
        finally:
            homeport.kill()
    _, left = psutil.wait_procs([server], timeout=30)
    for one in left:
        one.kill()
    assert not left


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process ignores")
def test_a_server_ignores_no_signal_that_python_ignores(tmp_path: Path) -> None:
    status = tmp_path / "status"
    server = f"sh -c 'cat /proc/self/status > {status}'"
    with ToolScript("Hello.") as engine, pytest.raises(NetworkError):
        asked(engine, server, tmp_path / "t")
    [ignored] = [line for line in status.read_text().splitlines() if line.startswith("SigIgn:")]
    for python_ignores in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not int(ignored.split()[1], 16) >> (python_ignores - 1) & 1


def test_a_server_that_cannot_be_begun_is_told_with_the_systems_words(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_bytes(b"\x7fELF of no machine")
    program.chmod(0o755)
    with ToolScript("Hello.") as engine, pytest.raises(NetworkError, match="Exec format error"):
        asked(engine, str(program), tmp_path / "t")


def test_an_error_of_a_servers_own_is_told_as_such_whatever_its_number(tmp_path: Path) -> None:
    with ToolScript([("add", {})], "I see.") as engine:
        assert asked(engine, f"{LIAR} refuses", tmp_path / "t") == "I see."
        assert engine.results() == ["error: the MCP server says: out of luck"]


def test_a_result_that_is_none_is_told_in_words_of_ours(tmp_path: Path) -> None:
    with ToolScript([("add", {})], "I see.") as engine:
        assert asked(engine, f"{LIAR} no-result", tmp_path / "t") == "I see."
        (told,) = engine.results()
    assert told == (
        "error: the MCP server's result cannot be used: the answer is none of MCP's: content: Input should be a valid list"
    )


def told_whole(server: str, tool: str, path: Path) -> str:
    """What the model is told of the result of a tool that ended well."""
    with ToolScript([(tool, {})], "I see.") as engine:
        assert asked(engine, server, path, budget=Budget(tool_seconds=300)) == "I see."
        (result,) = engine.results()
    assert len(result) < LONGEST_RESULT + 100
    assert [one["outcome"] for one in read(path) if one["event"] == "result"] == ["ok"]
    return result


def test_ten_megabytes_are_cut_and_told_to_be(tmp_path: Path) -> None:
    told = told_whole(SERVER, "large", tmp_path / "t")
    assert told.endswith(f"(cut: {LONGEST_RESULT} of 10000000 characters)")


def test_a_picture_is_told_as_what_it_is(over_http: str, tmp_path: Path) -> None:
    told = told_whole(f"{over_http}/mcp", "picture", tmp_path / "t")
    assert told.endswith("(a block of type image, which is no text)")


@pytest.fixture
def hostile() -> Iterator[HostileMcp]:
    with HostileMcp().running() as server:
        yield server


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("endless", "more than 1048576 bytes"),
        ("endless-event", "more than 1048576 bytes"),
        ("packed", "packed \\(gzip\\), which was not asked for"),
        ("elsewhere", "not followed"),
        ("page", "text/html"),
        ("no-json", "reached: the answer is no message of JSON-RPC$"),
        ("no-json-event", "reached: the answer is no message of JSON-RPC$"),
    ],
)
def test_an_answer_without_an_end_packed_or_from_elsewhere_is_refused_in_words(
    hostile: HostileMcp, kind: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", 2**20)
    with ToolScript("Hello.") as engine, pytest.raises(NetworkError, match=said):
        asked(engine, hostile.address(kind), tmp_path / "t")
    assert {path for path, _ in hostile.asked} == {kind}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("endless", "the call of add: an answer has more than 1048576 bytes"),
        ("endless-event", "the call of add: an answer has more than 1048576 bytes"),
        ("cut", "the call of add: peer closed connection"),
        ("hung-up", "the call of add: Server disconnected"),
        ("packed", "the call of add: the answer is packed \\(gzip\\), which was not asked for"),
        ("elsewhere", "the call of add: it sends to http://127.0.0.1:9/mcp, which is not followed"),
        ("page", "the call of add: the answer is text/html, which is neither JSON"),
        ("cut-way", "the call of add: peer closed connection"),
    ],
)
def test_a_result_without_an_end_cut_or_packed_ends_the_run_in_words_and_nothing_more_is_asked(
    hostile: HostileMcp,
    kind: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", 2**20)
    with monkeypatch.context() as as_in_a_terminal, ToolScript([("add", {})], "Never said.") as engine:
        as_in_a_terminal.setattr(logging.root, "handlers", [])  # pytest's
        with pytest.raises(NetworkError, match=said) as refused:
            asked(engine, hostile.address(f"call/{kind}"), tmp_path / "t")
    assert capsys.readouterr().err == "", "one message, and no traceback of the SDK's beside it"
    assert hostile.address(f"call/{kind}") in str(refused.value)
    assert [method for _, method in hostile.asked][-2:] == ["tools/list", "tools/call"]
    last = read(tmp_path / "t")[-1]
    assert (last["event"], last["outcome"]) == ("end", "failed")
    assert re.search(said, last["error"])


@pytest.mark.parametrize("server", [SERVER, "over HTTP"])
def test_an_error_of_ones_own_connection_is_not_laid_to_a_server(server: str, over_http: str) -> None:
    async def work() -> None:
        address = f"{over_http}/mcp" if server == "over HTTP" else server
        async with mcp_servers.opened([address], answer_within_s=120):
            raise httpx2.ReadError("of something else")

    with pytest.raises(httpx2.ReadError, match="of something else"):
        run(work())


def test_a_result_of_megabytes_in_one_event_is_cut_and_told_to_be(
    hostile: HostileMcp, tmp_path: Path
) -> None:
    told = told_whole(hostile.address("call/event"), "add", tmp_path / "t")
    assert told.endswith(f"(cut: {LONGEST_RESULT} of {LONG} characters)")


@pytest.mark.parametrize("kind", ["no-json", "no-json-event"])
def test_a_result_that_is_no_message_is_told_to_the_model_without_it(
    hostile: HostileMcp, kind: str, tmp_path: Path
) -> None:
    with ToolScript([("add", {})], "I see.") as engine:
        assert asked(engine, hostile.address(f"call/{kind}"), tmp_path / "t") == "I see."
        (told,) = engine.results()
    assert told == "error: the MCP server failed: the answer is no message of JSON-RPC"


def test_a_server_may_tell_much_before_its_result_and_nothing_of_it_is_written_to_the_terminal(
    hostile: HostileMcp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", 2**20)
    with monkeypatch.context() as as_in_a_terminal:
        as_in_a_terminal.setattr(logging.root, "handlers", [])  # pytest's
        assert told_whole(hostile.address("call/chatty"), "add", tmp_path / "t") == "3"
    assert capsys.readouterr().err == ""


def test_what_others_log_is_told_while_a_server_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The SDK logs as `client`, which is nobody's name."""
    before = [(logging.getLogger(name).handlers[:], logging.getLogger(name).filters[:]) for name in ("mcp", "client")]  # fmt: skip

    async def work() -> None:
        async with mcp_servers.opened([SERVER], answer_within_s=120):
            logging.getLogger("client").warning("of a client of mine")

    with monkeypatch.context() as as_in_a_terminal:
        as_in_a_terminal.setattr(logging.root, "handlers", [])  # pytest's
        run(work())
    assert capsys.readouterr().err == "of a client of mine\n"
    assert before == [(logging.getLogger(name).handlers, logging.getLogger(name).filters) for name in ("mcp", "client")]  # fmt: skip


def test_of_much_that_a_server_wrote_only_the_end_is_kept_and_none_on_a_disk(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with (
            ToolScript([("add", {})]) as engine,
            pytest.raises(NetworkError, match="out of luck, into a pipe"),
        ):
            asked(engine, f"{LIAR} loud", tmp_path / "t", budget=Budget(tool_seconds=600))
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20  # It wrote 50.
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["endless", "endless-call"])
def test_a_line_without_an_end_over_stdio_ends_the_server_in_words(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", 2**20)
    with (
        ToolScript([("add", {})], "Never said.") as engine,
        pytest.raises(NetworkError, match="more than 1048576 bytes, and was given up"),
    ):
        asked(engine, f"{LIAR} {kind}", tmp_path / "t")


@pytest.mark.parametrize(
    "server",
    ["no-such-program-anywhere", f"{sys.executable} -c pass", "http://127.0.0.1:9/mcp", "'unbalanced"],
)
def test_a_server_that_is_not_there_is_one_clear_error(server: str, tmp_path: Path) -> None:
    with ToolScript("Hello.") as engine, pytest.raises(HomeportError, match=r"MCP server|neither an http"):
        asked(engine, server, tmp_path / "t")


@pytest.mark.parametrize("mistyped", ["http:/me:hidden@127.0.0.1/mcp", "me:hidden@127.0.0.1/mcp"])
def test_an_address_that_is_mistyped_and_so_a_command_is_told_without_its_password(mistyped: str) -> None:
    async def look() -> None:
        async with mcp_servers.opened([mistyped], answer_within_s=5):
            pass

    with pytest.raises(NetworkError, match="there is no program") as told:
        run(look())
    assert "hidden" not in f"{told.value} {told.value.hint}"
