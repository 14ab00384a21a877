"""Before the door is closed each way of a load balancer is asked: the address, paths, headers, and what shares the traffic."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import things
from deployment import google_for
from edges import DOMAIN, WithEdge
from homeport.google.credentials import GoogleIdentity
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.secret import Secret
from homeport.targets.cloudrun.edge.backends import named_backends
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts
from homeport.targets.cloudrun.edge.proof import asks
from homeport.targets.cloudrun.names import Names

NAMES = Names(name="home", project="rehearsal", region="europe-west4")


class Balancer(http.server.ThreadingHTTPServer):
    """Stands for the load balancer: all that it is asked is kept, and one thing is answered with 404."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, str]] = []
        """The path, the engine and the number that each request named."""
        self.missing: tuple[str, str, str] | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        balancer = self.server
        assert isinstance(balancer, Balancer)
        said = (self.path, self.headers.get("x-engine", ""), self.headers.get(CANDIDATE_HEADER, ""))
        balancer.asked.append(said)
        body = json.dumps({"data": [{"id": "m"}]}).encode()
        self.send_response(404 if said == balancer.missing else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def balancer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Balancer]:
    async def made(_: GoogleIdentity) -> Secret:
        return Secret("a-token")

    monkeypatch.setattr(GoogleIdentity, "token", made)
    with Balancer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def test_every_way_is_asked_and_the_one_that_leads_nowhere_is_named(
    balancer: Balancer, tmp_path: Path
) -> None:
    deployer = WithEdge("ollama", tmp_path)
    another = deployer.wanted().model_copy(update={"name": "other"})
    deployer.up(another)
    wanted = deployer.behind(backends={"/small": "other", "X-Engine: vllm": "other"}, shares={"other": 10})
    deployer.up(wanted)
    (number,) = [
        kept.body["id"]
        for kept in things(deployer.cloud)
        if kept.name.endswith("/backendServices/home-edge-to-other")
    ]
    edge = wanted.edge
    assert edge is not None
    parts = EdgeParts(
        google=google_for(deployer.cloud),
        names=NAMES,
        edge=edge,
        base=tmp_path,
        behind=tuple(named_backends(edge)),
    )
    ways = {
        ("/v1/models", "", ""): "",
        ("/small/v1/models", "", ""): " at /small",
        ("/v1/models", "vllm", ""): " with x-engine: vllm",
        ("/v1/models", "", number): " with 10% of the requests",
    }

    async def work() -> str:
        return await asks(parts, via=f"http://127.0.0.1:{balancer.server_address[1]}")({})

    def ask() -> str:
        return asyncio.run(work())

    assert ask() == ""
    assert sorted(balancer.asked) == sorted(ways)
    for missing, told in ways.items():
        balancer.missing = missing
        assert ask() == f"it says 404{told}"
    assert edge.address == f"https://{DOMAIN}"
