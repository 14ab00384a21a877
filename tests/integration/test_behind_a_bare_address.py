"""A rehearsed endpoint at an address without a domain, through a real Envoy: proven, asked, shown a new certificate, and taken down; the address stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from behind_edges import BehindEdge
from commands_on_cloudrun import FILE
from edges import write_certificate
from gcloud import served
from gcp_rehearsal.cloud import OWNER
from patience import until
from places import ROOT
from user import User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.long,
    pytest.mark.edge,
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
COMPUTE = "compute/v1/projects/rehearsal"


class AtAnAddress(BehindEdge):
    """Reserves an address, and asks there."""

    model = "gemma-4-taught"

    def google(self, verb: str, host: str, path: str, body: Any = None) -> Any:  # Any: JSON
        headers = {
            "host": f"{host}.googleapis.com",
            "authorization": f"Bearer {self.rehearsal.token(OWNER)}",
        }
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, timeout=60) as client:
            answer = client.request(verb, f"/{path}", headers=headers, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def reserved(self) -> list[str]:
        found = self.google("GET", "compute", f"{COMPUTE}/global/addresses").get("items", [])
        return [str(one["address"]) for one in found if one["status"] == "RESERVED"]

    def reserve(self) -> str:
        services = "v1/projects/rehearsal/services/compute.googleapis.com"
        self.google("POST", "serviceusage", f"{services}:enable", {})
        until(lambda: self.google("GET", "serviceusage", services)["state"], lambda state: state == "ENABLED")
        self.google("POST", "compute", f"{COMPUTE}/global/addresses", {"name": "mine"})
        (address,) = until(self.reserved, bool)
        return address


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AtAnAddress]:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path) as rehearsal:
        yield AtAnAddress(user, rehearsal)


def test_an_address_and_its_certificate_are_all_that_a_load_balancer_needs(cloud: AtAnAddress) -> None:
    ip = cloud.reserve()
    folder = cloud.user.folder
    write_certificate(folder, ip)
    pair = f'certificate = "file:{ip}.pem"\nprivate_key = "file:{ip}.key"\n'
    cloud.user.write(f'{FILE}[edge]\nip = "203.0.113.7"\n{pair}')
    refused = cloud.run("plan", code=None)
    assert "203.0.113.7 is no address that is reserved in the project" in refused.out + refused.err
    assert "and not for 203.0.113.7: every client would refuse it" in refused.out + refused.err

    cloud.user.write(f'{FILE}[edge]\nip = "{ip}"\n{pair}')
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
    cloud.is_settled()
    assert cloud.status["url"] == f"https://{ip}/v1"
    asked = {"host": ip, "authorization": f"Bearer {cloud.rehearsal.id_token()}"}
    with httpx2.Client(base_url=cloud.rehearsal.url, trust_env=False, timeout=300) as client:
        answer = client.get("/v1/models", headers=asked)
    assert (answer.status_code, answer.headers["via"]) == (200, "1.1 google")

    key = (folder / f"{ip}.key").read_text()
    write_certificate(folder, ip)
    assert key != (folder / f"{ip}.key").read_text()
    actions = cloud.run("plan", "--json").json["actions"]
    changed = [(one["kind"], one["id"].partition("/")[0]) for one in actions if one["kind"] != "none"]
    assert changed == [
        ("create", "tls-certificate"),
        ("update", "https-proxy"),
        ("delete", "tls-certificate"),
    ]
    said = cloud.run("up", "--yes")
    assert "PRIVATE KEY" not in said.out + said.err
    cloud.is_settled()
    assert cloud.run("verify", "--json").json["passed"]
    cloud.run("down", "--yes", "--purge")
    assert cloud.reserved() == [ip]
