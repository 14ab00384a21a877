"""Rehearsed endpoints behind Identity-Aware Proxy and a load balancer over two regions, before two endpoints, or within a network, by commands from up to down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from behind_edges import EDGE
from commands_on_cloudrun import FILE
from edges import DOMAIN, write_certificate
from gcloud import served
from patience import until
from places import ROOT
from through_iap import DEPLOYER, GUARDED, PROGRAM, ThroughIap
from user import Ran, User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
FIRST, SECOND = "europe-west4", "us-central1"
AT = f"https://{DOMAIN}"
LET_IN = GUARDED.replace(PROGRAM, DEPLOYER)
REGIONS = EDGE.replace("[edge]\n", f'[cloudrun]\nregion = "{FIRST}"\n[edge]\nregions = ["{SECOND}"]\n')
INTERNAL = EDGE.replace(
    "[edge]\n", '[cloudrun]\nnetwork = "office"\nsubnetwork = "desks"\n[edge]\nkind = "internal"\n'
)


class AtTheDomain(ThroughIap):
    """Asks at the domain."""

    patience_s = 1200.0

    def met(self, url: str, token: str = "", path: str = "/v1/models") -> int:
        headers = {"host": DOMAIN, **({"authorization": f"Bearer {token}"} if token else {})}
        with httpx2.Client(base_url=url, trust_env=False, verify=False, timeout=300) as client:
            return client.get(path, headers=headers).status_code

    def entering(self, region: str) -> list[str]:
        web = f"iap.googleapis.com/v1/projects/481516234200/iap_web/cloud_run-{region}/services/demo"
        bindings = self.google("POST", f"{web}:getIamPolicy", {}).get("bindings", [])
        return sorted(member for one in bindings for member in one["members"])


class Within(AtTheDomain):
    """Says its commands from within the network."""

    def run(self, *arguments: str, code: int | None = 0, caller: str = "", inside: bool = True) -> Ran:
        return super().run(*arguments, code=code, caller=caller, inside=inside)

    def has_a_network(self) -> None:
        """Make a network of the user's own, with a subnetwork for proxies."""
        self.google(
            "POST",
            "serviceusage.googleapis.com/v1/projects/rehearsal/services/compute.googleapis.com:enable",
            {},
        )
        compute = "compute.googleapis.com/compute/v1/projects/rehearsal"
        networks = f"{compute}/global/networks"
        until(lambda: self.answered("GET", networks).status_code == 200)
        self._made(networks, {"name": "office", "autoCreateSubnetworks": False})
        of = {"network": "global/networks/office"}
        subnetworks = f"{compute}/regions/{FIRST}/subnetworks"
        desks = {"name": "desks", "ipCidrRange": "10.20.0.0/24", "privateIpGoogleAccess": True}
        self._made(subnetworks, {**desks, **of})
        proxies = {"purpose": "REGIONAL_MANAGED_PROXY", "role": "ACTIVE", "ipCidrRange": "10.21.0.0/23"}
        self._made(subnetworks, {"name": "proxies", **proxies, **of})

    def _made(self, path: str, body: dict[str, Any]) -> None:  # Any: JSON
        place = self.google("POST", path, body)["selfLink"].partition("/compute/v1/")[2]
        assert self.google("POST", f"compute.googleapis.com/compute/v1/{place}/wait")["status"] == "DONE"


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[AtTheDomain]:
    write_certificate(user.folder)
    with served(tmp_path) as rehearsal:
        made = AtTheDomain(user, rehearsal)
        made.has_accounts()
        yield made


@pytest.mark.long
@pytest.mark.lasts(100)
def test_in_two_regions_one_token_opens_each_and_the_proxy_leaves_both(cloud: AtTheDomain) -> None:
    cloud.user.write(LET_IN + REGIONS)
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    members = [f"serviceAccount:{DEPLOYER}", "user:friend@example.com"]
    assert [cloud.entering(region) for region in (FIRST, SECOND)] == [members, members]

    url, token = cloud.rehearsal.url, cloud.signed(DEPLOYER, f"{AT}/*")
    assert (cloud.met(url, token), cloud.met(url)) == (200, 302)
    assert cloud.met(url, cloud.rehearsal.id_token("friend@example.com")) == 401
    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out
    verified = cloud.run("verify", "--json").json
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    outcomes = {one["name"]: one["outcome"] for one in verified["results"]}
    for name in ("private", "no-token", "around", f"{SECOND}/private", f"{SECOND}/no-token", "route"):
        assert outcomes[name] == "passed", name

    cloud.user.write(FILE + REGIONS)
    cloud.run("up", "--yes")
    assert cloud.entering(FIRST) == cloud.entering(SECOND) == []
    friend = cloud.rehearsal.id_token("friend@example.com")
    assert until(lambda: cloud.met(url, friend), lambda came: came != 403) == 200
    assert cloud.run("down", "--yes", "--purge").out.count("removed service demo") == 2


@pytest.mark.long
@pytest.mark.lasts(100)
def test_two_endpoints_behind_one_address_both_stand_behind_it_and_one_alone_is_refused(
    cloud: AtTheDomain,
) -> None:
    small = LET_IN.replace('name = "demo"', 'name = "small"')
    both = LET_IN + EDGE + 'backends = { "/small" = "small" }\n'
    cloud.user.write(small)
    cloud.run("up", "--yes")
    cloud.user.write(FILE + EDGE + 'backends = { "/small" = "small" }\n')
    (told,) = [one for one in cloud.run("plan", "--json").json["problems"] if "small" in one]
    assert "stands behind Identity-Aware Proxy, which does not take the ID tokens" in told
    cloud.user.write(both)
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
    verified = cloud.run("verify", "--json").json
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    assert {one["name"]: one["outcome"] for one in verified["results"]}["behind"] == "passed"
    url, token = cloud.rehearsal.url, cloud.signed(DEPLOYER, f"{AT}/*")
    for path in ("/v1/models", "/small/v1/models"):
        assert (cloud.met(url, token, path=path), cloud.met(url, path=path)) == (200, 302), path
        assert cloud.met(url, cloud.signed(PROGRAM, f"{AT}/*"), path=path) == 403, path
    cloud.run("down", "--yes", "--purge")
    cloud.user.write(small)
    cloud.run("down", "--yes", "--purge")


@pytest.mark.edge
@pytest.mark.lasts(45)
@pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`")
def test_within_a_network_the_domain_is_the_audience_and_outside_nothing_is_there(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    write_certificate(user.folder)
    with served(tmp_path, "--inside", "0") as rehearsal:
        cloud = Within(user, rehearsal)
        cloud.has_accounts()
        cloud.has_a_network()
        cloud.user.write(LET_IN + INTERNAL)
        report = cloud.run("up", "--yes", "--json").json["report"]
        assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
        assert cloud.run("plan", "--json").json["changes_pending"] is False
        inside, token = rehearsal.inside, cloud.signed(DEPLOYER, f"{AT}/*")
        assert (cloud.met(inside, token), cloud.met(inside)) == (200, 302)
        assert cloud.met(inside, rehearsal.id_token("friend@example.com")) == 401
        assert cloud.met(inside, cloud.signed(PROGRAM, f"{AT}/*")) == 403
        with pytest.raises(httpx2.TransportError):
            cloud.met(rehearsal.url, token)
        assert cloud.run("verify", "--json").json["passed"]
        assert "removed service demo\n" in cloud.run("down", "--yes", "--purge").out
