"""Identity-Aware Proxy before a service of Cloud Run, turned on, granted, signed for and taken away by the real gcloud."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from gcloud import NEEDS_GCLOUD, Served, served
from gcp_rehearsal.cloud import OWNER
from patience import until

pytestmark = NEEDS_GCLOUD
REGION = "--region=us-central1"
AGENT = "serviceAccount:service-481516234200@gcp-sa-iap.iam.gserviceaccount.com"
ACCESSOR = "roles/iap.httpsResourceAccessor"
ON = ("--resource-type=cloud-run", REGION, "--service=inside")
SERVICES = ("cloudresourcemanager", "iam", "iamcredentials", "iap", "run")


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory, gcloud_folder: Path) -> Iterator[Served]:
    """A rehearsal with a service that is behind the proxy, turned on by gcloud, and an account that may sign."""
    with served(tmp_path_factory.mktemp("iap")) as begun:
        found = replace(begun, program=str(gcloud_folder / "gcloud"))
        found.gcloud("services", "enable", *(f"{service}.googleapis.com" for service in SERVICES))
        image = "--image=us-docker.pkg.dev/cloudrun/container/hello"
        found.gcloud("run", "deploy", "inside", REGION, image, "--no-allow-unauthenticated", "--quiet")
        found.gcloud("beta", "run", "services", "update", "inside", REGION, "--iap")
        yield found


def test_gcloud_turns_it_on_and_lets_the_proxy_itself_call_the_service(rehearsal: Served) -> None:
    told = rehearsal.gcloud("run", "services", "describe", "inside", REGION, "--format=json").json
    assert told["metadata"]["annotations"]["run.googleapis.com/iap-enabled"] == "true"
    policy = rehearsal.gcloud("run", "services", "get-iam-policy", "inside", REGION, "--format=json").json
    assert policy["bindings"] == [{"role": "roles/run.invoker", "members": [AGENT]}]


def test_gcloud_says_who_may_come_in_and_takes_it_back(rehearsal: Served) -> None:
    web, friend = ("beta", "iap", "web"), "--member=user:friend@example.com"
    rehearsal.gcloud(*web, "add-iam-policy-binding", *ON, friend, f"--role={ACCESSOR}")
    policy = rehearsal.gcloud(*web, "get-iam-policy", *ON, "--format=json").json
    assert policy["bindings"] == [{"role": ACCESSOR, "members": ["user:friend@example.com"]}]
    rehearsal.gcloud(*web, "remove-iam-policy-binding", *ON, friend, f"--role={ACCESSOR}")
    assert not rehearsal.gcloud(*web, "get-iam-policy", *ON, "--format=json").json.get("bindings")


def test_what_gcloud_signs_opens_the_address_for_who_may_come_in(rehearsal: Served) -> None:
    email = "program@rehearsal.iam.gserviceaccount.com"
    rehearsal.gcloud("iam", "service-accounts", "create", "program")
    signs = f"--member=user:{OWNER}", "--role=roles/iam.serviceAccountTokenCreator"
    rehearsal.gcloud("iam", "service-accounts", "add-iam-policy-binding", email, *signs)
    url = rehearsal.gcloud(
        "run", "services", "describe", "inside", REGION, "--format=value(status.url)"
    ).out.strip()
    now, claims, signed = int(time.time()), rehearsal.folder / "claims.json", rehearsal.folder / "signed.jwt"
    claims.write_text(
        json.dumps({"iss": email, "sub": email, "aud": f"{url}/*", "iat": now, "exp": now + 600})
    )
    rehearsal.gcloud(
        "iam", "service-accounts", "sign-jwt", str(claims), str(signed), f"--iam-account={email}"
    )

    def asked(token: str) -> tuple[int, str]:
        headers = {
            "host": url.removeprefix("https://"),
            **({"authorization": f"Bearer {token}"} if token else {}),
        }
        answer = httpx2.get(f"{rehearsal.url}/", headers=headers, follow_redirects=False)
        return answer.status_code, answer.text

    assert asked("") == (502, "Empty Google Account OAuth client ID(s)/secret(s).")
    settings = rehearsal.folder / "iap.yaml"
    settings.write_text("accessSettings:\n  oauthSettings:\n    clientId: c1\n    clientSecret: s3\n")
    rehearsal.gcloud("iap", "settings", "set", str(settings), "--project=rehearsal")
    told = rehearsal.gcloud("iap", "settings", "get", "--project=rehearsal", "--format=json").json
    assert told["name"] == "projects/481516234200"
    assert set(told["accessSettings"]["oauthSettings"]) == {"clientId", "clientSecretSha256"}
    assert asked("") == (302, "Invalid IAP credentials: empty token")
    assert asked(signed.read_text()) == (403, "You don't have access")
    rehearsal.gcloud(
        "beta",
        "iap",
        "web",
        "add-iam-policy-binding",
        *ON,
        f"--member=serviceAccount:{email}",
        f"--role={ACCESSOR}",
    )
    # It comes in once the grant is seen, to a service whose image is not run here.
    _, text = until(lambda: asked(signed.read_text()), lambda said: said[0] == 503)
    assert "This image is not run here" in text
