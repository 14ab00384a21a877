"""What a service account signs for an address, by each kind of credentials: the rehearsed proxy lets in who shows it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.apis.iam.signing import asserted
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from homeport.endpoint.identity import refused_as
from homeport.errors import NoCredentials, PermissionDenied
from homeport.google.adc import CredentialsFile
from homeport.google.credentials import Credentials, Impersonated, SignedIdentity, from_access_token
from homeport.google.identity import claims
from reached import Reached

EMAIL = "program@rehearsal.iam.gserviceaccount.com"
ACCOUNT = f"projects/rehearsal/serviceAccounts/{EMAIL}"
URL = "https://home-1.europe-west4.run.app"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "iam", "iamcredentials")
    made = Raw(cloud).send(
        "POST", "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts", {"accountId": "program"}
    )
    assert act(made).status == 200
    return cloud


def may_sign(cloud: Cloud) -> None:
    bindings = [{"role": "roles/iam.serviceAccountTokenCreator", "members": [f"user:{OWNER}"]}]
    asked = Raw(cloud).send(
        "POST", f"iam.googleapis.com/v1/{ACCOUNT}:setIamPolicy", {"policy": {"bindings": bindings}}
    )
    assert act(asked).status == 200


def impersonated(cloud: Cloud) -> Credentials:
    return Credentials(
        Impersonated(from_access_token(cloud.token(OWNER), OWNER)._source, EMAIL, Reached(cloud))
    )


def keyed(cloud: Cloud, folder: Path) -> Credentials:
    made = act(Raw(cloud).send("POST", f"iam.googleapis.com/v1/{ACCOUNT}/keys", {})).body
    file = folder / "key.json"
    file.write_bytes(base64.b64decode(made["privateKeyData"]))
    return Credentials(CredentialsFile(file, {}, Reached(cloud)))


@pytest.mark.parametrize("kind", ["acted as", "by its own key"])
def test_an_account_signs_for_all_of_an_address_and_google_knows_it_by_that(
    cloud: Cloud, tmp_path: Path, kind: str
) -> None:
    may_sign(cloud)
    identity = SignedIdentity(impersonated(cloud) if kind == "acted as" else keyed(cloud, tmp_path), URL)
    token = act(identity.token())
    said = asserted(cloud, token.reveal())
    assert said is not None
    assert (said["iss"], said["sub"], said["aud"]) == (EMAIL, EMAIL, f"{URL}/*")
    assert said["exp"] - said["iat"] == 3600, "no longer than Google's guide has it"
    assert act(identity.who()) == EMAIL
    assert claims(token) == said


def test_who_may_not_sign_is_told_which_role_it_takes(cloud: Cloud) -> None:
    with pytest.raises(PermissionDenied) as caught:
        act(impersonated(cloud).signed_jwt(f"{URL}/*"))
    assert "roles/iam.serviceAccountTokenCreator" in caught.value.hint


def test_a_person_s_login_signs_nothing_and_says_what_to_do(tmp_path: Path, cloud: Cloud) -> None:
    file = tmp_path / "login.json"
    person = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    file.write_text(json.dumps(person))
    for credentials in (
        from_access_token("token", OWNER),
        Credentials(CredentialsFile(file, {}, Reached(cloud))),
    ):
        with pytest.raises(NoCredentials, match="Identity-Aware Proxy lets people in by a browser") as caught:
            act(SignedIdentity(credentials, URL).token())
        assert "HOMEPORT_IMPERSONATE" in caught.value.hint


def test_a_refusal_of_the_proxy_names_its_own_key_of_the_file() -> None:
    assert f'iap = ["serviceAccount:{EMAIL}"]' in refused_as(403, EMAIL, through_iap=True)
    assert "did not take" in refused_as(401, EMAIL, through_iap=True)
    assert "[access] callers" in refused_as(403, EMAIL)
