"""A rehearsed endpoint behind Identity-Aware Proxy, from a refused plan to down, by commands of a service account that signs for itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands_on_cloudrun import FILE, OnCloudRun
from gcloud import served
from gcp_rehearsal.cloud import OWNER
from patience import until
from user import User

DEPLOYER = "deployer@rehearsal.iam.gserviceaccount.com"
PROGRAM = "program@rehearsal.iam.gserviceaccount.com"
WEB = "iap.googleapis.com/v1/projects/481516234200/iap_web/cloud_run-europe-west4/services/demo"
GUARDED = FILE.replace(
    'callers = ["user:friend@example.com"]', f'iap = ["user:friend@example.com", "serviceAccount:{PROGRAM}"]'
)
assert GUARDED != FILE


class ThroughIap(OnCloudRun):
    """Deploys as a service account, and asks as whom it likes."""

    account = DEPLOYER

    def environment(self, *, inside: bool = False) -> dict[str, str]:
        own = {"HOMEPORT_IMPERSONATE": self.account} if self.account else {}
        return {**super().environment(inside=inside), **own}

    def answered(
        self, verb: str, url: str, body: Any = None, caller: str = OWNER
    ) -> httpx2.Response:  # Any: JSON
        host, _, path = url.partition("/")
        headers = {"host": host, "authorization": f"Bearer {self.rehearsal.token(caller)}"}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, timeout=60) as client:
            return client.request(verb, f"/{path}", headers=headers, json=body)

    def google(self, verb: str, url: str, body: Any = None) -> Any:  # Any: JSON
        answer = self.answered(verb, url, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def granted(self, on: str, role: str, member: str) -> None:
        before = self.google(
            "POST" if "iam" in on or "resourcemanager" in on else "GET", f"{on}:getIamPolicy"
        )
        bindings = [*before.get("bindings", []), {"role": role, "members": [member]}]
        self.google("POST", f"{on}:setIamPolicy", {"policy": {**before, "bindings": bindings}})

    def signed(self, account: str, audience: str) -> str:
        now, path = (
            int(time.time()),
            f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:signJwt",
        )
        said = {"iss": account, "sub": account, "aud": audience, "iat": now, "exp": now + 600}
        return str(self.google("POST", path, {"payload": json.dumps(said)})["signedJwt"])

    def may_sign(self, account: str) -> bool:
        path = f"iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:signJwt"
        return self.answered("POST", path, {"payload": "{}"}).status_code == 200

    def asked(self, token: str = "") -> tuple[int, str]:
        headers = {"host": self.host, **({"authorization": f"Bearer {token}"} if token else {})}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, timeout=300) as client:
            answer = client.get("/v1/models", headers=headers)
        return answer.status_code, answer.text

    @property
    def host(self) -> str:
        return str(self.status["url"]).removeprefix("https://").removesuffix("/v1")

    def entrants(self) -> list[str]:
        bindings = self.google("POST", f"{WEB}:getIamPolicy", {}).get("bindings", [])
        return sorted(member for one in bindings for member in one["members"])


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[ThroughIap]:
    """A rehearsal with an account that deploys and one that asks; the logged-in person may act as both."""
    with served(tmp_path) as rehearsal:
        made = ThroughIap(user, rehearsal)
        accounts = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
        project = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal"
        services = [f"{name}.googleapis.com" for name in ("iam", "iamcredentials", "cloudresourcemanager")]
        made.google(
            "POST",
            "serviceusage.googleapis.com/v1/projects/rehearsal/services:batchEnable",
            {"serviceIds": services},
        )
        until(lambda: made.answered("GET", accounts).status_code == 200)
        for email in (DEPLOYER, PROGRAM):
            made.google("POST", accounts, {"accountId": email.partition("@")[0]})
        until(lambda: len(made.google("GET", accounts).get("accounts", [])) == 2)
        for email in (DEPLOYER, PROGRAM):
            made.granted(f"{accounts}/{email}", "roles/iam.serviceAccountTokenCreator", f"user:{OWNER}")
        made.granted(project, "roles/owner", f"serviceAccount:{DEPLOYER}")
        until(lambda: made.may_sign(PROGRAM) and made.may_sign(DEPLOYER))
        asked = {"permissions": ["run.services.create"]}
        until(lambda: made.answered("POST", f"{project}:testIamPermissions", asked, DEPLOYER).json())
        yield made


def test_a_person_is_told_before_anything_is_made_that_no_browser_proves_a_revision(
    cloud: ThroughIap,
) -> None:
    cloud.user.write(GUARDED)
    cloud.account = ""
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code not in {0, None}
    assert "iap/proof" in refused.err + refused.out
    assert "HOMEPORT_IMPERSONATE" in refused.err + refused.out


def test_who_is_named_comes_in_by_what_an_account_signs_and_nobody_else(cloud: ThroughIap) -> None:
    cloud.user.write(GUARDED)
    plan = cloud.run("plan", "--json").json
    assert plan["facts"]["iap"]["members"] == ["user:friend@example.com", f"serviceAccount:{PROGRAM}"]
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    assert cloud.entrants() == [f"serviceAccount:{PROGRAM}", "user:friend@example.com"], (
        "the proof's own grant is gone"
    )

    assert cloud.asked() == (302, "Invalid IAP credentials: empty token")
    own_address = f"https://{cloud.host}"
    assert cloud.asked(cloud.rehearsal.id_token("friend@example.com"))[0] == 401, (
        "Cloud Run alone would take it"
    )
    status, models = until(
        lambda: cloud.asked(cloud.signed(PROGRAM, f"{own_address}/*")), lambda said: said[0] != 403
    )
    assert (status, "first" in models) == (200, True)
    cloud.account = PROGRAM  # It may do nothing but come in.
    with cloud.proxying("--url", own_address, "--audience", f"{own_address}/*", "--no-key") as said:
        reached = re.search(rf"is reached on (http://[\d.]+:\d+) as {re.escape(PROGRAM)}", said)
        assert reached, said
        through = httpx2.get(f"{reached[1]}/v1/models", trust_env=False, timeout=300)
        assert (through.status_code, "first" in through.text) == (200, True)
    cloud.account = DEPLOYER
    # Who proved it is out again, once that is seen.
    until(
        lambda: cloud.asked(cloud.signed(DEPLOYER, f"{own_address}/*")),
        lambda said: said == (403, "You don't have access"),
    )

    cloud.user.write(GUARDED.replace(f', "serviceAccount:{PROGRAM}"', f', "serviceAccount:{DEPLOYER}"'))
    cloud.run("up", "--yes")
    assert cloud.entrants() == [f"serviceAccount:{DEPLOYER}", "user:friend@example.com"]
    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out
    verified = cloud.run("verify", "--json").json
    results = {one["name"]: one for one in verified["results"]}
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    assert [results[name]["outcome"] for name in ("no-token", "audience", "private")] == ["passed"] * 3

    cloud.user.write(FILE)
    cloud.run("up", "--yes")
    assert cloud.entrants() == []
    assert cloud.asked()[0] == 403, "Cloud Run itself asks for a token again"
    assert cloud.run("plan", "--json").json["changes_pending"] is False


def test_down_takes_out_who_came_in_before_the_service_goes(cloud: ThroughIap) -> None:
    cloud.user.write(GUARDED)
    cloud.run("up", "--yes")
    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("grant of roles/iap.httpsResourceAccessor") < gone.index("removed service demo\n")
    body = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
    cloud.google(
        "POST",
        "run.googleapis.com/v2/projects/rehearsal/locations/europe-west4/services?serviceId=demo",
        body,
    )
    assert cloud.entrants() == [], "a service of the same name lets nobody in"
