"""The life of an API gateway and of a key, typed in the real gcloud against a rehearsal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcloud import NEEDS_GCLOUD, Served, served

pytestmark = NEEDS_GCLOUD
SERVICES = ("apigateway", "apikeys", "iam", "servicecontrol", "servicemanagement")
EMAIL = "caller@rehearsal.iam.gserviceaccount.com"
DOCUMENT = {
    "swagger": "2.0",
    "info": {"title": "home", "version": "1"},
    "paths": {"/v1/models": {"get": {"operationId": "models", "responses": {"200": {"description": "it"}}}}},
    "securityDefinitions": {"client": {"type": "apiKey", "name": "x-api-key", "in": "header"}},
    "security": [{"client": []}],
    "x-google-backend": {"address": "https://home-1.europe-west1.run.app", "path_translation": "APPEND_PATH_TO_ADDRESS"},
}  # fmt: skip


@pytest.fixture
def rehearsal(tmp_path: Path, gcloud_folder: Path) -> Iterator[Served]:
    with served(tmp_path) as begun:
        found = replace(begun, program=str(gcloud_folder / "gcloud"))
        found.gcloud("services", "enable", *(f"{service}.googleapis.com" for service in SERVICES))
        yield found


def test_gcloud_makes_a_gateway_and_a_key_for_it_and_takes_them_away(rehearsal: Served) -> None:
    file = rehearsal.folder / "openapi.json"
    file.write_text(json.dumps(DOCUMENT))
    rehearsal.gcloud("iam", "service-accounts", "create", "caller")
    rehearsal.gcloud("api-gateway", "apis", "create", "home", "--labels=homeport=home")
    managed = rehearsal.gcloud(
        "api-gateway", "apis", "describe", "home", "--format=value(managedService)"
    ).out.strip()
    rehearsal.gcloud("services", "enable", managed)
    rehearsal.gcloud(
        "api-gateway", "api-configs", "create", "c1", "--api=home", f"--openapi-spec={file}",
        f"--backend-auth-service-account={EMAIL}",
    )  # fmt: skip
    rehearsal.gcloud(
        "api-gateway",
        "gateways",
        "create",
        "home",
        "--api=home",
        "--api-config=c1",
        "--location=europe-west1",
    )
    gateway = rehearsal.gcloud(
        "api-gateway", "gateways", "describe", "home", "--location=europe-west1", "--format=json"
    ).json
    assert gateway["state"] == "ACTIVE"
    assert gateway["defaultHostname"].endswith(".ew.gateway.dev")
    assert "home" in rehearsal.gcloud("api-gateway", "gateways", "list", "--format=value(name)").out

    rehearsal.gcloud(
        "services", "api-keys", "create", "--display-name=alice", f"--api-target=service={managed}"
    )
    (key,) = rehearsal.gcloud("services", "api-keys", "list", "--format=json").json
    assert key["restrictions"]["apiTargets"] == [{"service": managed}]
    string = rehearsal.gcloud(
        "services", "api-keys", "get-key-string", key["name"], "--format=value(keyString)"
    ).out.strip()
    assert string.startswith("AIza")
    rehearsal.gcloud("services", "api-keys", "delete", key["name"], "--quiet")
    assert rehearsal.gcloud("services", "api-keys", "list", "--format=json").json == []

    refused = rehearsal.gcloud("api-gateway", "api-configs", "delete", "c1", "--api=home", "--quiet", code=1)
    assert "in use" in refused.err
    rehearsal.gcloud("api-gateway", "gateways", "delete", "home", "--location=europe-west1", "--quiet")
    rehearsal.gcloud("api-gateway", "api-configs", "delete", "c1", "--api=home", "--quiet")
    rehearsal.gcloud("api-gateway", "apis", "delete", "home", "--quiet")
    assert rehearsal.gcloud("api-gateway", "apis", "list", "--format=value(name)").out.strip() == ""
