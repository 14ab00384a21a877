"""An address that no request could be sent to is told where it is given, by its name, and not by a traceback later."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.addresses import ensure_address, shown
from homeport.agents.mcp_servers import opened
from homeport.agents.project import write_project
from homeport.endpoint import Endpoint
from homeport.errors import HomeportError, NetworkError, SpecError
from homeport.google.credentials import find
from homeport.observe.query import at_address
from homeport.progress import Silent
from homeport.spec import Spec, load
from homeport.weights.sources.hub import HubSource

NONE = [
    ("http://h:99999", "its port is no number from 1 to 65535"),
    ("http://127.0.0.1:65536/v1", "its port is no number from 1 to 65535"),
    ("http://h:0", "its port is no number from 1 to 65535"),
    ("http://h:-1", "its port is no number from 1 to 65535"),
    ("http://h:abc", "its port is no number from 1 to 65535"),
    ("http://[::1", "its host's brackets do not fit"),
    ("http://", "it has no host"),
    ("http://a..b/", "it has no host, or one with an empty"),
    (f"http://{'a' * 64}.example/", "overlong part"),
    ("h:8080/v1", "it does not begin with http"),
    ("", "it does not begin with http"),
    ("ftp://h/", "it does not begin with http"),
    ("http://h x/", "white space"),
    ("http://h\n:80/", "white space or control characters"),
    ("http://h\x00/", "white space or control characters"),
]
IMPOSSIBLE = "http://me:hidden@127.0.0.1:99999"


@pytest.mark.parametrize(("url", "why"), NONE)
def test_an_endpoint_at_no_address_is_refused_when_it_is_made(url: str, why: str) -> None:
    with pytest.raises(SpecError, match=f"base_url of the endpoint home is no address .*{why}"):
        Endpoint(name="home", base_url=url, model="m")
    if url:
        with pytest.raises(SpecError, match=f"via of the endpoint home is no address .*{why}"):
            Endpoint(name="home", base_url="http://127.0.0.1:1/v1", model="m", via=url)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:65535/v1", "https://home-1.a.run.app", "HTTPS://Example.COM./v1", "http://[::1]:1/v1", "http://bücher.example", "http://a_b/"],
)  # fmt: skip
def test_an_address_that_can_be_asked_is_taken_as_it_is(url: str) -> None:
    assert Endpoint(name="home", base_url=url, model="m").base_url == url


@given(st.text() | st.text("ht:/p.[]@0189 \n").map(lambda text: f"http://{text}"))
def test_whatever_is_given_for_an_address_is_told_or_can_be_asked(url: str) -> None:
    try:
        ensure_address(url, called="it")
    except SpecError:
        return
    reached = httpx2.URL(url)
    assert reached.host
    assert reached.port is None or 1 <= reached.port <= 65535


def of_google() -> None:
    asyncio.run(find({"HOMEPORT_GOOGLE_URL": IMPOSSIBLE, "CLOUDSDK_AUTH_ACCESS_TOKEN": "token"}))


def of_prometheus() -> None:
    async def look() -> None:
        async with at_address(IMPOSSIBLE):
            pass

    asyncio.run(look())


def of_mcp() -> None:
    async def look() -> None:
        async with opened([IMPOSSIBLE], answer_within_s=5):
            pass

    asyncio.run(look())


def of_project() -> None:
    write_project(Path("agent"), framework="adk", mcp=[IMPOSSIBLE])


@pytest.mark.parametrize(
    ("gives", "called"),
    [(of_google, "HOMEPORT_GOOGLE_URL"), (of_prometheus, "the address of the Prometheus"), (of_mcp, "the MCP server http://…@127.0.0.1:99999"), (of_project, "the MCP server http://…@127.0.0.1:99999")],
    ids=["google", "prometheus", "mcp", "project"],
)  # fmt: skip
def test_whoever_gives_an_impossible_port_is_told_by_which_name(gives: object, called: str) -> None:
    assert callable(gives)
    with pytest.raises(HomeportError) as told:
        gives()
    assert str(told.value).startswith(f"{called} is no address that can be asked: its port is no number")
    assert "hidden" not in f"{told.value} {told.value.hint}"


@pytest.mark.parametrize("url", ["http://me:hidden@h/mcp", "HTTPS://h/mcp?key=hidden", "http://h/#hidden"])
def test_a_secret_of_an_address_that_can_be_asked_is_not_shown(url: str) -> None:
    assert "hidden" not in shown(url)
    assert "…" in shown(url)


@pytest.mark.parametrize(
    "url",
    ["http://me:hidden/a@h:99999/mcp", "ftp://me:hidden@h", "me:hidden@h/mcp", "http://[me:hidden@h", "http://me:hidden?a@h"],
)  # fmt: skip
def test_what_is_no_address_of_an_mcp_server_is_refused_without_its_secret(url: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as refused:
        write_project(tmp_path / "agent", framework="adk", mcp=[url])
    assert "hidden" not in f"{refused.value} {refused.value.hint}"


def test_what_is_no_secret_of_an_address_is_shown() -> None:
    assert shown("https://tools.example.com:1/mcp") == "https://tools.example.com:1/mcp"


def test_a_project_and_a_run_take_an_address_whose_scheme_is_in_capitals(tmp_path: Path) -> None:
    write_project(tmp_path / "agent", framework="adk", mcp=["HTTPS://tools.example.com/mcp"])
    assert "MCP = ['HTTPS://tools.example.com/mcp']" in (tmp_path / "agent" / "tools.py").read_text()

    async def look() -> None:
        async with opened(["HTTP://127.0.0.1:99999/mcp"], answer_within_s=5):
            pass

    with pytest.raises(SpecError, match="its port is no number"):
        asyncio.run(look())


def test_a_server_that_does_not_answer_is_told_without_its_password() -> None:
    class Steps(Silent):
        told = ""

        def started(self, key: str, text: str) -> None:
            self.told += f"{key} {text}"

    progress = Steps()

    async def look() -> None:
        async with opened(["http://me:hidden@127.0.0.1:1/mcp"], answer_within_s=5, progress=progress):
            pass

    with pytest.raises(
        NetworkError, match=r"the MCP server http://…@127\.0\.0\.1:1/mcp cannot be reached"
    ) as told:
        asyncio.run(look())
    assert "hidden" not in f"{told.value} {told.value.hint} {progress.told}"
    assert "http://…@127.0.0.1:1/mcp" in progress.told


def test_a_hub_at_an_impossible_port_is_told_before_its_library_is_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", IMPOSSIBLE)
    with pytest.raises(SpecError, match="HF_ENDPOINT is no address that can be asked: its port"):
        HubSource("org/model").pin("gguf")


def test_no_project_is_written_for_a_server_at_an_impossible_port(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="its port is no number"):
        write_project(tmp_path / "agent", framework="homeport", mcp=["http://127.0.0.1:99999/mcp"])
    assert not (tmp_path / "agent").exists()


def read(text: str, folder: Path) -> Spec:
    """A file of these lines, as homeport reads it."""
    path = folder / "homeport.toml"
    path.write_text(f'model = "gemma-3-270m"\n{text}\n')
    return load(path)


@pytest.mark.parametrize("port", ["0", "65536", "99999", "123456"])
def test_the_file_takes_no_impossible_port(port: str, tmp_path: Path) -> None:
    for text in (
        f'[agent]\nmcp = ["https://tools.example.com:{port}/mcp"]',
        f'[observe]\ntraces = true\notlp = "http://127.0.0.1:{port}"',
        f'[observe]\ntraces = true\notlp = "http://[::1]:{port}/"',
    ):
        with pytest.raises(SpecError, match=re.escape(f":{port}")):
            read(text, tmp_path)


def test_the_file_takes_each_possible_port(tmp_path: Path) -> None:
    for port in (1, 80, 9999, 10000, 59999, 60000, 65499, 65535):
        observe = read(f'[observe]\ntraces = true\notlp = "http://[::1]:{port}/x"', tmp_path).observe
        assert observe is not None
        assert observe.otlp == f"http://[::1]:{port}/x"
