"""Keys of service accounts: shown once, and a login by Google's own library for as long as they are there."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from google.oauth2 import service_account

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

EMAIL = "runner@rehearsal.iam.gserviceaccount.com"
KEYS = f"iam.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}/keys"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    made = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
    assert act(Raw(cloud).send("POST", made, {"accountId": "runner"})).status == 200
    return cloud


def new(cloud: Cloud) -> tuple[dict[str, Any], dict[str, Any]]:  # Any: JSON
    """A new key as it is told, and the file of credentials in it."""
    told = act(Raw(cloud).send("POST", KEYS, {})).body
    return told, json.loads(base64.b64decode(told["privateKeyData"]))


def login(cloud: Cloud, file: dict[str, Any]) -> Answer:  # Any: JSON
    """What the token endpoint says to an assertion that Google's library signs with this file."""
    credentials: Any = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
        file, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    assertion = credentials._make_authorization_grant_assertion()
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion.decode()}
    return act(
        Raw(cloud).send(
            "POST", "oauth2.googleapis.com/token", content=urlencode(grant).encode(),
            content_type="application/x-www-form-urlencoded",
        )
    )  # fmt: skip


def test_a_key_is_a_login_until_it_is_deleted(cloud: Cloud) -> None:
    told, file = new(cloud)
    assert (file["client_email"], file["private_key_id"]) == (EMAIL, told["name"].rpartition("/")[2])
    assert login(cloud, file).body["access_token"] == cloud.token(EMAIL)
    place = f"{KEYS}/{file['private_key_id']}"
    assert act(Raw(cloud).send("POST", f"{place}:disable", {})).status == 200
    assert login(cloud, file).status == 400
    assert act(Raw(cloud).send("POST", f"{place}:enable", {})).status == 200
    assert login(cloud, file).status == 200
    assert act(Raw(cloud).send("DELETE", place)).status == 200
    assert login(cloud, file).status == 400
    assert act(Raw(cloud).send("GET", place)).status == 404


def signed(file: dict[str, Any], api: str) -> str:  # Any: JSON
    """The JWT that Google's clients of an API show in the place of an access token, where they have this file."""
    credentials: Any = service_account.Credentials.from_service_account_info(file)  # type: ignore[no-untyped-call]
    credentials = credentials.with_always_use_jwt_access(True)
    credentials._create_self_signed_jwt(f"https://{api}.googleapis.com/")
    credentials.refresh(None)
    return str(credentials.token)


def test_a_key_signs_for_one_api_as_googles_clients_do_that_ask_for_no_token(cloud: Cloud) -> None:
    enable(cloud, "secretmanager")
    _, file = new(cloud)
    granted = {"bindings": [{"role": "roles/secretmanager.viewer", "members": [f"serviceAccount:{EMAIL}"]}]}
    cloud.access.set_policy("cloudresourcemanager", "projects/rehearsal", granted, at_once=True)
    secrets = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"

    def asked(token: str) -> int:
        return act(Raw(cloud).send("GET", secrets, authorization=f"Bearer {token}")).status

    token = signed(file, "secretmanager")
    assert asked(token) == 200
    assert cloud.log[-1].caller == EMAIL
    assert (asked(signed(file, "run")), asked(f"{token[:-8]}AAAAAAAA")) == (401, 401)
    cloud.store.remove(next(cloud.store.of("iam", "iam.projects.serviceAccounts.keys")))
    assert asked(token) == 401


def test_only_the_key_itself_signs_for_its_account(cloud: Cloud) -> None:
    _, one = new(cloud)
    _, other = new(cloud)
    assert login(cloud, {**one, "private_key": other["private_key"]}).status == 400
    assert login(cloud, {**one, "client_email": "you@example.com"}).status == 400


def test_a_key_is_told_without_its_secret(cloud: Cloud) -> None:
    told, file = new(cloud)
    raw, place = Raw(cloud), f"{KEYS}/{file['private_key_id']}"
    read = act(raw.send("GET", place)).body
    assert read == {key: told[key] for key in told if key not in {"privateKeyData", "privateKeyType"}}
    assert act(raw.send("GET", KEYS)).body == {"keys": [read]}
    assert act(raw.send("GET", f"{KEYS}?keyTypes=SYSTEM_MANAGED")).body == {}
    public = act(raw.send("GET", f"{place}?publicKeyType=TYPE_X509_PEM_FILE")).body["publicKeyData"]
    assert x509.load_pem_x509_certificate(base64.b64decode(public)).public_key() is not None


def test_who_may_not_make_keys_makes_none_and_an_account_has_ten(cloud: Cloud) -> None:
    assert act(Raw(cloud, "stranger@example.com").send("POST", KEYS, {})).status == 403
    for _ in range(10):
        new(cloud)
    assert act(Raw(cloud).send("POST", KEYS, {})).status == 400
    cloud.policies.told["iam.disableServiceAccountKeyCreation"] = {"rules": [{"enforce": True}]}
    assert "not allowed" in act(Raw(cloud).send("POST", KEYS, {})).error
