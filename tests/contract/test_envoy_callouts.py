"""A real Envoy asks Model Armor as a callout: it stops and lets pass what the rehearsal's own front does, and its failures are its own."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from gcp_rehearsal.faults import Fault
from gcp_rehearsal.server import App
from places import ROOT
from rehearsed import answering
from screened_edges import ATTACK, CARD, HARMLESS, MATRIX, ROADS, ScreenedEdge, screened_edge

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ScreenedEdge, httpx2.Client]]:
    """A load balancer, and a client whose requests to it go through Envoy."""
    with (
        screened_edge(tmp_path_factory.mktemp("edge")) as edge,
        answering(App(edge.running.cloud, envoy=str(ENVOY))) as port,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as through,
    ):
        yield edge, through


@pytest.mark.parametrize("road", ROADS)
def test_envoy_stops_what_the_rehearsals_own_front_stops_and_fails_as_it_does(
    both: tuple[ScreenedEdge, httpx2.Client], road: str
) -> None:
    edge, through = both
    edge.attach(road)
    try:
        for words, path, body, _ in MATRIX:
            asked = {"model": "m", **body}
            own, real = edge.ask(path, asked), edge.ask(path, asked, through)
            assert (real.status_code, real.text) == (own.status_code, own.text), words
            assert real.headers["via"] == "1.1 google", "it went through Envoy"
        fault = Fault(
            method="modelarmor.projects.locations.templates.sanitizeUserPrompt", nth=1, times=1000, status=503
        )
        edge.running.cloud.faults.append(fault)
        assert edge.say(HARMLESS, through).status_code == 500
        edge.detach()
        edge.attach(road, fail_open=True)
        assert edge.say(ATTACK, through).status_code == 200, "unscreened, as the lab has it"
        edge.running.cloud.faults.remove(fault)
        assert edge.say(ATTACK, through).status_code == 403
        assert edge.say(HARMLESS, through, says=[CARD]).status_code == 403
    finally:
        edge.running.cloud.faults.clear()
        edge.detach()
