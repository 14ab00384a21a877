"""A rehearsed endpoint behind Identity-Aware Proxy, by commands of a service account that signs for itself."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx2

from commands_on_cloudrun import FILE, OnCloudRun
from gcp_rehearsal.cloud import OWNER
from patience import until

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

    def has_client(self) -> None:
        """Give the proxy an OAuth client: the project is in no organisation."""
        oauth = {"clientId": "1.apps.googleusercontent.com", "clientSecret": "s3"}
        path = "iap.googleapis.com/v1/projects/rehearsal:iapSettings"
        until(lambda: self.answered("GET", path).status_code == 200)
        self.google("PATCH", path, {"accessSettings": {"oauthSettings": oauth}})

    def has_accounts(self) -> None:
        """Make an account that deploys and one that asks; the logged-in person may act as both."""
        accounts = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
        project = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal"
        services = [
            f"{name}.googleapis.com" for name in ("iam", "iamcredentials", "iap", "cloudresourcemanager")
        ]
        self.google(
            "POST",
            "serviceusage.googleapis.com/v1/projects/rehearsal/services:batchEnable",
            {"serviceIds": services},
        )
        until(lambda: self.answered("GET", accounts).status_code == 200)
        self.has_client()
        for email in (DEPLOYER, PROGRAM):
            self.google("POST", accounts, {"accountId": email.partition("@")[0]})
        until(lambda: len(self.google("GET", accounts).get("accounts", [])) == 2)
        for email in (DEPLOYER, PROGRAM):
            self.granted(f"{accounts}/{email}", "roles/iam.serviceAccountTokenCreator", f"user:{OWNER}")
        self.granted(project, "roles/owner", f"serviceAccount:{DEPLOYER}")
        until(lambda: self.may_sign(PROGRAM) and self.may_sign(DEPLOYER))
        asked = {"permissions": ["run.services.create"]}
        until(lambda: self.answered("POST", f"{project}:testIamPermissions", asked, DEPLOYER).json())
