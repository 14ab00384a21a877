"""An endpoint whose certificate no authority has signed that this machine knows: it is reached by whoever was handed that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from edges import write_certificate
from homeport.endpoint import Endpoint
from homeport.errors import NotRunning


class Models(BaseHTTPRequestHandler):
    """Has none."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def behind(certificate: Path, key: Path) -> Iterator[str]:
    """The address of a server that shows a certificate."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Models)
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(certificate, key)
    server.socket = shown.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"https://localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


async def status(endpoint: Endpoint) -> int:
    async with endpoint.client(timeout_s=30) as client:
        return (await client.get("/v1/models")).status_code


def test_it_is_reached_with_its_certificate_and_not_without(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, "localhost")
    with behind(certificate, key) as url:
        strange = Endpoint(name="x", base_url=f"{url}/v1", model="m")
        known = Endpoint(name="x", base_url=f"{url}/v1", model="m", trusted=certificate.read_text())
        assert asyncio.run(status(known)) == 200
        with pytest.raises(NotRunning):
            asyncio.run(status(strange))
    assert certificate.read_text() not in repr(known)
