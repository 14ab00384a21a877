"""Requests that go by a proxy which the environment names."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import httpx2
import pytest

from edges import write_certificate
from homeport.endpoint import Endpoint
from homeport.errors import Unsupported
from homeport.relay.forward_proxy import proxy_for
from homeport.relay.onward import Onward
from homeport.relay.upstream import Upstream

GIVEN_UP_S = 300
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
LEADS = b"HTTP/1.1 200 Connection established\r\n\r\n"
SERVICE = "service.invalid"


@dataclass
class Middle:
    """A proxy that leads to one server whoever is meant, or says something else."""

    to: int
    says: bytes = LEADS
    port: int = 0
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.says)
        if self.says is LEADS:
            onward, back = await asyncio.open_connection("127.0.0.1", self.to)
            try:
                await asyncio.gather(pour(reader, back), pour(onward, writer))
            finally:
                back.transport.abort()
        writer.close()


async def pour(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while piece := await source.read(1 << 16):
        to.write(piece)
    to.close()


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
            await writer.wait_closed()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request that comes."""
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(ANSWER)


def asked(path: str = "/v1/any") -> Onward:
    return Onward(method="GET", target=path, headers=[], body=None, chunked=False)


def endpoint(scheme: str) -> Endpoint:
    return Endpoint(name="home", base_url=f"{scheme}://{SERVICE}/v1", model="m")


def run(play: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(play(), GIVEN_UP_S))


@pytest.fixture(autouse=True)
def nothing_excepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The service's."""
    certificate, key = write_certificate(tmp_path, SERVICE)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server


def test_what_goes_by_tls_goes_through_the_proxy_unseen_and_over_one_connection(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with serving(say, tls) as service:
            middle = Middle(service)
            async with serving(middle.serve) as port:
                monkeypatch.setenv("https_proxy", f"http://me:p%40ss@127.0.0.1:{port}")
                upstream = Upstream(endpoint("https"))
                for _ in range(2):
                    assert await (await upstream.send(asked())).read() == b"hi"
                await upstream.aclose()
        who = base64.b64encode(b"me:p@ss")
        assert middle.heads == [
            b"CONNECT service.invalid:443 HTTP/1.1\r\nHost: service.invalid:443\r\n"
            b"Proxy-Authorization: Basic " + who + b"\r\n\r\n"
        ]

    run(play)


def test_what_goes_without_tls_is_asked_of_the_proxy_by_its_whole_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        middle = Middle(0, says=ANSWER)
        async with serving(middle.serve) as port:
            monkeypatch.setenv("http_proxy", f"me:pass@127.0.0.1:{port}")
            upstream = Upstream(endpoint("http"))
            assert await (await upstream.send(asked("/v1/any?a=%2F"))).read() == b"hi"
            await upstream.aclose()
        [head] = middle.heads
        assert head.startswith(
            b"GET http://service.invalid/v1/any?a=%2F HTTP/1.1\r\nHost: service.invalid\r\n"
        )
        assert b"Proxy-Authorization: Basic " + base64.b64encode(b"me:pass") in head

    run(play)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answers 407 Proxy Authentication Required; its address wants a name"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "does not lead on, and answers 403 Forbidden$"),
        (b"SSH-2.0-x\r\n\r\n", "answers what is no answer of HTTP"),
        (b"", "closed the connection without an answer"),
    ],
    ids=["wants a name", "refuses", "no proxy", "nothing"],
)  # fmt: skip
def test_a_proxy_that_does_not_lead_on_is_told_with_its_words(
    says: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        async with serving(Middle(0, says=says).serve) as port:
            monkeypatch.setenv("https_proxy", f"http://me:secret@127.0.0.1:{port}")
            upstream = Upstream(endpoint("https"))
            with pytest.raises(aiohttp.ClientConnectionError, match=why) as raised:
                await upstream.send(asked())
            assert f"the proxy 127.0.0.1:{port} that the environment names" in str(raised.value)
            assert "secret" not in str(raised.value)
            await upstream.aclose()

    run(play)


def test_who_answers_for_the_service_behind_the_proxy_without_its_certificate_is_sent_nothing(
    tls: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "another"
    folder.mkdir()
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.load_cert_chain(*write_certificate(folder, SERVICE))

    async def play() -> None:
        async with serving(say, other) as service, serving(Middle(service).serve) as port:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
            upstream = Upstream(endpoint("https"))
            with pytest.raises(
                aiohttp.ClientOSError, match=r"service\.invalid:443 by the proxy .*certificate"
            ):
                await upstream.send(asked())
            await upstream.aclose()

    run(play)


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("socks5://me:secret@127.0.0.1:1080", "https, which begins with socks5:// and is no address"),
        ("http://me:secret@", "https, which begins with http:// and is no address"),
        ("me:secret@proxy:port", "https, which is no address"),
        (
            "http://me:secret@127.0.0.1:99999",
            "https, which has the port 99999, none from 1 to 65535, and is no address",
        ),
        ("http://me:secret@127.0.0.1:0", "https, which has the port 0, none from"),
        ("me:secret@127.0.0.1:-1", "https, which has the port -1, none from"),
    ],
)
def test_what_is_no_address_of_a_proxy_is_refused_at_once_and_without_its_password(
    named: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(Unsupported, match=why) as raised:
        proxy_for(httpx2.URL("https://service.invalid/v1"))
    assert "secret" not in f"{raised.value} {raised.value.hint}"


def test_a_password_is_read_as_it_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:p%2540ss@proxy.invalid")
    proxy = proxy_for(httpx2.URL("https://service.invalid/v1"))
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.tls) == ("proxy.invalid", 80, None)
    assert base64.b64decode(proxy.authorization.removeprefix("Basic ")) == b"me:p%40ss"
    assert proxy.authorization not in repr(proxy)
