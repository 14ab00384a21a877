"""The proxy: requests of every method go on as what they are, and those without a body as such."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from private_service import KEY, Passport, Service, id_token, scene

HEAD = b"host: localhost\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"])
@pytest.mark.parametrize("told", [False, True], ids=["nothing of a length", "a length of 0"])
def test_a_request_without_a_body_goes_on_without_one(method: str, *, told: bool) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        length = b"content-length: 0\r\n" if told else b""
        for _ in range(2):
            writer.write(b"%s /v1/any HTTP/1.1\r\n%s%s\r\n" % (method.encode(), HEAD, length))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            if method != "HEAD":
                await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    service = scene(play)
    assert [(seen.method, bytes(seen.body)) for seen in service.seen] == [(method, b"")] * 2
    tells = "0" if told or method in {"POST", "PUT", "PATCH"} else None
    assert [seen.header("content-length") for seen in service.seen] == [tells] * 2
    assert len({seen.peer for seen in service.seen}) == 1, "one connection"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize("late", [False, True])
def test_a_request_goes_on_before_all_of_its_body_is_there(method: str, *, late: bool) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        length = b"content-length: 4\r\n" if late else b""
        first = b"bo" if late else b""
        writer.write(b"%s /v1/any HTTP/1.1\r\n%s%s\r\n%s" % (method.encode(), HEAD, length, first))
        if late:
            await service.arrived.wait()
            writer.write(b"dy")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()

    assert [seen.method for seen in scene(play).seen] == [method]


def test_a_trace_which_would_bring_the_token_back_is_refused() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        answer = await client.request("TRACE", "/v1/any")
        assert answer.status_code == 405
        assert "TRACE is not sent on" in answer.json()["error"]["message"]
        assert id_token(1) not in answer.text

    assert scene(play, identity=Passport()).asked == 0
