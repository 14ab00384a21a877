"""
Ollama's own API, by the clients of its makers (PyPI and npm): `make test-clients`.

They judge what stands for Ollama in our tests, what homeport's gateway says in its place, and what homeport asks it for.
Ollama itself is not here, and nothing of this was checked against it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateways import ATTACK, CARD, gateway
from homeport.engines.base import Launch
from homeport.engines.ollama import engine as ollama
from homeport.resources.local.readiness import _set_up
from parrot_engine import Parrot
from places import ROOT
from requests_to_engines import gguf, installed, request_of
from scripted_engine import KEY, MODEL, Engine

PROGRAMS = ROOT / "tests" / "support" / "clients"
ENVIRONMENTS = ROOT / ".cache" / "clients"
CLIENTS = {"ollama": "ollama_python.py", "ollama-npm": "ollama-npm.mjs"}
WANTED = os.environ.get("CLIENTS", "").split()
Json = Any  # JSON, parsed again

pytestmark = pytest.mark.clients


def asked(name: str, folder: Path, url: str, parts: str, **more: str) -> dict[str, Json]:
    """What the client of that name makes of these parts. Skips the test where its environment was not made."""
    if name not in WANTED:
        pytest.skip(f"CLIENTS does not name {name}")
    home, program = ENVIRONMENTS / name, CLIENTS[name]
    command = [str(home / "bin" / "python"), str(PROGRAMS / program)]
    if program.endswith(".mjs"):
        if shutil.which("node") is None:
            pytest.skip("there is no Node here")
        for one in ("said.mjs", program):
            shutil.copy(PROGRAMS / one, home)
        command = ["node", "--require", str(PROGRAMS / "guard.cjs"), str(home / program)]
    notes = folder / "left"
    told = {"OLLAMA_HOST": url, "OLLAMA_PARTS": parts, "OPENAI_MODEL": MODEL, "OPENAI_API_KEY": KEY, **more}
    of_the_test = {one: os.environ[one] for one in ("PATH", "HOME", "PYTHONPATH")}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=200, check=False,
        env={**of_the_test, "GUARD_NOTES": str(notes), **told},
    )  # fmt: skip
    lines = [line for line in ran.stdout.splitlines() if line.startswith('{"version"')]
    assert lines, ran.stdout + ran.stderr
    assert not notes.exists(), "it tried to reach others than this machine"
    answer: dict[str, Json] = json.loads(lines[-1])
    return answer


def said(told: dict[str, Json]) -> dict[str, Json]:
    """What came of each part that raised nothing."""
    return {part: one["said"] for part, one in told.items() if part != "version" and "said" in one}


@pytest.mark.parametrize("name", CLIENTS)
def test_what_stands_for_ollama_answers_as_its_clients_read_it(name: str, tmp_path: Path) -> None:
    """The engine by which `verify` of `/api/chat` is tested."""
    with Engine() as engine:
        told = asked(name, tmp_path, engine.url, "chat stream tool result unknown")
    came = said(told)
    assert came["chat"] == {"text": "Rome is the capital of Italy.", "done": True}, told
    assert "".join(came["stream"]["text"]).split() == ["Rome", "is", "the", "capital", "of", "Italy."]
    assert (len(came["stream"]["text"]) > 1, came["stream"]["end"]) == (True, "stop")
    assert came["tool"] == [{"name": "get_weather", "city": "Paris"}]
    assert "15 C" in came["result"], "it was given a result, and told what it says"
    assert told["unknown"]["raised"] == "ResponseError"
    assert "model 'no-such-model' not found" in told["unknown"]["text"]


@pytest.mark.parametrize("name", CLIENTS)
def test_what_the_gateway_lets_through_is_what_the_engine_said(name: str, tmp_path: Path) -> None:
    parrot = Parrot()

    async def play() -> dict[str, Json]:
        async with gateway(parrot) as stage:
            parts = "chat stream generate embed models forbidden"
            return await asyncio.to_thread(
                asked, name, tmp_path, stage.url, parts, OPENAI_MODEL="parrot", OLLAMA_FORBIDDEN=ATTACK
            )

    told = asyncio.run(play())
    came = said(told)
    assert came["chat"] == {"text": parrot.says, "done": True}, told
    assert ("".join(came["stream"]["text"]), came["stream"]["end"]) == (parrot.says, "stop")
    assert "".join(came["generate"]) == parrot.says
    assert came["embed"] == [[0.1, 0.2], [0.1, 0.2]]
    assert came["models"] == ["parrot"]
    assert told["forbidden"]["raised"] == "ResponseError"
    assert "refused by the gateway: match" in told["forbidden"]["text"]
    assert ATTACK not in json.dumps(parrot.asked), "the engine was not asked"


@pytest.mark.parametrize("name", CLIENTS)
def test_an_answer_that_the_gateway_stops_ends_as_a_filtered_one_for_the_client(
    name: str, tmp_path: Path
) -> None:
    async def play() -> dict[str, Json]:
        async with gateway(Parrot(says=f"It is {CARD}, yes.")) as stage:
            return await asyncio.to_thread(
                asked, name, tmp_path, stage.url, "chat stream", OPENAI_MODEL="parrot"
            )

    came = said(asyncio.run(play()))
    assert came["chat"] == {"text": "", "done": True}
    assert came["stream"]["end"] == "content_filter"
    assert "4111" not in "".join(came["stream"]["text"])


@contextmanager
def noting() -> Iterator[tuple[str, list[tuple[str, str, Json]]]]:
    """A server that takes everything, and the verb, path and body (a digest where it is no JSON) of what it was sent."""
    sent: list[tuple[str, str, Json]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send_response(404)
            self.end_headers()

        def do_POST(self) -> None:
            body = self._body()
            try:
                sent.append(("POST", self.path, json.loads(body)))
            except ValueError:
                sent.append(("POST", self.path, hashlib.sha256(body).hexdigest()))
            answer = b'{"status": "success"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding") != "chunked":
                return self.rfile.read(int(self.headers["content-length"]))
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def set_up(launch: Launch, url: str) -> None:
    """Ask for what the engine needs once, at another port than it would have."""
    port = int(url.rpartition(":")[2])
    asyncio.run(_set_up(replace(launch, port=port), time.monotonic() + 60))


def test_homeport_gives_ollama_weights_of_ones_own_as_ollamas_client_does(tmp_path: Path) -> None:
    wanted = gguf(request_of(tmp_path))
    wanted = replace(wanted, sha256=hashlib.sha256(wanted.weights.read_bytes()).hexdigest())
    launch = ollama.launch(wanted, installed("ollama"))
    with noting() as (url, ours):
        set_up(launch, url)
    with noting() as (url, theirs):
        asked("ollama", tmp_path, url, "mine", OPENAI_MODEL=launch.model, OLLAMA_GGUF=str(wanted.weights))
    assert [path.partition("sha256")[0] for _, path, _ in ours] == ["/api/blobs/", "/api/create"]
    assert ours == theirs


def test_homeport_has_ollama_pull_a_model_as_ollamas_client_does(tmp_path: Path) -> None:
    launch = ollama.launch(request_of(tmp_path), installed("ollama"))
    with noting() as (url, ours):
        set_up(launch, url)
    with noting() as (url, theirs):
        asked("ollama", tmp_path, url, "pulled", OPENAI_MODEL=launch.model)
    (ours_of, (verb, path, body)) = ours, theirs[0]
    assert body.pop("insecure") is False, "its default, said aloud"
    assert ours_of == [(verb, path, body)]
