"""A gateway that only counts: requests and answers pass byte by byte as they are, and what they took is told under the conventions' names."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest

from gateways import asked
from homeport.endpoint import Endpoint
from homeport.engines.metric_names import selected
from homeport.gateway.apis import APIS
from homeport.gateway.counting import CountingApp
from homeport.gateway.metric_names import NAMES
from homeport.gateway.metrics import GatewayMetrics, MetricsApp, without_metrics
from homeport.proxy import listen
from homeport.relay.direct_answer import DirectAnswer
from homeport.relay.messages import Message
from homeport.relay.onward import Onward
from homeport.relay.presence import WHOLE
from homeport.relay.served import served
from homeport.relay.upstream import Upstream
from nobody import nobody_at
from parrot_engine import Parrot

GENERATING = [path for path in APIS if "embed" not in path]


@dataclass
class Front:
    """What is asked, before an engine and at the engine itself."""

    parrot: Parrot
    client: httpx2.AsyncClient
    engine: httpx2.AsyncClient
    metrics: GatewayMetrics

    def told(self, series: str) -> float | None:
        found = re.search(f"^{re.escape(series)} (.+)$", self.metrics.text().decode(), re.MULTILINE)
        return float(found[1]) if found else None


def scene(play: Callable[[Front], Coroutine[None, None, None]], parrot: Parrot | None = None) -> None:
    """Play with a counting gateway before a parrot."""

    async def whole() -> None:
        async with fronted(parrot or Parrot()) as front:
            await play(front)

    asyncio.run(whole())


@asynccontextmanager
async def fronted(parrot: Parrot) -> AsyncIterator[Front]:
    async with parrot.serving() as engine:
        metrics = GatewayMetrics("parrot")
        app = CountingApp(Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), metrics)
        try:
            async with (
                served(without_metrics(app), listen(0)) as url,
                httpx2.AsyncClient(base_url=url, timeout=120, trust_env=False, verify=False) as client,
                httpx2.AsyncClient(base_url=engine, timeout=120, trust_env=False, verify=False) as direct,
            ):
                yield Front(parrot, client, direct, metrics)
        finally:
            await app.aclose()


@pytest.mark.parametrize("stream", [False, True])
def test_every_api_gets_the_same_bytes_as_without_it(stream: bool) -> None:
    async def play(front: Front) -> None:
        for api in GENERATING:
            body = asked(api, "What is the capital of Italy?", stream=stream) | {
                "a_new_field": [1, {"x": None}]
            }
            through, direct = await front.client.post(api, json=body), await front.engine.post(api, json=body)
            assert (through.status_code, through.content) == (200, direct.content)
            assert through.headers["content-type"] == direct.headers["content-type"]
        sent = [request for path, request in front.parrot.asked if path == GENERATING[0]]
        assert sent[0] == sent[1]
        assert "a_new_field" in sent[0]

    scene(play)


def test_what_has_come_as_a_whole_goes_on_in_one_and_what_is_on_its_way_as_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, send = [], Upstream.send
    body = json.dumps(asked("/v1/chat/completions", "x", stream=False)).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )

    async def play(front: Front) -> None:
        for pieces in ([head + body], [head, body]):
            begun = asyncio.Event()

            async def noted(
                upstream: Upstream, request: Onward, begun: asyncio.Event = begun
            ) -> DirectAnswer:
                sent.append(request.body)
                begun.set()
                return await send(upstream, request)

            monkeypatch.setattr(Upstream, "send", noted)
            reader, writer = await asyncio.open_connection("127.0.0.1", front.client.base_url.port)
            for piece in pieces:
                writer.write(piece)
                await begun.wait()
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        assert sent[0] == body
        assert not isinstance(sent[1], bytes)
        first, second = [request for _, request in front.parrot.asked]
        assert first == second == json.loads(body)

    scene(play)


def test_who_is_gone_before_what_he_sent_is_read_is_counted_as_gone() -> None:
    async def play() -> None:
        metrics = GatewayMetrics("parrot")
        app = CountingApp(Endpoint(name="home", base_url="http://127.0.0.1:9/v1", model="parrot"), metrics)
        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "raw_path": b"/v1/chat/completions",
            "query_string": b"", "headers": [(b"content-length", b"2")], "state": {WHOLE: True},
        }  # fmt: skip

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError(message)

        await app(scope, receive, send)
        await app.aclose()
        assert re.search(r'duration_seconds_count\{error_type="client_gone",.*\} 1', metrics.text().decode())

    asyncio.run(play())


def test_a_path_that_nobody_knows_passes_and_is_not_counted() -> None:
    async def play(front: Front) -> None:
        answer = await front.client.post("/api/show?verbose=1", json={"name": "parrot"})
        assert answer.status_code == 200
        assert (await front.client.get("/v1/models")).json()["data"][0]["id"] == "parrot"
        assert front.told('gen_ai_server_request_duration_seconds_count{error_type="",gen_ai_operation_name="chat",'
                          'gen_ai_request_model="parrot"}') == 0  # fmt: skip

    scene(play)


def test_tokens_requests_and_first_tokens_are_counted_under_the_conventions_names() -> None:
    async def play(front: Front) -> None:
        for stream in (False, True):
            await front.client.post(
                "/v1/chat/completions",
                json=asked("/v1/chat/completions", "x", stream=stream) | {"stream_options": {"include_usage": True}},
            )  # fmt: skip
        await front.client.post("/api/chat", json=asked("/api/chat", "x", stream=True))
        own = 'gen_ai_operation_name="chat",gen_ai_request_model="parrot"'
        assert front.told(f'gen_ai_server_request_duration_seconds_count{{error_type="",{own}}}') == 3
        assert front.told(f"gen_ai_server_time_to_first_token_seconds_count{{{own}}}") == 2, "of streams"
        given = front.told(f'gen_ai_client_token_usage_sum{{{own},gen_ai_token_type="output"}}')
        assert given is not None
        assert given >= 6
        assert front.told("homeport_gateway_active_requests") == 0
        assert (front.told("homeport_gateway_answer_pieces_total") or 0) >= 2

    scene(play)


def test_a_piece_goes_on_before_the_next_one_is_there_and_the_request_is_seen_to_run() -> None:
    async def play(front: Front) -> None:
        pause = front.parrot.pause
        assert pause is not None
        async with front.client.stream(
            "POST", "/v1/chat/completions", json=asked("/v1/chat/completions", "x", stream=True)
        ) as answer:
            pieces = answer.aiter_bytes()
            first = await anext(pieces)
            assert b"data: " in first
            assert front.told("homeport_gateway_active_requests") == 1
            pause.set()
            rest = b"".join([piece async for piece in pieces])
        assert rest.endswith(b"data: [DONE]\n\n")

    scene(play, Parrot(pause=asyncio.Event()))


def test_whoever_hangs_up_ends_the_engines_work_and_is_counted_as_gone() -> None:
    async def play(front: Front) -> None:
        async with front.client.stream(
            "POST", "/v1/chat/completions", json=asked("/v1/chat/completions", "x", stream=True)
        ) as answer:
            await anext(answer.aiter_bytes())
        await asyncio.wait_for(front.parrot.hung_up.wait(), 120)
        series = (
            'gen_ai_server_request_duration_seconds_count{error_type="client_gone",gen_ai_operation_name="chat",'
            'gen_ai_request_model="parrot"}'
        )
        async with asyncio.timeout(120):
            while front.told(series) != 1:
                await front.client.get("/v1/models")
        assert front.told("homeport_gateway_active_requests") == 0

    scene(play, Parrot(pause=asyncio.Event()))


ENDED = 'gen_ai_server_request_duration_seconds_count{error_type="%s",gen_ai_operation_name="chat",gen_ai_request_model="parrot"}'


def test_an_answer_that_comes_as_a_whole_has_no_first_token() -> None:
    async def play(front: Front) -> None:
        for api in APIS:
            body = asked(api, "x", stream=False) if api in GENERATING else {"input": "x", "stream": False}
            assert (await front.client.post(api, json=body)).status_code == 200
        text = front.metrics.text().decode()
        counts = re.findall(r"^gen_ai_server_time_to_first_token_seconds_count{.*} (.*)$", text, re.MULTILINE)
        assert counts == ["0.0"]

    scene(play)


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_hangs_up_with_the_whole_answer_in_hand_is_counted_with_its_tokens(stream: bool) -> None:
    async def play(front: Front) -> None:
        metrics = GatewayMetrics("parrot")
        app = CountingApp(
            Endpoint(name="home", base_url=f"{front.engine.base_url}/v1", model="parrot"), metrics
        )
        asking = json.dumps(asked("/v1/chat/completions", "x", stream=stream)).encode()
        coming = [{"type": "http.request", "body": asking, "more_body": False}]
        came, whole = bytearray(), asyncio.Event()

        async def receive() -> Message:
            if coming:
                return coming.pop()
            await whole.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            came.extend(message.get("body", b""))
            if came.endswith(b"data: [DONE]\n\n" if stream else b"}"):
                whole.set()
                await asyncio.sleep(0)

        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(asking)).encode())]
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
                 "raw_path": b"/v1/chat/completions", "headers": headers}  # fmt: skip
        try:
            await app(scope, receive, send)
        finally:
            await app.aclose()
        told = metrics.text().decode()
        assert f"{ENDED % ''} 1.0" in told
        assert re.search(r"^gen_ai_client_token_usage_count{.*} 1.0$", told, re.MULTILINE), told

    scene(play)


def test_whoever_hangs_up_while_sending_is_no_fault_of_the_engines() -> None:
    async def play(front: Front) -> None:
        url = front.client.base_url
        for _ in range(5):
            _, sending = await asyncio.open_connection(url.host, url.port)
            sending.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            await sending.drain()
            async with asyncio.timeout(120):
                while front.told("homeport_gateway_active_requests") != 1:
                    await front.client.get("/v1/models")
            sending.transport.abort()
            async with asyncio.timeout(120):
                while front.told("homeport_gateway_active_requests") != 0:
                    await front.client.get("/v1/models")
        assert (front.told(ENDED % "client_gone"), front.told(ENDED % "engine")) == (5, None)

    scene(play)


FAILED = b'{"error": {"message": "out of memory"}}'
CREATED = b'{"type": "response.created", "response": {"error": null}}'


@pytest.mark.parametrize(
    ("kind", "raw", "error"),
    [
        ("application/x-ndjson", b'{"message": {"content": "Ro"}}\n{"error": "an error was encountered"}\n', "engine"),
        ("application/x-ndjson", b'{"message": {"content": "Ro"}}\n{"error": "its end has no line feed"}', "engine"),
        ("text/event-stream", b'data: {"choices": [{"delta": {"content": "Ro"}}]}\n\ndata: ' + FAILED + b"\n\n", "engine"),
        ("text/event-stream", b'data: {"type": "response.failed", "response": ' + FAILED + b"}\n\n", "engine"),
        ("text/event-stream", b"data: " + CREATED + b"\n\ndata: [DONE]\n\n", ""),
        ("application/json", b'{"error": null, "status": "completed"}', ""),
        ("application/json", FAILED, "engine"),
    ],
)  # fmt: skip
def test_an_answer_that_ends_in_an_error_is_counted_as_one(kind: str, raw: bytes, error: str) -> None:
    async def play(front: Front) -> None:
        answer = await front.client.post("/v1/chat/completions", json={"model": "parrot", "messages": []})
        assert (answer.status_code, answer.content) == (200, raw)
        assert front.told(ENDED % error) == 1

    scene(play, Parrot(raw=raw, kind=kind))


def test_an_error_that_was_told_stays_one_when_the_client_hangs_up_at_it() -> None:
    async def play(front: Front) -> None:
        pause = front.parrot.pause
        assert pause is not None
        body = asked("/v1/chat/completions", "x", stream=True)
        async with front.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert FAILED in await anext(answer.aiter_bytes())
        async with asyncio.timeout(120):
            while front.told("homeport_gateway_active_requests") != 0:
                await front.client.get("/gateway/health")
        pause.set()
        assert (front.told(ENDED % "engine"), front.told(ENDED % "client_gone")) == (1, None)

    raw = b"data: " + FAILED + b"\n\n"
    scene(play, Parrot(raw=raw, kind="text/event-stream", pause=asyncio.Event()))


@pytest.mark.parametrize("raw", [b"data: {not json\n\ndata: [DONE]\n\n", b"data: \xff\xfe\n\n", b"{" * 5000])
@pytest.mark.parametrize(
    "kind", ["text/event-stream", "application/x-ndjson", "application/json", "text/html"]
)
def test_an_answer_that_is_not_understood_passes_all_the_same(raw: bytes, kind: str) -> None:
    async def play(front: Front) -> None:
        answer = await front.client.post("/v1/chat/completions", json={"model": "parrot", "messages": []})
        assert (answer.status_code, answer.content) == (200, raw)

    scene(play, Parrot(raw=raw, kind=kind))


def test_an_engine_that_is_gone_is_told_and_counted() -> None:
    async def play(port: int) -> None:
        metrics = GatewayMetrics("parrot")
        app = CountingApp(Endpoint(name="x", base_url=f"http://127.0.0.1:{port}/v1", model="parrot"), metrics)
        try:
            async with (
                served(app, listen(0)) as url,
                httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
            ):
                answer = await client.post("/v1/chat/completions", json={})
                assert answer.status_code == 502
                assert "the engine did not answer" in answer.json()["error"]["message"]
                assert (await client.get("/gateway/health")).status_code == 200
        finally:
            await app.aclose()
        assert b'error_type="engine"' in metrics.text()

    with nobody_at() as port:
        asyncio.run(play(port))


def test_what_is_counted_is_not_told_where_requests_come_to() -> None:
    async def play(front: Front) -> None:
        for path in ("/metrics", "/metrics/", "/metrics?name=x"):
            assert (await front.client.get(path)).status_code == 404, path
        async with served(MetricsApp(front.metrics), listen(0)) as url:
            inside = await front.client.get(f"{url}/metrics")
        assert "gen_ai_server_request_duration_seconds" in inside.text

    scene(play)


def test_every_name_that_panels_ask_for_is_told_before_anybody_has_asked_anything() -> None:
    text = GatewayMetrics("parrot").text().decode()
    assert all(re.search(f"^{name}[ {{]", text, re.MULTILINE) for name in NAMES.series() - set(NAMES.ttft))
    bounds = {float(one) for one in re.findall(r'time_to_first_token_seconds_bucket\{.*le="([0-9.]+)"', text)}
    assert bounds == set(NAMES.ttft_bounds)


def test_labels_of_a_name_and_those_of_an_endpoint_stand_together() -> None:
    assert selected("up", '{namespace="home"}') == 'up{namespace="home"}'
    assert selected('a_sum{kind="x"}', '{namespace="home"}') == 'a_sum{kind="x",namespace="home"}'
    assert json.dumps(sorted(NAMES.series())).count("{") == 0
