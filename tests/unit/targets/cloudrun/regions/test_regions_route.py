"""The way of clients to several regions is asked by itself: a header that leads to one of them says nothing of it."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployment import google_for
from edges import DOMAIN
from homeport.google.credentials import GoogleIdentity
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.secret import Secret
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts
from homeport.targets.cloudrun.edge.proof import asks
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.regions.route import ClientsRoute, look_at_route
from homeport.verify import Outcome
from regions import FIRST, InTwoRegions

ADDRESS = f"https://{DOMAIN}"


class Frontend(http.server.ThreadingHTTPServer):
    """Stands for the load balancer: it answers with one status to a request that names a region, with another to one that names none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clients, self.named = 200, 200
        self.models = ["m"]
        self.asked: list[bool] = []
        """Whether each request named a region."""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        frontend = self.server
        assert isinstance(frontend, Frontend)
        named = CANDIDATE_HEADER in self.headers
        frontend.asked.append(named)
        body = json.dumps({"data": [{"id": name} for name in frontend.models]}).encode()
        self.send_response(frontend.named if named else frontend.clients)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    async def made(_: GoogleIdentity) -> Secret:
        return Secret("a-token")

    monkeypatch.setattr(GoogleIdentity, "token", made)


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    with Frontend() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("clients", "named", "said"),
    [
        (200, 200, ""),
        (503, 200, "it says 503"),
        (200, 503, f"it says 503 for {FIRST}"),
        (403, 200, ""),
    ],
)
def test_the_door_waits_for_the_way_of_clients_and_for_the_region_itself(
    frontend: Frontend, tmp_path: Path, clients: int, named: int, said: str
) -> None:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.deployed(deployer.in_both())
    frontend.clients, frontend.named = clients, named

    async def work() -> str:
        only = Names(name="home", project="rehearsal", region=FIRST)
        edge = deployer.in_both().edge
        assert edge is not None
        parts = EdgeParts(google=google_for(deployer.cloud), names=only, edge=edge, base=tmp_path)
        return await asks(parts, via=frontend.url, only=only)({})

    assert asyncio.run(work()) == said
    assert not frontend.asked[0], "clients send no header"


@pytest.mark.parametrize(
    ("status", "models", "outcome"),
    [(200, ["m"], Outcome.PASSED), (200, [], Outcome.FAILED), (503, ["m"], Outcome.FAILED), (403, [], Outcome.FAILED)],
)  # fmt: skip
def test_a_verification_asks_as_clients_do(
    frontend: Frontend, tmp_path: Path, status: int, models: list[str], outcome: Outcome
) -> None:
    frontend.clients, frontend.models = status, models
    cloud = InTwoRegions("vllm", tmp_path).cloud

    async def work() -> Outcome:
        route = ClientsRoute(google=google_for(cloud), address=ADDRESS, via=frontend.url)
        result = await look_at_route(route)
        assert result.name == "route"
        return result.outcome

    assert asyncio.run(work()) is outcome
    assert frontend.asked == [False]
