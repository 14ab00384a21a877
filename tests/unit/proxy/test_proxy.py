"""The proxy: what is sent to it goes on under the caller's identity, and comes back as it is."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx2
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeport.proxy import listen, running
from homeport.relay.protocol import BoundedProtocol
from private_service import HOST, KEY, MODEL, SHOWN, YOU, Passport, Service, id_token, proxied, reached, scene


def test_models_and_health_do_not_wake_the_service() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        listed = (await client.get("/v1/models")).json()
        assert listed["object"] == "list"
        assert [model["id"] for model in listed["data"]] == ["org/adapter", MODEL]
        assert (await client.get("/v1/models/org/adapter")).json()["id"] == "org/adapter"
        missing = await client.get("/v1/models/gpt-9")
        assert missing.status_code == 404
        assert MODEL in missing.json()["error"]["message"]
        assert (await client.get("/health")).json()["status"] == "ok"
        assert (await client.head("/health")).status_code == 200

    assert scene(play, models=["org/adapter", MODEL]).asked == 0


def test_a_service_whose_models_nobody_told_is_asked() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == "of-the-engine"

    assert scene(play, models=()).asked == 1


def test_the_clients_own_credentials_are_replaced_and_headers_of_the_connection_dropped() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        headers = {
            "Authorization": f"Bearer {KEY}",
            "X-API-Key": KEY,
            "Api-Key": "sk-of-another",
            "X-Odd": f"key={KEY}",
            "X-Serverless-Authorization": "Bearer another",
            "Connection": "keep-alive, X-Secret",
            "X-Secret": "between us",
            "Keep-Alive": "timeout=5",
            "TE": "trailers",
            "Upgrade": "h2c",
            "Proxy-Authorization": "Basic eA==",
            "Accept-Encoding": "zstd",
            "User-Agent": "mine/1",
            "X-Kept": "yes",
        }
        assert (await client.post("/v1/embeddings", content=b"x", headers=headers)).content == b"x"

    seen = scene(play).seen[0]
    assert {name.decode() for name, _ in seen.headers} == {
        "host", "authorization", "accept", "accept-encoding", "user-agent", "x-kept", "content-length",
    }  # fmt: skip
    assert seen.header("authorization") == f"Bearer {id_token(1)}"
    assert seen.header("accept-encoding") == "zstd"
    assert seen.header("host") == HOST


def test_paths_and_queries_pass_as_they_are() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(
            b"GET /v1/a%2Fb/../c%20d//?q=%41&&r=[x] HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"
            b"authorization: Bearer " + KEY.encode() + b"\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()

    assert scene(play).seen[0].target == b"/v1/a%2Fb/../c%20d//?q=%41&&r=[x]"


def test_events_come_one_by_one_as_they_are_made() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", "/v1/pieces", content=b"{}") as response:
            assert response.headers["content-type"] == "text/event-stream"
            came = response.aiter_raw()
            for number in range(5):
                await service.pieces.put(b"data: %d\n\n" % number)
                assert await anext(came) == b"data: %d\n\n" % number
            await service.pieces.put(None)
            assert [piece async for piece in came] == []

    scene(play)


def test_small_pieces_do_not_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    accepted: list[asyncio.Transport] = []
    made = BoundedProtocol.connection_made

    def connection_made(self: BoundedProtocol, transport: asyncio.Transport) -> None:
        accepted.append(transport)
        made(self, transport)

    monkeypatch.setattr(BoundedProtocol, "connection_made", connection_made)

    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        await client.get("/health")
        assert accepted[0].get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    scene(play)


def test_compressed_answers_are_not_touched() -> None:
    service = Service()
    service.reply = [b"\x1f\x8b not really gzip"]
    service.reply_headers = [(b"content-encoding", b"gzip"), (b"content-type", b"application/json"),
                             (b"x-twice", b"a"), (b"x-twice", b"b"), (b"connection", b"x-hop"), (b"x-hop", b"1")]  # fmt: skip

    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", "/v1/any") as response:
            assert response.headers["content-encoding"] == "gzip"
            assert response.headers.get_list("x-twice") == ["a", "b"]
            assert "x-hop" not in response.headers
            assert b"".join([piece async for piece in response.aiter_raw()]) == service.reply[0]

    scene(play, service)


def test_any_bytes_in_any_pieces_pass_both_ways() -> None:
    async def pieces(of: list[bytes]) -> AsyncIterator[bytes]:
        for piece in of:
            yield piece

    with asyncio.Runner() as runner:
        service = Service()
        stage = proxied(service)
        url = runner.run(stage.__aenter__())
        client = httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, headers=SHOWN)

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            st.lists(st.binary(max_size=2000), max_size=8),
            st.lists(st.binary(max_size=70_000), min_size=1, max_size=8),
            st.booleans(),
        )
        def passes(sent: list[bytes], answered: list[bytes], chunked: bool) -> None:
            service.reply = answered
            content = pieces(sent) if chunked else b"".join(sent)
            response = runner.run(client.post("/v1/any", content=content))
            assert bytes(service.seen.pop().body) == b"".join(sent)
            assert response.content == b"".join(answered)

        try:
            passes()
        finally:
            runner.run(client.aclose())
            runner.run(stage.__aexit__(None, None, None))


def test_a_body_goes_on_while_it_is_still_coming() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield b"first"
            await service.arrived.wait()
            assert service.seen[0].body == b"first"
            yield b"second"

        assert (await client.post("/v1/any", content=content())).content == b"firstsecond"

    scene(play)


def test_a_client_that_leaves_ends_the_work_for_it() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async with client.stream("POST", "/v1/pieces", content=b"{}") as response:
            await service.pieces.put(b"data: 1\n\n")
            assert await anext(response.aiter_raw()) == b"data: 1\n\n"
        await asyncio.wait_for(service.gone.wait(), 120)

    scene(play)


def test_a_client_that_leaves_before_the_first_byte_ends_the_work_too() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        asking = asyncio.create_task(client.post("/v1/pieces", content=b"{}"))
        await service.arrived.wait()
        asking.cancel()
        await asyncio.wait_for(service.gone.wait(), 120)

    scene(play)


def test_an_answer_that_breaks_off_is_seen_to_break_off() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.post("/v1/broken", content=b"{}")
        assert (await client.post("/v1/any", content=b"still there")).content == b"still there"

    scene(play)


def test_twenty_streams_at_once() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        async def one(number: int) -> str:
            words = " ".join(f"{number}-{word}" for word in range(30))
            body = {"messages": [{"content": words}], "stream": True}
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                events = [
                    json.loads(event.data)
                    async for event in httpx2.EventSource(response)
                    if event.data != "[DONE]"
                ]
            return " ".join(event["choices"][0]["delta"]["content"] for event in events)

        answers = await asyncio.gather(*(one(number) for number in range(20)))
        assert answers == [" ".join(f"{number}-{word}" for word in range(30)) for number in range(20)]

    scene(play)


def test_connections_are_used_again() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for _ in range(5):
            await client.post("/v1/any", content=b"x")

    assert len({seen.peer for seen in scene(play).seen}) == 1


def test_the_official_client_lists_asks_and_streams() -> None:
    async def play(service: Service, http: httpx2.AsyncClient) -> None:
        async with openai.AsyncOpenAI(
            base_url=http.base_url.join("/v1"), api_key=KEY, max_retries=0
        ) as client:
            assert [model.id async for model in client.models.list()] == [MODEL]
            assert service.asked == 0
            messages: list[openai.types.chat.ChatCompletionMessageParam] = [
                {"role": "user", "content": "one two"}
            ]
            completion = await client.chat.completions.create(model=MODEL, messages=messages)
            assert completion.choices[0].message.content == "one two"
            stream = await client.chat.completions.create(model=MODEL, messages=messages, stream=True)
            assert [chunk.choices[0].delta.content async for chunk in stream] == ["one", "two"]

    scene(play)


def test_a_body_of_thirty_megabytes_passes_and_one_above_the_limit_is_explained() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        large = b"x" * (30 * 2**20)
        assert len((await client.post("/v1/any", content=large)).content) == len(large)
        asked = service.asked
        refused = await client.post("/v1/any", content=large + b"x" * 2**22)
        assert refused.status_code == 413
        assert "32 MiB" in refused.json()["error"]["message"]
        assert service.asked == asked, "the service need not be woken for that"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(34):
                yield b"x" * 2**20

        with suppress(httpx2.WriteError):  # The answer comes while the client is still sending.
            assert (await client.post("/v1/any", content=pieces())).status_code == 413

    scene(play)


def test_ending_the_proxy_breaks_off_what_is_under_way() -> None:
    async def played() -> None:
        service = Service()
        async with reached(service) as endpoint, httpx2.AsyncClient(trust_env=False, verify=False) as client:
            async with running(endpoint, listen(0), key=None, models=[MODEL]) as url:
                asking = asyncio.create_task(client.post(f"{url}/v1/pieces", content=b"{}"))
                await service.arrived.wait()
            with pytest.raises(httpx2.HTTPError):
                await asking
            await asyncio.wait_for(service.gone.wait(), 120)

    asyncio.run(played())


def test_this_machine_is_let_in() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for host in ("localhost:8384", "127.0.0.1", "[::1]:8384", "LOCALHOST"):
            assert (await client.get("/health", headers={"Host": host})).status_code == 200, host

    scene(play)


OUTSIDE = (
    {"Host": "evil.example"},
    {"Host": "evil.example:8384"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1@evil.example"},
    {"Host": "192.168.1.7:8384"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
)
REQUESTS = (("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("OPTIONS", "/v1/models"))


def test_web_pages_and_their_tricks_are_not() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for headers in OUTSIDE:
            for verb, path in REQUESTS:
                refused = await client.request(verb, path, headers=headers)
                assert refused.status_code == 403, headers
                assert refused.json()["error"]["type"] == "permission_error"
                assert "access-control-allow-origin" not in refused.headers

    assert scene(play).asked == 0


def test_a_page_of_the_proxys_own_address_is_let_in() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        own = str(client.base_url).rstrip("/")
        headers = {"Origin": own, "Sec-Fetch-Site": "same-origin"}
        assert (await client.get("/health", headers=headers)).status_code == 200

    scene(play)


def test_it_is_no_proxy_for_other_addresses() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(
            b"GET http://elsewhere.example/ HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()

    assert scene(play).asked == 0


@pytest.mark.parametrize("target", [b"http://localhost/v1/models", b"*", b"v1/models", b"localhost:80"])
def test_what_is_no_path_is_refused_with_the_reason(target: bytes) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        answer = await sent_raw(client, b"OPTIONS " + target + b" HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400")

    assert scene(play).asked == 0


def test_a_head_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        for endless in (b"GET /" + b"a" * 2**21, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"a" * 2**21):
            answer = await sent_raw(client, endless)
            assert answer.startswith(b"HTTP/1.1 400")
            assert answer.endswith(b"the head of a request may have 64 KiB")

    assert scene(play).asked == 0


def test_a_long_body_is_not_counted_to_the_head_of_the_next_request() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        shown = b"host: localhost\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"
        first = b"POST /v1/any HTTP/1.1\r\n" + shown + b"content-length: 100000\r\n\r\n" + b"x" * 100_000
        second = b"GET /health HTTP/1.1\r\n" + shown + b"connection: close\r\n\r\n"
        answer = await sent_raw(client, first + second[:20], second[20:])
        assert answer.count(b"HTTP/1.1 200") == 2

    scene(play)


def test_a_header_passes_byte_by_byte_whether_it_is_text_or_not() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        head = (
            b" /v1/any HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer "
            + KEY.encode()
            + b"\r\nx-name: "
        )
        for name in (UTF8, LATIN1):
            for end in ENDS:
                method = b"POST" if end.strip() else b"GET"
                assert b" 200 " in await sent_raw(client, method + head + name + b"\r\n" + end)

    names = [value for seen in scene(play).seen for key, value in seen.headers if key == b"x-name"]
    assert names == [UTF8] * len(ENDS) + [LATIN1] * len(ENDS)


UTF8, LATIN1 = b"\xc3\xa9", b"\xe9"
ENDS = (
    b"\r\n",
    b"content-length: 100000\r\n\r\n" + b"x" * 100_000,
    b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
)


async def sent_raw(client: httpx2.AsyncClient, *pieces: bytes) -> bytes:
    """What comes back, up to the end of the connection, to bytes that are sent as they stand."""
    assert client.base_url.port
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    for piece in pieces:
        writer.write(piece)
        with suppress(ConnectionError):
            await writer.drain()
    came = b""
    with suppress(ConnectionError):
        while piece := await asyncio.wait_for(reader.read(2**16), 120):
            came += piece
    writer.close()
    return came


def test_the_identity_of_the_proxy_is_not_in_its_answers() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.lets_in = False
        refused = await client.post("/v1/any", content=b"x")
        assert YOU in refused.text
        assert id_token(1) not in refused.text + str(refused.headers)

    scene(play, identity=Passport())
