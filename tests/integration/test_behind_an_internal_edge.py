"""
An endpoint behind an internal load balancer in a network of the user's, by commands and through a real Envoy: from within the network
it is proven and answers, from outside nothing is there. `make test-edge` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from behind_edges import EDGE, BehindEdge
from commands_on_cloudrun import FILE
from edges import DOMAIN
from gcloud import served
from observed_by_commands import until_observed
from places import ROOT
from user import Ran, User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.lasts(39),
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
NETWORK = '[cloudrun]\nnetwork = "office"\nsubnetwork = "desks"\n'
INTERNAL = f"{NETWORK}{EDGE}".replace("[edge]\n", '[edge]\nkind = "internal"\n')
REGION = "projects/rehearsal/regions/europe-west4"


class Within(BehindEdge):
    """Says its commands, and asks, from within the network."""

    def run(self, *arguments: str, code: int | None = 0, caller: str = "", inside: bool = True) -> Ran:
        return super().run(*arguments, code=code, caller=caller, inside=inside)

    def ask(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:  # Any: JSON
        return _At(self.rehearsal.inside, self.rehearsal.id_token()).ask(path, body, **headers)

    def google(self, host: str, path: str, body: dict[str, Any]) -> None:  # Any: JSON
        """Let Google make something of the user's own, and wait until it is there."""
        headers = {"host": f"{host}.googleapis.com", "authorization": f"Bearer {self.rehearsal.token()}"}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=60) as client:
            # An API that was just switched on is refused for a while, as Google's is.
            begun = until_observed(
                lambda: client.post(path, json=body, headers=headers), lambda came: came.status_code != 403
            )
            assert begun.status_code == 200, begun.text
            if host != "compute":
                return
            place = begun.json()["selfLink"].partition("/compute/v1/")[2]
            waited = client.post(f"/compute/v1/{place}/wait", headers=headers)
            assert waited.json()["status"] == "DONE", waited.text


@dataclass(frozen=True)
class _At:
    url: str
    token: str

    def ask(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:  # Any: JSON
        shown = {"host": DOMAIN, "authorization": f"Bearer {self.token}", **headers}
        with httpx2.Client(base_url=self.url, trust_env=False, verify=False, timeout=300) as client:
            return client.post(path, json=body, headers=shown) if body else client.get(path, headers=shown)


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Within]:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--inside", "0") as rehearsal:
        yield Within(user, rehearsal)


def _the_users_network(cloud: Within) -> None:
    cloud.google("serviceusage", "/v1/projects/rehearsal/services/compute.googleapis.com:enable", {})
    compute = "/compute/v1/projects/rehearsal/global/networks"
    cloud.google("compute", compute, {"name": "office", "autoCreateSubnetworks": False})
    desks = {"name": "desks", "ipCidrRange": "10.20.0.0/24", "privateIpGoogleAccess": True}
    cloud.google(
        "compute", f"/compute/v1/{REGION}/subnetworks", {**desks, "network": "global/networks/office"}
    )


def test_an_endpoint_lives_behind_an_internal_load_balancer(cloud: Within) -> None:
    _the_users_network(cloud)
    cloud.user.write(FILE + INTERNAL)
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code != 0
    assert "no active proxy-only subnetwork in europe-west4" in refused.err
    proxies = {
        "name": "proxies",
        "purpose": "REGIONAL_MANAGED_PROXY",
        "role": "ACTIVE",
        "ipCidrRange": "10.21.0.0/23",
    }
    cloud.google(
        "compute", f"/compute/v1/{REGION}/subnetworks", {**proxies, "network": "global/networks/office"}
    )

    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    cloud.is_settled()
    came = cloud.say("What is the capital of France?")
    assert (came.status_code, came.headers["via"]) == (200, "1.1 google"), "it went through Envoy"
    assert "[DONE]" in cloud.say("What is the capital of France?", stream=True).text
    with pytest.raises(httpx2.TransportError):
        _At(cloud.rehearsal.url, cloud.rehearsal.id_token()).ask("/v1/models")

    before = cloud.status["traffic"]
    cloud.user.write((FILE + INTERNAL).replace("parallel = 2", "parallel = 1"))
    cloud.run("up", "--yes")
    assert cloud.status["traffic"] != before
    verified = cloud.run("verify", "--only", "around", "--json").json
    assert [one["outcome"] for one in verified["results"] if one["name"] == "around"] == ["passed"]

    gone = cloud.run("down", "--yes", "--purge").out
    assert "removed forwarding rule demo-edge" in gone
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")


def test_an_isolated_endpoint_lives_behind_one_and_a_bad_candidate_leaves_the_old_one_serving(
    cloud: Within,
) -> None:
    _the_users_network(cloud)
    proxies = {"purpose": "REGIONAL_MANAGED_PROXY", "role": "ACTIVE", "ipCidrRange": "10.21.0.0/23"}
    place = f"/compute/v1/{REGION}/subnetworks"
    cloud.google("compute", place, {"name": "proxies", "network": "global/networks/office", **proxies})
    isolated = (FILE + INTERNAL).replace("[access]\n", "[access]\nisolated = true\n")
    cloud.user.write(isolated)
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
    cloud.is_settled()
    came = cloud.say("What is the capital of France?")
    assert (came.status_code, came.headers["via"]) == (200, "1.1 google"), "it went through Envoy"
    with pytest.raises(httpx2.TransportError):
        _At(cloud.rehearsal.url, cloud.rehearsal.id_token()).ask("/v1/models")

    serving = cloud.status["traffic"]
    (cloud.user.folder / "bad.gguf").write_bytes((cloud.user.folder / "first.gguf").read_bytes()[:100_000])
    cloud.user.write(isolated.replace("./first.gguf", "./bad.gguf"))
    assert cloud.run("up", "--yes", code=None).code != 0
    assert cloud.status["traffic"] == serving
    assert cloud.say("What is the capital of France?").status_code == 200
    cloud.user.write(isolated)
    gone = cloud.run("down", "--yes", "--purge").out
    assert "removed forwarding rule demo-edge" in gone
