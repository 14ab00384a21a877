"""One request to an engine, against servers on a socket that answer well, badly, slowly and not at all."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from homeport.resources.local.engine_request import EngineAnswer, Unanswered, ask
from nobody import nobody_at

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"


def asked(answer: Answer, *, within_s: float = 30, **how: object) -> EngineAnswer:
    """What is answered by a server that hands each request to `answer`, and then closes its connection."""

    async def scene() -> EngineAnswer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                await answer(head + await reader.readexactly(int(length[1]) if length else 0), writer)
                await writer.drain()
            except ConnectionError:
                pass
            finally:
                writer.close()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        try:
            port = listening.sockets[0].getsockname()[1]
            return await ask(f"http://127.0.0.1:{port}", "/v1/models", within_s=within_s, **how)  # type: ignore[arg-type]  # a test's own
        finally:
            # Left by `async with`, it would wait for connections that stay open, since Python 3.12.
            listening.close()

    return asyncio.run(scene())


def saying(*pieces: bytes) -> Answer:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return answer


def test_a_body_and_headers_arrive_as_they_were_given() -> None:
    async def echo(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n" + request)

    said = asked(echo, headers={"Authorization": "Bearer secret"}, body={"prompt": "naïve"}).text
    head, _, body = said.replace("\r\n", "\n").partition("\n\n")
    assert head.startswith("POST /v1/models HTTP/1.1\nHost: 127.0.0.1:")
    assert "\nAuthorization: Bearer secret" in head
    assert "\nConnection: close" in head
    assert json.loads(body) == {"prompt": "naïve"}
    assert asked(echo).text.startswith("GET /v1/models HTTP/1.1")


@pytest.mark.parametrize(
    "pieces",
    [
        (OK + b"content-length: 5\r\n\r\nhello",),
        (OK + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
        (OK + b"\r\nhe", b"llo"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello",),
    ],
)
def test_an_answer_is_read_to_its_end_however_it_is_framed(pieces: tuple[bytes, ...]) -> None:
    assert asked(saying(*pieces)) == EngineAnswer(200, "hello")


def test_a_refusal_is_an_answer() -> None:
    refused = asked(saying(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}"))
    assert (refused.status, refused.is_success) == (401, False)


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (OK,),
        (OK + b"content-length: 6\r\n\r\nhello",),
        (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n",),
        (b"\x00\xff" * 100,),
    ],
)
def test_half_an_answer_or_none_is_none(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(Unanswered):
        asked(saying(*pieces))


FRAMED = [
    (OK + b"content-length: 5\r\n\r\nhe", b"llo"),
    (OK + b"transfer-encoding: chunked\r\n\r\n4\r\n\r\n\r\n", b"\r\n5\r\nhello\r\n", b"0\r\n", b"\r\n"),
    (OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nexpires: never\r\n\r\n",),
    (b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"content-length: 5\r\n\r\nhello"),
]
"""Answers that say where they end."""


@pytest.mark.parametrize("pieces", FRAMED)
def test_an_answer_ends_where_it_says_so_also_on_a_connection_that_stays_open(
    pieces: tuple[bytes, ...],
) -> None:
    async def stays(_: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await writer.wait_closed()

    assert asked(stays).text.strip() == "hello"


def reset_after(*pieces: bytes) -> Answer:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
        link: socket.socket = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return answer


@pytest.mark.parametrize("pieces", FRAMED)
def test_a_whole_answer_before_a_reset_is_one(pieces: tuple[bytes, ...]) -> None:
    assert asked(reset_after(*pieces)).text.strip() == "hello"


@pytest.mark.parametrize("head", [b"content-length: 9\r\n", b"transfer-encoding: chunked\r\n", b""])
def test_what_a_reset_cut_off_is_no_answer_nor_one_that_does_not_say_where_it_ends(head: bytes) -> None:
    with pytest.raises(Unanswered, match="reset by peer"):
        asked(reset_after(OK + head + b"\r\n5\r\nhello"))


def test_an_answer_that_comes_in_drops_is_not_waited_for_beyond_the_patience() -> None:
    async def drip(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    with pytest.raises(Unanswered, match="TimeoutError"):
        asked(drip, within_s=0.2)


def test_an_answer_without_end_is_given_up() -> None:
    async def flood(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while not writer.is_closing():
            writer.write(b"." * (1 << 20))
            await writer.drain()

    with pytest.raises(Unanswered, match="more than 16 MiB"):
        asked(flood)


def test_where_nobody_listens_nobody_answers() -> None:
    with nobody_at() as port, pytest.raises(Unanswered, match="Connect call failed"):
        asyncio.run(ask(f"http://127.0.0.1:{port}", "/health", within_s=60))
