"""Requests that go straight to their origin: the same answers as aiohttp reads, connections that are kept, and none that lies."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edges import write_certificate
from homeport.endpoint import Endpoint
from homeport.relay.direct import DirectConnection, DirectPool
from homeport.relay.onward import Onward
from homeport.relay.upstream import Upstream

ASKED = b"%s / HTTP/1.1\r\nHost: localhost\r\n\r\n"
FOR_EVER_S = 3600.0
CLOSE = b"<close>"
"""In a script: the connection ends here."""
BODY = bytes(range(256)) * 1200
OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"content-length: 0\r\n\r\n"


class Origin:
    """A server that says what it is told to, however that is cut, to one request after the other."""

    def __init__(self, answers: Sequence[bytes], cut: random.Random | None = None) -> None:
        self._answers, self._cut = list(answers), cut
        self.port = self.connections = self.requests = 0
        self.heads: list[bytes] = []
        self.said = asyncio.Event()
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                self.requests += 1
                answer, closes, _ = self._answers.pop(0).partition(CLOSE)
                while answer:
                    size = self._cut.choice([1, 2, 7, 100, 5000, 10**6]) if self._cut else len(answer)
                    writer.write(answer[:size])
                    answer = answer[size:]
                    await writer.drain()
                    await asyncio.sleep(0)
                self.said.set()
                if closes:
                    break
            writer.close()
            await writer.wait_closed()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def origin(
    *answers: bytes, cut: random.Random | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Origin]:
    one = Origin(answers, cut)
    server = await asyncio.start_server(one.serve, "127.0.0.1", 0, ssl=tls)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in one.serving:
            task.cancel()
        await asyncio.gather(*one.serving, return_exceptions=True)
        await asyncio.sleep(0)


@asynccontextmanager
async def pool(
    port: int, *, patience_s: float = FOR_EVER_S, kept_s: float = FOR_EVER_S
) -> AsyncIterator[DirectPool]:
    one = DirectPool("127.0.0.1", port, None, connect_s=120, patience_s=patience_s, kept_s=kept_s)
    try:
        yield one
    finally:
        one.close()


Seen = tuple[int, list[tuple[bytes, bytes]], bytes] | None
"""Status, headers and body; None where there is no answer, or no end of it."""


async def ours(port: int, method: str) -> Seen:
    async with pool(port) as direct:
        try:
            answer = await direct.ask(method, ASKED % method.encode())
            return answer.status, answer.raw_headers, await answer.read()
        except aiohttp.ClientError:
            return None


async def theirs(port: int, method: str) -> Seen:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        try:
            async with session.request(method, f"http://127.0.0.1:{port}/", allow_redirects=False) as answer:
                return answer.status, list(answer.raw_headers), await answer.read()
        except aiohttp.ClientError:
            return None


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


CHUNKED = OK + b"Transfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n"
WHOLE = {
    "a length": OK + b"Content-Length: 5\r\nX: 1\r\nX: 2\r\n\r\nhello",
    "a long body": OK + b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY),
    "chunks": CHUNKED + chunked(b"data: 1\n\n", b"data: 2\n\n"),
    "long chunks": CHUNKED + chunked(BODY, BODY),
    "an extension and a trailer": CHUNKED + b"2;a=b\r\nhi\r\n0\r\nX-After: 1\r\n\r\n",
    "nothing": EMPTY,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
    "an error": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\nno",
    "hints before it": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + EMPTY,
    "until the end": OK + b"\r\nall of it" + CLOSE,
    "until the end, by an old server": b"HTTP/1.0 200 OK\r\n\r\n" + BODY + CLOSE,
    "a length, and the end": OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok" + CLOSE,
    "spaces after what fields say": OK + b"X: 1 \t \r\nContent-Length: 2 \r\n\r\nok",
    "a space after the coding": OK + b"Transfer-Encoding: chunked \r\n\r\n" + chunked(b"ok"),
    "no coding, until the end": OK + b"Transfer-Encoding: identity\r\n\r\nall" + CLOSE,
    "letters of another alphabet": OK + "x: ü\r\n".encode() + b"content-length: 0\r\n\r\n",
}
BROKEN = {
    "nothing at all": CLOSE,
    "half a head": OK + b"content-le" + CLOSE,
    "half a body": OK + b"content-length: 9\r\n\r\nhalf" + CLOSE,
    "a chunk's half": CHUNKED + b"9\r\nhalf" + CLOSE,
    "a chunk's half, and a space after the coding": OK
    + b"Transfer-Encoding: chunked \r\n\r\n9\r\nhalf"
    + CLOSE,
    "half of what was packed before it was cut": OK
    + b"Transfer-Encoding: gzip, chunked \r\n\r\n9\r\nhalf"
    + CLOSE,
    "half of it, by codings in two fields": OK
    + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked \r\n\r\n9\r\nhalf"
    + CLOSE,
    "no length": OK + b"content-length: \r\n\r\n" + CLOSE,
    "half a body, and a space after its length": OK + b"content-length: 9 \r\n\r\nhalf" + CLOSE,
    "no last chunk": CHUNKED + b"4\r\nhalf\r\n" + CLOSE,
    "no HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n" + CLOSE,
    "a length that is none": OK + b"content-length: many\r\n\r\n" + CLOSE,
    "two lengths": OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab" + CLOSE,
    "a size that is none": CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n" + CLOSE,
    "a long field": OK + b"x: " + b"a" * 70_000 + b"\r\ncontent-length: 0\r\n\r\n" + CLOSE,
    "a head without an end": OK + b"x: " + b"a" * 2**22 + CLOSE,
    "a trailer without an end": CHUNKED + b"0\r\nx: " + b"a" * 2**22 + CLOSE,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [*WHOLE, *BROKEN])
def test_an_answer_is_what_aiohttp_reads_however_it_is_cut(name: str, seed: int) -> None:
    async def play() -> tuple[Seen, Seen]:
        answer = {**WHOLE, **BROKEN}[name]
        fine = random.Random(seed) if seed and len(answer) < 10**6 else None
        async with origin(answer, answer, cut=fine) as one:
            return await ours(one.port, "POST"), await theirs(one.port, "POST")

    direct, judge = asyncio.run(asyncio.wait_for(play(), 300))
    assert direct == judge
    assert (direct is None) == (name in BROKEN)


def run(play: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(300):
            await play()

    asyncio.run(bounded())


OTHERWISE = "which names chunks, but not once as the last of its list"


@pytest.mark.parametrize(
    "coding",
    [
        "chunked\t",
        "gzip, Chunked \t ",
        "chunked,",
        "gzip\r\nTransfer-Encoding: chunked, ",
        "chunked;q=1",
        '"chunked"',
        "gzip chunked",
        "gzip\tchunked",
        "gzip; chunked",
        "chunked, gzip",
        "chunked\r\nTransfer-Encoding: gzip",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
    ],
)
@pytest.mark.parametrize("end", [b"0\r\n\r\n", CLOSE], ids=["whole", "cut short"])
def test_chunks_of_which_the_parser_would_make_text_are_refused_at_once(coding: str, end: bytes) -> None:
    async def play() -> None:
        head = OK + f"Transfer-Encoding: {coding}\r\n\r\n".encode()
        async with origin(head + chunked(b"ok", end=end)) as one, pool(one.port) as direct:
            with pytest.raises(aiohttp.ClientPayloadError, match=OTHERWISE):
                await (await direct.ask("POST", ASKED % b"POST")).read()

    run(play)


@pytest.mark.parametrize(
    "coding",
    ["identity,\tchunked", "identity, , Chunked", "identity\r\nTransfer-Encoding: chunked ", ",chunked"],
)
def test_chunks_that_are_the_last_of_a_list_are_read_however_that_is_spelled(coding: str) -> None:
    async def play() -> None:
        head = OK + f"Transfer-Encoding: {coding}\r\n\r\n".encode()
        async with origin(head + chunked(b"o", b"k")) as one, pool(one.port) as direct:
            assert await (await direct.ask("POST", ASKED % b"POST")).read() == b"ok"

    run(play)


@pytest.mark.parametrize(
    "coding",
    [
        "gzip",
        "rechunked",
        "gzip, chunked",
        "gzip\r\nTransfer-Encoding: chunked",
        "x-gzip;q=1",
        "identity, br",
    ],
)
def test_what_is_packed_between_two_neighbours_is_not_handed_on_as_plain(coding: str) -> None:
    async def play() -> None:
        head = OK + f"Transfer-Encoding: {coding}\r\n\r\n".encode()
        async with origin(head + chunked(b"ok") + CLOSE) as one, pool(one.port) as direct:
            with pytest.raises(aiohttp.ClientPayloadError, match="of which only chunks can be read"):
                await (await direct.ask("POST", ASKED % b"POST")).read()

    run(play)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b"x: " + b"a" * 70_000 + b"\r\n", "a field of more than 65536 bytes"),
        (b"x: 1\r\n" * 10_000, "more than [0-9]+ fields"),
        (b"Transfer-Encoding: chunked, \r\n", f"Transfer-Encoding is 'chunked, ', {OTHERWISE}"),
        (b"content-length: many\r\n", "Invalid character in Content-Length"),
    ],
    ids=["a long field", "many fields", "a list without an end", "no number"],
)
def test_a_head_that_is_refused_is_told_with_the_reason_and_the_next_one_with_its_own(
    fields: bytes, why: str
) -> None:
    async def play() -> None:
        async with origin(OK + fields + b"\r\n", b"SSH\r\n\r\n") as one, pool(one.port) as direct:
            with pytest.raises(aiohttp.ClientPayloadError, match=f"^what came is no answer of HTTP: .*{why}"):
                await direct.ask("POST", ASKED % b"POST")
            with pytest.raises(aiohttp.ClientPayloadError, match="Expected HTTP/"):
                await direct.ask("POST", ASKED % b"POST")

    run(play)


def test_an_answer_that_changes_the_protocol_is_told_as_that() -> None:
    async def play() -> None:
        changed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        for more in (b"", b"\0\0\x12\4", OK + b"content-length: 0\r\n\r\n"):
            async with origin(changed + more) as one, pool(one.port) as direct:
                with pytest.raises(
                    aiohttp.ClientPayloadError, match="HTTP: it changes the protocol, which nobody"
                ):
                    await direct.ask("POST", ASKED % b"POST")

    run(play)


def test_a_connection_is_kept_for_the_next_request_and_one_that_closes_is_not() -> None:
    async def play() -> None:
        last = OK + b"connection: close\r\ncontent-length: 0\r\n\r\n"
        async with origin(EMPTY, WHOLE["chunks"], last + CLOSE, EMPTY) as one, pool(one.port) as direct:
            for _ in range(3):
                await (await direct.ask("POST", ASKED % b"POST")).read()
            assert one.connections == 1
            await (await direct.ask("POST", ASKED % b"POST")).read()
            assert (one.connections, one.requests) == (2, 4)

    run(play)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"])
def test_only_what_may_be_asked_twice_is_asked_again_where_a_kept_connection_breaks(method: str) -> None:
    async def play() -> None:
        async with origin(EMPTY, CLOSE, EMPTY) as one, pool(one.port) as direct:
            await direct.ask("POST", ASKED % b"POST")
            twice = method not in {"POST", "PATCH"}
            if twice:
                assert (await direct.ask(method, ASKED % method.encode())).status == 200
            else:
                with pytest.raises(aiohttp.ServerDisconnectedError):
                    await direct.ask(method, ASKED % method.encode())
            assert one.requests == (3 if twice else 2)

    run(play)


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    async def play() -> None:
        foreign = OK + b"content-length: 7\r\n\r\nforeign"
        for more in (foreign, foreign[:9]):
            async with origin(EMPTY + more, WHOLE["a length"]) as one, pool(one.port) as direct:
                await (await direct.ask("GET", ASKED % b"GET")).read()
                assert await (await direct.ask("GET", ASKED % b"GET")).read() == b"hello"
                assert one.connections == 2

    run(play)


def test_who_does_not_read_lets_the_server_wait() -> None:
    async def play() -> None:
        size = 64 * 2**20
        async with (
            origin(OK + b"content-length: %d\r\n\r\n" % size + bytes(size)) as one,
            pool(one.port) as direct,
        ):
            answer = await direct.ask("GET", ASKED % b"GET")
            for _ in range(2000):
                await asyncio.sleep(0)
            assert not one.said.is_set(), "64 MiB went into the memory of nobody's reader"
            assert len(await answer.read()) == size

    run(play)


def test_a_closed_answer_closes_its_connection_in_the_middle_and_only_there() -> None:
    async def play() -> None:
        half = OK + b"content-length: 9\r\n\r\nhalf"
        async with origin(EMPTY, half, EMPTY) as one, pool(one.port) as direct:
            for connections in (1, 1, 2):
                (await direct.ask("POST", ASKED % b"POST")).close()
                assert one.connections == connections

    run(play)


def test_an_answer_of_which_nothing_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        clock, ahead_s = asyncio.get_running_loop().time, 0.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock() + ahead_s)
        async with (
            origin(OK + b"content-length: 9\r\n\r\nhalf", b"") as one,
            pool(one.port, patience_s=100) as direct,
        ):
            answer = await direct.ask("GET", ASKED % b"GET")
            assert await answer.readany() == b"half"
            ahead_s += 100
            with pytest.raises(TimeoutError):
                await answer.readany()
            one.said.clear()
            asking = asyncio.create_task(direct.ask("POST", ASKED % b"POST"))
            await one.said.wait()
            ahead_s += 100
            with pytest.raises(TimeoutError):
                await asking

    run(play)


def test_a_connection_that_nobody_uses_is_closed() -> None:
    async def play() -> None:
        async with origin(EMPTY, EMPTY) as one, pool(one.port, kept_s=0.1) as direct:
            await direct.ask("POST", ASKED % b"POST")
            while direct.open_connections:  # noqa: ASYNC110 - bounded by `run`
                await asyncio.sleep(0.01)
            await direct.ask("POST", ASKED % b"POST")
            assert one.connections == 2

    run(play)


@pytest.mark.parametrize(("idle_s", "connections"), [(3, 1), (4.5, 2)])
def test_a_connection_on_this_machine_is_not_used_at_the_moment_at_which_engines_close_theirs(
    idle_s: float, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        now = 0.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
        async with origin(EMPTY, EMPTY) as one:
            upstream = Upstream(Endpoint(name="home", base_url=f"http://127.0.0.1:{one.port}/v1", model="m"))
            await (await upstream.send(onward())).read()
            now += idle_s
            await (await upstream.send(onward())).read()
            assert one.connections == connections
            await upstream.aclose()

    run(play)


def test_who_gives_up_before_the_head_closes_the_connection() -> None:
    async def play() -> None:
        async with origin(b"", EMPTY) as one, pool(one.port) as direct:
            asking = asyncio.create_task(direct.ask("POST", ASKED % b"POST"))
            await one.said.wait()
            asking.cancel()
            await asyncio.wait({asking})
            await direct.ask("POST", ASKED % b"POST")
            assert one.connections == 2

    run(play)


def test_who_gives_up_as_the_answer_comes_leaves_the_connection_to_whom_it_serves_by_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        async with origin(EMPTY, WHOLE["a length"]) as one, pool(one.port) as direct:
            received, others = DirectConnection.data_received, []

            def in_one_round(connection: DirectConnection, data: bytes) -> None:
                monkeypatch.undo()
                others.append(asyncio.create_task(direct.ask("POST", ASKED % b"POST")))
                received(connection, data)
                first.cancel()

            monkeypatch.setattr(DirectConnection, "data_received", in_one_round)
            first = asyncio.create_task(direct.ask("POST", ASKED % b"POST"))
            await asyncio.wait({first})
            assert first.cancelled()
            assert await (await others[0]).read() == b"hello"
            assert one.connections == 1

    run(play)


def test_closed_connections_stay_closed_for_what_is_asked_and_for_what_would_be() -> None:
    async def play() -> None:
        async with origin(EMPTY, b"", EMPTY) as one, pool(one.port) as direct:
            await direct.ask("POST", ASKED % b"POST")
            one.said.clear()
            asking = asyncio.create_task(direct.ask("GET", ASKED % b"GET"))
            await one.said.wait()
            beginning = asyncio.create_task(direct.ask("GET", ASKED % b"GET"))
            await asyncio.sleep(0)
            direct.close()
            for task in (asking, beginning, asyncio.create_task(direct.ask("GET", ASKED % b"GET"))):
                with pytest.raises(aiohttp.ClientConnectionError):
                    await task
            while direct.open_connections:  # noqa: ASYNC110 - bounded by `run`
                await asyncio.sleep(0)
            assert one.requests == 2

    run(play)


def test_nobody_there_is_an_error_of_the_connection() -> None:
    async def play() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else can.
            async with pool(taken.getsockname()[1]) as direct:
                with pytest.raises(aiohttp.ClientOSError, match="no connection to 127") as raised:
                    await direct.ask("GET", ASKED % b"GET")
                where = f"127.0.0.1:{taken.getsockname()[1]}"
                assert str(raised.value) == f"no connection to {where}: Connection refused"

    run(play)


def test_one_who_closes_within_the_tls_handshake_is_told_as_that() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.close()

    async def play() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            tls = ssl.create_default_context()
            direct = DirectPool(
                "127.0.0.1", port, tls, connect_s=120, patience_s=FOR_EVER_S, kept_s=FOR_EVER_S
            )
            with pytest.raises(aiohttp.ClientOSError, match=f":{port}: .* closed within the TLS handshake$"):
                await direct.ask("GET", ASKED % b"GET")
            direct.close()

    run(play)


@pytest.mark.parametrize("name", ["localhost", "elsewhere.example"])
def test_a_connection_with_tls_is_one_with_the_host_that_is_meant(name: str, tmp_path: Path) -> None:
    async def play() -> None:
        certificate, key = write_certificate(tmp_path, name)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(certificate, key)
        trusted = ssl.create_default_context(cafile=str(certificate))
        async with origin(WHOLE["long chunks"], EMPTY, tls=server) as one:
            direct = DirectPool(
                "localhost", one.port, trusted, connect_s=120, patience_s=FOR_EVER_S, kept_s=FOR_EVER_S
            )
            if name == "localhost":
                assert await (await direct.ask("POST", ASKED % b"POST")).read() == BODY * 2
                await direct.ask("POST", ASKED % b"POST")
                assert one.connections == 1
            else:
                with pytest.raises(aiohttp.ClientError, match="certificate"):
                    await direct.ask("POST", ASKED % b"POST")
                assert not one.requests
            direct.close()
            while direct.open_connections:  # noqa: ASYNC110 - bounded by `run`
                await asyncio.sleep(0)

    run(play)


@pytest.mark.parametrize("name", ["xn--strae-oqa.example", "straße.example", "XN--Strae-oqa.Example"])
def test_a_name_of_other_letters_is_not_read_as_another_domain(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "xn--strae-oqa.example"
    certificate, key = write_certificate(tmp_path, own)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    called: list[str] = []
    tls.sni_callback = lambda _, called_by, __: called.append(called_by)
    resolve, looked_up = socket.getaddrinfo, []

    def at_home(host: str | bytes, *rest: Any, **more: Any) -> Any:  # Any: the resolver's own
        asked = host if isinstance(host, bytes) else host.encode("idna")
        looked_up.append(asked.decode())
        return resolve("127.0.0.1", *rest, **more)

    async def play() -> None:
        async with origin(EMPTY, EMPTY, tls=tls) as one:
            monkeypatch.setattr(socket, "getaddrinfo", at_home)
            endpoint = Endpoint(name="home", base_url=f"https://{name}:{one.port}/v1", model="m")
            upstream = Upstream(endpoint)
            for request in (onward(method="GET", body=None), onward(method="HEAD", body=None)):
                (await upstream.send(request)).close()
            await upstream.aclose()
            assert set(looked_up) == {own}
            assert set(called) == {own}
            assert [f"Host: {own}:{one.port}\r\n".encode() in head for head in one.heads] == [True, True]

    run(play)


def onward(**other: object) -> Onward:
    whole = {"method": "POST", "target": "/v1/any", "headers": [], "body": b"{}", "chunked": False}
    return Onward(**{**whole, **other})  # type: ignore[arg-type]


@pytest.mark.parametrize("excepted", [True, False])
def test_a_proxy_that_the_environment_names_is_asked_unless_the_host_is_excepted(
    monkeypatch: pytest.MonkeyPatch, *, excepted: bool
) -> None:
    async def play() -> None:
        async with origin(EMPTY) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("no_proxy", "service.invalid" if excepted else "")
            upstream = Upstream(Endpoint(name="home", base_url="http://service.invalid/v1", model="m"))
            if excepted:
                with pytest.raises(aiohttp.ClientError):
                    await upstream.send(onward())
            else:
                (await upstream.send(onward())).close()
            assert proxy.requests == (not excepted)
            await upstream.aclose()

    run(play)


def test_a_proxy_that_the_environment_names_gets_the_bytes_of_a_head_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play() -> None:
        async with origin(EMPTY) as proxy:
            monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            upstream = Upstream(Endpoint(name="home", base_url="http://service.invalid/v1", model="m"))
            said = b"J\xfcrgen".decode(errors="surrogateescape")
            (await upstream.send(onward(headers=[("x-name", said)]))).close()
            assert [b"x-name: J\xfcrgen" in head for head in proxy.heads] == [True]
            await upstream.aclose()

    run(play)


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\rb", "a\0b"])
def test_no_header_begins_another_line(value: str) -> None:
    async def play() -> None:
        async with origin(EMPTY) as one:
            upstream = Upstream(Endpoint(name="home", base_url=f"http://127.0.0.1:{one.port}/v1", model="m"))
            with pytest.raises(aiohttp.ClientError, match="line's end"):
                await upstream.send(onward(headers=[("x", value)]))
            assert not one.requests
            await upstream.aclose()

    run(play)
