"""The door over real sockets: connections that break, and HTTP/2."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from google_door import TOKEN, YOU
from homeport.errors import GoogleError, NetworkError
from homeport.google import ANSWER_LOST, Google, Settings
from homeport.google.credentials import from_access_token
from homeport.google.exchange import Exchange
from homeport.google.retry import Pace
from homeport.google.wire import HttpWire

QUICK = Settings(pace=Pace(first_wait=0.01), attempt=5)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def request_of(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(
        (int(line[16:]) for line in head.lower().splitlines() if line.startswith("content-length: ")), 0
    )
    await reader.readexactly(length)
    return head.splitlines()[0]


def flaky(drops: int, seen: list[str]) -> Serve:
    """A server that takes the first requests and hangs up without a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await request_of(reader))
        if len(seen) > drops:
            body = json.dumps({"name": "home"}).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
            )
            await writer.drain()
        writer.close()

    return serve


async def with_server(serve: Serve, work: Callable[[Google], Awaitable[object]]) -> object:
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with (
        listening,
        Google(from_access_token(TOKEN, YOU), base_url=f"http://127.0.0.1:{port}", settings=QUICK) as google,
    ):
        return await work(google)


def test_a_dropped_connection_is_made_again_for_what_may_be_repeated() -> None:
    seen: list[str] = []
    assert asyncio.run(with_server(flaky(2, seen), lambda google: google.get("run", "v2/x"))) == {
        "name": "home"
    }
    assert seen == ["GET /v2/x HTTP/1.1"] * 3


def test_a_dropped_connection_is_told_for_what_may_not() -> None:
    seen: list[str] = []
    with pytest.raises(GoogleError) as told:
        asyncio.run(with_server(flaky(1, seen), lambda google: google.post("cloudbuild", "v1/builds", {})))
    assert told.value.reason == ANSWER_LOST
    assert len(seen) == 1


def test_nobody_there_is_the_networks_fault() -> None:
    async def work() -> None:
        async with Google(from_access_token(TOKEN), base_url="http://127.0.0.1:9", settings=QUICK) as google:
            await google.post("run", "v2/x", {})

    with pytest.raises(NetworkError, match="no connection"):
        asyncio.run(work())


def fails_without_words(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectTimeout("", request=request)


def test_a_failure_without_words_is_told_by_its_kind() -> None:
    async def work() -> None:
        silent = httpx2.MockTransport(fails_without_words)
        async with Google(from_access_token(TOKEN), transport=silent, settings=QUICK) as google:
            await google.post("run", "v2/x", {})

    with pytest.raises(NetworkError, match="no connection: ConnectTimeout"):
        asyncio.run(work())
    with pytest.raises(NetworkError, match="for a token: ConnectTimeout"):
        Exchange(transport=httpx2.MockTransport(fails_without_words)).send(
            "POST", "https://oauth2.googleapis.com/token"
        )


def tls(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server that speaks HTTP/2 as `localhost` needs, and a client who believes it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, none = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, none)
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    server.set_alpn_protocols(["h2"])
    return server, ssl.create_default_context(cafile=str(folder / "certificate.pem"))


async def speak_h2(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: list[dict[str, str]]
) -> None:
    """A server of HTTP/2 that says {} to everything."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import RequestReceived

    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    writer.write(connection.data_to_send())
    while data := await reader.read(65536):
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                seen.append({str(name): str(value) for name, value in event.headers or ()})
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-length", "2")])
                connection.send_data(event.stream_id, b"{}", end_stream=True)
        writer.write(connection.data_to_send())
    writer.close()


def test_forty_reads_share_one_connection_of_http2_and_the_token_stays_out_of_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server, client = tls(tmp_path)
    connections, seen = [0], list[dict[str, str]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        await speak_h2(reader, writer, seen)

    async def work() -> None:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        port = listening.sockets[0].getsockname()[1]
        transport = httpx2.AsyncHTTPTransport(http2=True, verify=client)
        async with listening:
            google = Google(
                from_access_token(TOKEN), base_url=f"https://localhost:{port}", transport=transport
            )
            async with google:
                await google.get("run", "v2/first")
                await asyncio.gather(*(google.get("run", f"v2/{number}") for number in range(39)))

    asyncio.run(work())
    assert connections == [1]
    assert len(seen) == 40
    assert {headers[":authority"] for headers in seen} == {"run.googleapis.com"}
    assert {headers["authorization"] for headers in seen} == {f"Bearer {TOKEN}"}
    assert TOKEN not in caplog.text
    assert "header block" not in caplog.text


def test_google_itself_is_spoken_to_in_http2() -> None:
    async def work() -> bool:
        async with Google(from_access_token(TOKEN)) as google:
            assert isinstance(google._wire, HttpWire)
            transport = google._wire._http._transport
            assert isinstance(transport, httpx2.AsyncHTTPTransport)
            return bool(vars(transport._pool)["_http2"])

    assert asyncio.run(work())
