"""A real Envoy before a service in two regions: the nearest one answers, and the other where that only answers with errors."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from balancers import Balancer
from cloud import enable
from edges import DOMAIN, write_certificate
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.runtime.envoy_config import GOAL_HEADER
from gcp_rehearsal.server import App
from patience import until
from places import ROOT
from rehearsed import Running, answering, image, rehearsing

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
NEAR, FAR = "europe-west4", "us-central1"
SERVER = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        said = {"where": os.environ["WHERE"], "goal": self.headers.get("x-rehearsal-goal"), "host": self.headers["host"], "via": self.headers.get_all("via")}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
MOST_ERRORS, EJECTED_S = 5, 3
LATE = 3
"""How many errors more a busy machine may show: Envoy's main thread ejects, and its workers hear of it a moment later."""
DETECTED = {
    "consecutiveErrors": MOST_ERRORS, "enforcingConsecutiveErrors": 100, "interval": {"seconds": "1"}, "baseEjectionTime": {"seconds": str(EJECTED_S)},
    "maxEjectionPercent": 50,
}  # fmt: skip


class TwoRegions:
    """A service in two regions behind one address, asked through Envoy."""

    def __init__(self, running: Running, port: int) -> None:
        self.running = running
        self.through = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False)

    def ask(self, **more: str) -> httpx2.Response:
        """What a client gets."""
        token = id_token(self.running.cloud, OWNER, f"https://{DOMAIN}")
        return self.through.get("/", headers={"host": DOMAIN, "authorization": f"Bearer {token}", **more})

    def plant(self, fault: str) -> httpx2.Response:
        """Plant a fault while the rehearsal runs; '' forgets all."""
        headers = {"authorization": f"Bearer {self.running.cloud.token(OWNER)}"}
        verb, body = ("POST", fault.encode()) if fault else ("DELETE", b"")
        return self.running.client.request(verb, "/rehearsal/v1/faults", headers=headers, content=body)

    def settled(self) -> str:
        """The region that answers, once Envoy has seen what it must."""
        return self.answered_after()[0]

    def answered_after(self) -> tuple[str, int]:
        """The region that answers, and how many errors a client sees until one does."""
        errors = 0
        while (said := self.ask()).status_code >= 500:
            errors += 1
            assert errors <= MOST_ERRORS + LATE, "a client sees five errors at most"
        return str(said.json()["where"]), errors


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoRegions]:
    with rehearsing() as running:
        enable(running.cloud, "compute")
        stored = image(running.cloud, "small", {"/serve.py": SERVER}, command=["python3", "/serve.py"])
        make = Balancer(running)
        groups = []
        for region in (NEAR, FAR):
            place = f"/v2/projects/rehearsal/locations/{region}/services"
            container = {
                "image": stored, "command": ["python3", "/serve.py"], "ports": [{"containerPort": 8080}],
                "env": [{"name": "WHERE", "value": region}],
            }  # fmt: skip
            body = {"template": {"containers": [container]}, "customAudiences": [f"https://{DOMAIN}"]}
            begun = running.api("POST", f"{place}?serviceId=home", body)
            operation = f"/v2/{begun['name']}"
            until(partial(running.api, "GET", operation), lambda seen: seen.get("done"))
            group = {"name": "home", "networkEndpointType": "SERVERLESS", "cloudRun": {"service": "home"}}
            groups.append({"group": make.part(f"regions/{region}/networkEndpointGroups", group)})
        both = {
            "name": "home",
            "loadBalancingScheme": "EXTERNAL_MANAGED",
            "protocol": "HTTPS",
            "backends": groups,
        }
        backend = make.part("global/backendServices", {**both, "outlierDetection": DETECTED})
        routes = make.part("global/urlMaps", {
            "name": "m", "defaultService": backend, "hostRules": [{"hosts": [DOMAIN], "pathMatcher": "p"}],
            "pathMatchers": [{"name": "p", "defaultService": backend}],
        })  # fmt: skip
        make.listener("f", routes, make.certificate("c", *write_certificate(tmp_path)))
        with answering(App(running.cloud, envoy=str(ENVOY))) as port:
            made = TwoRegions(running, port)
            yield made
            made.through.close()


def test_the_nearest_region_answers_and_sees_what_one_behind_a_single_service_sees(two: TwoRegions) -> None:
    said = two.ask(**{GOAL_HEADER: f"guess projects/rehearsal/locations/{FAR}/services/home - external"})
    assert said.headers["via"] == "1.1 google"
    assert said.json() == {"where": NEAR, "goal": None, "host": DOMAIN, "via": ["1.1 google"]}


def test_another_region_serves_while_the_nearest_is_down_and_no_longer(two: TwoRegions) -> None:
    assert two.settled() == NEAR
    assert two.plant(f"run.requests.{NEAR}.*:503:times=1000000").status_code == 200
    begun = time.monotonic()
    answers = [two.answered_after() for _ in range(20)]
    assert {where for where, _ in answers} == {FAR}
    # At first, and again where an ejection has ended, each of which lasts three seconds and more: a slow machine sees some of these.
    bound = (1 + (time.monotonic() - begun) // EJECTED_S) * (MOST_ERRORS + LATE)
    assert MOST_ERRORS <= sum(errors for _, errors in answers) <= bound, answers
    two.plant("")
    until(lambda: two.ask().json()["where"], lambda where: where == NEAR)


def test_with_both_regions_down_clients_are_told_so(two: TwoRegions) -> None:
    two.plant("run.requests.*:503:times=1000000")
    assert {two.ask().status_code for _ in range(15)} == {503}


def test_what_is_no_fault_is_refused(two: TwoRegions) -> None:
    said = two.plant("run.requests.*")
    assert said.status_code == 400
    assert "is no fault" in said.text
    assert two.running.client.post("/rehearsal/v1/faults", content=b"*:503").status_code == 401
