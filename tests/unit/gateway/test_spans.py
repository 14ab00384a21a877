"""Spans of requests: whose they are, what is in them, that no text is, and what becomes of them where nobody takes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from gateways import ATTACK, LOCAL, asked
from homeport.backoff import Backoff
from homeport.endpoint import Endpoint
from homeport.gateway.app import GatewayApp
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.screener import Screener
from homeport.gateway.screens.local import LocalScreen
from homeport.gateway.spans import Spans
from homeport.proxy import listen
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.served import served
from nobody import nobody_at
from parrot_engine import Parrot

TRACE, ABOVE = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass
class Taker:
    """Takes what is sent to it as a collector does; the real one is asked in tests/contract/test_collector.py."""

    status: int = 200
    says: bytes = b"{}"
    moved_to: str = ""
    bodies: list[Any] = field(default_factory=list)  # Any: JSON
    headers: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.bodies.append(json.loads(body))
        self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        moved = [(b"location", self.moved_to.encode())] if self.moved_to else []
        await send({"type": "http.response.start", "status": self.status, "headers": moved})
        await send({"type": "http.response.body", "body": self.says})

    @property
    def spans(self) -> list[dict[str, Any]]:
        return [
            span for body in self.bodies for one in body["resourceSpans"] for scope in one["scopeSpans"] for span in scope["spans"]
        ]  # fmt: skip


class Listening(Parrot):
    """A parrot that notes headers, too."""

    heard: list[dict[str, str]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heard = [
            *getattr(self, "heard", []),
            {name.decode(): value.decode() for name, value in scope["headers"]},
        ]
        await super().__call__(scope, receive, send)


def traced(
    play: Callable[[httpx2.AsyncClient, Listening], Coroutine[None, None, None]], taker: Taker, *, screened: bool, address: str = "",
    told: dict[str, str] | None = None,
) -> Listening:  # fmt: skip
    """Play with a gateway that sends spans to `taker`, which has all of them once this returns."""
    parrot = Listening()

    async def whole() -> None:
        async with parrot.serving() as engine, served(taker, listen(0)) as collector:
            endpoint = Endpoint(name="home", base_url=f"{engine}/v1", model="parrot")
            env = {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": address or f"{collector}/v1/traces",
                "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=a%20key,x-set=b",
                "OTEL_SERVICE_NAME": "homeport-home",
                **(told or {}),
            }
            spans, metrics = Spans(env, model="parrot", engine="parrot"), GatewayMetrics("parrot")
            screener = Screener(LocalScreen(LOCAL.filters), LOCAL)
            app: GatewayApp | CountingApp
            if screened:
                app = GatewayApp(endpoint, screener=screener, metrics=metrics, spans=spans)
            else:
                app = CountingApp(endpoint, metrics, spans)
            try:
                async with (
                    served(app, listen(0)) as url,
                    httpx2.AsyncClient(base_url=url, trust_env=False, verify=False) as client,
                ):
                    await play(client, parrot)
            finally:
                await app.aclose()

    asyncio.run(whole())
    return parrot


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@pytest.mark.parametrize("screened", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_a_span_is_below_the_clients_and_the_engine_hears_of_it(screened: bool, stream: bool) -> None:
    taker = Taker()
    body = asked("/v1/chat/completions", "Who wrote Faust?", stream=stream)

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        sent = {"traceparent": f"00-{TRACE}-{ABOVE}-01", "tracestate": "a=1"}
        assert (await client.post("/v1/chat/completions", json=body, headers=sent)).status_code == 200

    parrot = traced(play, taker, screened=screened)
    (span,) = taker.spans
    assert (span["traceId"], span["parentSpanId"], span["kind"], span["name"]) == (
        TRACE,
        ABOVE,
        2,
        "chat parrot",
    )
    assert parrot.heard[-1]["traceparent"] == f"00-{TRACE}-{span['spanId']}-01"
    assert parrot.heard[-1]["tracestate"] == "a=1"
    found = attributes(span)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == found["gen_ai.request.model"] == "parrot"
    assert (found.get("gen_ai.response.time_to_first_chunk", -1) >= 0) == stream
    assert int(span["endTimeUnixNano"]) > int(span["startTimeUnixNano"]) > 1.7e18
    if not stream:
        assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == ("7", "3")
    assert "Faust" not in json.dumps(taker.bodies)
    assert "Rome" not in json.dumps(taker.bodies)
    assert (taker.headers[0]["x-api-key"], taker.headers[0]["x-set"]) == ("a key", "b")
    resource = {
        one["key"]: one["value"]["stringValue"]
        for one in taker.bodies[0]["resourceSpans"][0]["resource"]["attributes"]
    }
    assert resource == {"service.name": "homeport-home"}


@pytest.mark.parametrize(
    "given",
    [
        [],
        [f"00-{'0' * 32}-{ABOVE}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"ff-{TRACE}-{ABOVE}-01"],
        [f"00-{TRACE}-{ABOVE}-01-more"],
        [f"00-{TRACE.upper()}-{ABOVE}-01"],
        ["nonsense", f"00-{TRACE}-{ABOVE}-01"],
        ["x" * 5000],
    ],
)
def test_without_a_traceparent_that_is_one_a_trace_begins(given: list[str]) -> None:
    taker = Taker()

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        headers = [("traceparent", one) for one in given] + [("tracestate", "a=1")]
        body = asked("/v1/chat/completions", "x", stream=False)
        assert (await client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200

    parrot = traced(play, taker, screened=False)
    (span,) = taker.spans
    assert "parentSpanId" not in span
    assert span["traceId"] != TRACE
    assert parrot.heard[-1]["traceparent"] == f"00-{span['traceId']}-{span['spanId']}-01"
    assert "tracestate" not in parrot.heard[-1]


@pytest.mark.parametrize("screened", [False, True])
@pytest.mark.parametrize("length", [1, 100_000])
def test_a_tracestate_with_bytes_that_none_has_is_dropped_and_the_request_is_not(
    length: int, *, screened: bool
) -> None:
    taker = Taker()
    body = asked("/v1/chat/completions", "x" * length, stream=False)

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        for state in ([b"a=\xfc"], [b"a=1", "b=ü".encode()]):
            headers = [
                (b"traceparent", f"00-{TRACE}-{ABOVE}-01".encode()),
                *((b"tracestate", one) for one in state),
            ]
            assert (await client.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200

    parrot = traced(play, taker, screened=screened)
    assert [span["traceId"] for span in taker.spans] == [TRACE, TRACE]
    assert not any("tracestate" in heard for heard in parrot.heard)


def test_what_a_client_does_not_want_kept_is_passed_on_and_not_sent() -> None:
    taker = Taker()

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        headers = {"traceparent": f"00-{TRACE}-{ABOVE}-00"}
        await client.post(
            "/v1/chat/completions", json=asked("/v1/chat/completions", "x", stream=False), headers=headers
        )
        await client.get("/v1/models")

    parrot = traced(play, taker, screened=True)
    assert taker.spans == []
    assert parrot.heard[0]["traceparent"].startswith(f"00-{TRACE}-")
    assert parrot.heard[0]["traceparent"].endswith("-00")


def test_a_refused_request_is_a_span_with_an_error_and_without_its_text() -> None:
    taker = Taker()

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        body = asked("/v1/chat/completions", ATTACK, stream=False) | {
            "max_tokens": 10**30,
            "temperature": 0.5,
        }
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 400

    traced(play, taker, screened=True)
    (span,) = taker.spans
    assert (span["status"]["code"], attributes(span)["error.type"]) == (2, "match")
    assert attributes(span)["gen_ai.request.temperature"] == 0.5
    assert "gen_ai.request.max_tokens" not in attributes(span), "more than a receiver can read"
    assert "ignore" not in json.dumps(taker.bodies).lower()


EARLY = [
    (b'content-length: 100\r\n\r\n{"model', "client_gone"),
    (b"content-length: 99999999\r\n\r\n", "413"),
    (b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", "415"),
    (b"content-length: 9\r\n\r\n{not json", "400"),
]


@pytest.mark.parametrize(("sent", "error"), EARLY)
def test_a_request_that_ends_before_it_is_whole_is_a_span_below_its_clients_too(
    sent: bytes, error: str
) -> None:
    taker = Taker()

    async def play(client: httpx2.AsyncClient, parrot: Listening) -> None:
        reading, sending = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntraceparent: 00-{TRACE}-{ABOVE}-01\r\n"
        sending.write(head.encode() + sent)
        await sending.drain()
        if error != "client_gone":
            assert (await reading.readline()).split()[1] == error.encode()
        sending.close()
        wait = Backoff(what="a span", within=180, first=0.02)
        while not taker.spans:
            assert await wait.pause(), "none came"
        assert parrot.asked == []

    traced(play, taker, screened=True)
    (span,) = taker.spans
    assert (span["traceId"], span["parentSpanId"]) == (TRACE, ABOVE)
    assert (span["status"]["code"], attributes(span)["error.type"]) == (2, error)


@pytest.mark.parametrize("status", [400, 503])
def test_a_receiver_that_refuses_is_told_once_and_keeps_nobody_waiting(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        for _n in range(3):
            body = asked("/v1/chat/completions", "x", stream=False)
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200

    traced(play, Taker(status=status), screened=False)
    assert capsys.readouterr().err.count("spans are lost") == 1


def test_nobody_at_the_address_changes_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        assert (
            await client.post("/v1/chat/completions", json=asked("/v1/chat/completions", "x", stream=False))
        ).status_code == 200

    with nobody_at() as port:
        traced(play, Taker(), screened=False, address=f"http://127.0.0.1:{port}/v1/traces")
    assert "spans are lost" in capsys.readouterr().err


ASKED = asked("/v1/chat/completions", "x", stream=False)


@pytest.mark.parametrize(
    ("taker", "told"),
    [
        (Taker(status=500, says=b"\xff\xfe \x80" * 4000), {}),
        (Taker(), {"OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=a%0Akey"}),
        (Taker(), {"OTEL_EXPORTER_OTLP_HEADERS": "x api=%00"}),
    ],
)
def test_neither_bytes_that_are_no_text_nor_headers_that_are_none_end_the_sending(
    taker: Taker, told: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 200
        wait, written = Backoff(what="a word of what is lost", within=180, first=0.02), ""
        while "spans are lost" not in written:
            assert await wait.pause(), "nothing was said"
            written += capsys.readouterr().err
        assert len(written) < 2000
        taker.status, taker.says = 200, b"{}"
        assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 200

    traced(play, taker, screened=False, told=told)
    assert "spans are lost" not in capsys.readouterr().err, "once"
    assert len(taker.bodies) == (0 if told else 2), "what comes later is sent"


@pytest.mark.parametrize("status", [302, 307, 308])
def test_what_a_receiver_wants_to_see_follows_no_redirection(
    status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = Taker()

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 200

    async def whole() -> None:
        async with served(elsewhere, listen(0)) as other:
            taker = Taker(status=status, moved_to=other.replace("127.0.0.1", "localhost"))
            await asyncio.to_thread(traced, play, taker, screened=False)

    asyncio.run(whole())
    assert elsewhere.bodies == []
    assert "spans are lost: http://127.0.0.1:" in (written := capsys.readouterr().err)
    assert f": {status} " in written


@pytest.mark.parametrize(("own", "key"), [("x-api-key=spans", "spans"), ("", "a key")])
def test_the_headers_for_spans_go_before_those_for_everything(own: str, key: str) -> None:
    taker = Taker()

    async def play(client: httpx2.AsyncClient, _: Listening) -> None:
        assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 200

    traced(play, taker, screened=False, told={"OTEL_EXPORTER_OTLP_TRACES_HEADERS": own})
    assert taker.headers[0]["x-api-key"] == key
    assert ("x-set" in taker.headers[0]) == (not own)
