"""What `verify` takes for an answer of an API gateway: two pieces of a stream at least, and none without a key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from homeport.endpoint import Endpoint
from homeport.resources.google.api_gateway import KEY_HEADER
from homeport.targets.cloudrun.api_gateway.check import ReachedGateway, answers_to_keys
from homeport.task import Task
from homeport.verify import Finding, Outcome

ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
TEXT = {"choices": [{"index": 0, "delta": {"content": "one two"}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE = {"choices": [], "usage": {"total_tokens": 9}}
KEYS = {"alice": "key-of-alice", "bob": "key-of-bob"}


@contextmanager
def gateway(*events: object) -> Iterator[str]:
    """Serve a gateway on loopback, behind which each streamed answer has these events."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = self.headers.get(KEY_HEADER, "")
            self._say(200 if key in KEYS.values() else 400 if key else 401, "application/json", "{}")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path.endswith("/embeddings"):
                vector = {"index": 0, "embedding": [0.6, 0.8]}
                self._say(200, "application/json", json.dumps({"data": [vector]}))
                return
            said = [json.dumps(event) for event in events]
            text = "".join(f"data: {each}\n\n" for each in (*said, "[DONE]"))
            self._say(200, "text/event-stream", text)

        def _say(self, status: int, kind: str, text: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def checked(url: str, task: Task = "generate") -> Finding:
    endpoints = {
        client: Endpoint(name="home", base_url=url, model="m", headers={KEY_HEADER: key}, task=task)
        for client, key in KEYS.items()
    }
    return asyncio.run(answers_to_keys(ReachedGateway(endpoints=endpoints)))


def test_an_answer_in_pieces_passes_and_is_counted_without_its_usage() -> None:
    with gateway(ROLE, TEXT, END, USAGE) as url:
        found = checked(url)
    assert found.outcome is Outcome.PASSED
    assert "in 3 pieces" in found.detail


@pytest.mark.parametrize(
    ("events", "counted"), [((), "0 pieces"), ((USAGE,), "0 pieces"), ((TEXT, USAGE), "1 piece ")]
)
def test_a_stream_that_holds_no_answer_in_pieces_fails(events: tuple[object, ...], counted: str) -> None:
    with gateway(*events) as url:
        found = checked(url)
    assert found.outcome is Outcome.FAILED
    assert f"the key of alice gets no answer: its stream holds {counted}" in found.detail


def test_vectors_are_one_piece() -> None:
    with gateway() as url:
        found = checked(url, "embed")
    assert found.outcome is Outcome.PASSED
    assert "in 1 piece," in found.detail
