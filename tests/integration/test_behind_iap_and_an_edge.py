"""A rehearsed endpoint behind Identity-Aware Proxy and a load balancer, from the plan to down: the domain is the audience, and the back door is closed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from behind_edges import EDGE
from commands_on_cloudrun import FILE
from edges import DOMAIN, write_certificate
from gcloud import served
from patience import until
from places import ROOT
from through_iap import DEPLOYER, GUARDED, PROGRAM, ThroughIap
from user import User

pytestmark = pytest.mark.long
ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
AT = f"https://{DOMAIN}"
LET_IN = GUARDED.replace(PROGRAM, DEPLOYER)


class ThroughBoth(ThroughIap):
    """Asks at the domain, which leads through the load balancer, or at the service's own address."""

    def met(self, host: str, token: str = "") -> tuple[int, str]:
        headers = {"host": host, **({"authorization": f"Bearer {token}"} if token else {})}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=300) as client:
            answer = client.get("/v1/models", headers=headers)
        return answer.status_code, answer.headers.get("via", "")

    def own_host(self) -> str:
        """The service's own address, as long as it has one."""
        path = "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services/demo"
        return str(self.google("GET", path).get("uri", "")).removeprefix("https://")


@pytest.fixture(params=["in the process", pytest.param("envoy", marks=pytest.mark.edge)])
def cloud(
    request: pytest.FixtureRequest, user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ThroughBoth]:
    """A rehearsal whose load balancers are acted out in its process, or by a real Envoy."""
    if request.param == "envoy":
        if not ENVOY.exists():
            pytest.skip("needs the Envoy of `make test-edge`")
        monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    write_certificate(user.folder)
    with served(tmp_path) as rehearsal:
        made = ThroughBoth(user, rehearsal)
        made.has_accounts()
        yield made


@pytest.mark.parametrize("kind", ["global", "regional"])
def test_the_domain_is_the_audience_and_nothing_gets_past_either(cloud: ThroughBoth, kind: str) -> None:
    cloud.user.write(FILE)
    cloud.run("up", "--yes")
    own = cloud.own_host()
    cloud.user.write(LET_IN + EDGE + f'kind = "{kind}"\n')
    plan = cloud.run("plan", "--json").json
    assert {"iap", "edge"} <= plan["facts"].keys()
    assert f"aud = {AT}/*" in cloud.run("plan").out
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], [one for one in report["results"] if one["outcome"] == "failed"]
    left = cloud.run("plan", "--json").json
    assert left["changes_pending"] is False, [one for one in left["actions"] if one["kind"] != "none"]
    status = cloud.status
    assert (status["url"], sorted(status["iap"])) == (
        f"{AT}/v1",
        [f"serviceAccount:{DEPLOYER}", "user:friend@example.com"],
    )

    own_token, other_token = (cloud.signed(DEPLOYER, f"https://{host}/*") for host in (DOMAIN, own))
    came, via = cloud.met(DOMAIN, own_token)
    assert came == 200
    assert ("1.1 google" in via) is (shutil.which("envoy") is not None)
    assert cloud.met(DOMAIN)[0] == 302, "the way to a login"
    assert cloud.met(DOMAIN, other_token)[0] == 401, (
        "a token for the service's own address is none for the domain"
    )
    assert cloud.met(DOMAIN, cloud.rehearsal.id_token("friend@example.com"))[0] == 401
    assert cloud.met(DOMAIN, cloud.signed(PROGRAM, f"{AT}/*"))[0] == 403
    for token in ("", own_token, other_token):
        assert cloud.met(own, token)[0] == 404, "the back door is closed to everybody"

    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out
    verified = cloud.run("verify", "--json").json
    results = {one["name"]: one["outcome"] for one in verified["results"]}
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    assert [results[name] for name in ("no-token", "audience", "around", "private")] == ["passed"] * 4
    with cloud.proxying() as said:
        assert f"as {DEPLOYER}" in said, said
        env = cloud.run("env", "--json").json
        assert env["service"].startswith(AT)
        models = httpx2.get(
            f"{env['proxy']}/models",
            headers={"authorization": f"Bearer {env['OPENAI_API_KEY']}"},
            trust_env=False,
            timeout=300,
        )
        assert models.status_code == 200, models.text

    cloud.user.write(FILE + EDGE + f'kind = "{kind}"\n')
    cloud.run("up", "--yes")
    assert cloud.entrants() == []
    assert (
        until(
            lambda: cloud.met(DOMAIN, cloud.rehearsal.id_token("friend@example.com"))[0],
            lambda came: came != 403,
        )
        == 200
    )
    gone = cloud.run("down", "--yes", "--purge").out
    assert "removed service demo\n" in gone
