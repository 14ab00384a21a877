"""The door before vLLM's server: our wrapper, with a server in vLLM's place that takes `--middleware` as vLLM does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from hypothesis import given, settings

from homeport import door
from homeport.engines.vllm.server import homeport_vllm
from homeport.free_ports import free_port
from hostile import LOOPBACK, NOT_LOOPBACK, spelt
from places import ROOT

WRAPPER = ROOT / "src" / "homeport" / "engines" / "vllm" / "server" / "homeport_vllm.py"
KEY = "hp-the-key-of-this-engine"
IN_VLLMS_PLACE = """
import argparse, importlib, uvicorn

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--middleware", action="append", default=[])
    told, served = parser.parse_args(), app
    for name in told.middleware:
        module, _, kind = name.rpartition(".")
        served = getattr(importlib.import_module(module), kind)(served)
    print("middleware", *told.middleware, flush=True)
    uvicorn.run(served, host=told.host, port=told.port, log_level="critical", http="h11", lifespan="off")
"""


@contextmanager
def wrapped(folder: Path, host: str, *, key: bool) -> Iterator[httpx2.Client]:
    """A client of the wrapped server, with the key."""
    package = folder / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    for above in (package, package.parent, package.parent.parent):
        (above / "__init__.py").touch()
    (package / "main.py").write_text(IN_VLLMS_PLACE)
    port = free_port("127.0.0.1")
    env = {
        "PYTHONPATH": str(folder),
        "PATH": "/usr/bin:/bin",
        **({"HOMEPORT_KEY_ON_STDIN": "1"} if key else {}),
    }
    process = subprocess.Popen(
        [sys.executable, str(WRAPPER), "serve", "--host", host, "--port", str(port)],
        env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"api_key": KEY}) + "\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("middleware")
        transport = httpx2.HTTPTransport(retries=10)
        headers = {"authorization": f"Bearer {KEY}"}
        base = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=base, transport=transport, headers=headers, trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.communicate(timeout=120)


def asked(client: httpx2.Client, host: str, path: str = "/v1/models") -> int:
    """The status of a request under this name."""
    return client.get(path, headers=[(b"host", host.encode("latin-1"))]).status_code


@pytest.mark.parametrize("key", [True, False])
def test_on_loopback_it_answers_to_this_machines_names_alone(tmp_path: Path, key: bool) -> None:
    with wrapped(tmp_path, "127.0.0.1", key=key) as client:
        for host in LOOPBACK:
            assert asked(client, host) == 200, host
        for host in NOT_LOOPBACK:
            assert asked(client, host) in {400, 403}, host
            assert asked(client, host, "/health") in {400, 403}, host
        refused = client.get("/v1/models", headers={"authorization": "Bearer another"})
        assert refused.status_code == (401 if key else 200)


def test_beyond_loopback_it_is_the_key_that_keeps_others_out(tmp_path: Path) -> None:
    with wrapped(tmp_path, "0.0.0.0", key=True) as client:
        assert asked(client, "gpu-box.lan:8000") == 200
        assert client.get("/v1/models", headers={"authorization": "Bearer another"}).status_code == 401


@settings(max_examples=250)
@given(spelt(LOOPBACK).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_the_wrapper_which_stands_alone_knows_the_same_names_as_homeports_own_door(host: bytes) -> None:
    assert homeport_vllm._is_own_name(host) == door.is_own_name(host)
