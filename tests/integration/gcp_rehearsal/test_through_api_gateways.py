"""A gateway asks for a key, counts by project, and calls a private service as its own account: nobody comes around it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from cloud import enable
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER
from patience import until
from rehearsed import SMALL_SERVER, Running, image, rehearsing

EMAIL = "caller@rehearsal.iam.gserviceaccount.com"
ROOT = "/v1/projects/rehearsal/locations"
QUOTA = {
    "metrics": [{"name": "asked", "displayName": "asked", "valueType": "INT64", "metricKind": "DELTA"}],
    "quota": {
        "limits": [{"name": "each", "metric": "asked", "unit": "1/min/{project}", "values": {"STANDARD": 3}}]
    },
}


def document(address: str, deadline: float = 30.0, **more: Any) -> dict[str, Any]:  # Any: JSON
    """An OpenAPI document for two calls of a backend."""
    answers = {"200": {"description": "it"}}
    costs = {"x-google-quota": {"metricCosts": {"asked": 1}}} if "x-google-management" in more else {}
    return {
        "swagger": "2.0",
        "info": {"title": "t", "version": "1"},
        "paths": {
            "/v1/models": {"get": {"operationId": "models", "responses": answers, **costs}},
            "/v1/models/{model}": {"get": {"operationId": "model", "responses": answers, **costs}},
        },
        "securityDefinitions": {"client": {"type": "apiKey", "name": "x-api-key", "in": "header"}},
        "security": [{"client": []}],
        "x-google-backend": {
            "address": address, "deadline": deadline, "path_translation": "APPEND_PATH_TO_ADDRESS", "protocol": "h2",
        },
        **more,
    }  # fmt: skip


class Keyed:
    """A service, a gateway before it, and keys."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.address = str(running.service()["uri"])
        self._configs = 0
        account = {"accountId": "caller", "serviceAccount": {}}
        running.api("POST", "/v1/projects/rehearsal/serviceAccounts", account, host="iam")
        bindings = [{"role": "roles/run.invoker", "members": [f"serviceAccount:{EMAIL}"]}]
        place = f"/v2/{running.service()['name']}:setIamPolicy"
        running.api("POST", place, {"policy": {"bindings": bindings}})
        self.done(running.api("POST", f"{ROOT}/global/apis?apiId=t", {}, host="apigateway"))
        self.service = self.api["managedService"]
        running.api("POST", f"/v1/projects/rehearsal/services/{self.service}:enable", {}, host="serviceusage")

    @property
    def api(self) -> Any:  # Any: JSON
        return self.running.api("GET", f"{ROOT}/global/apis/t", host="apigateway")

    def done(self, begun: Any, version: str = "v1", host: str = "apigateway") -> Any:  # Any: JSON
        """What an operation came to."""
        asked = until(
            lambda: self.running.api("GET", f"/{version}/{begun['name']}", host=host),
            lambda op: op.get("done"),
        )
        assert "error" not in asked, asked
        return asked["response"]

    def serve(self, **more: Any) -> None:
        """Let the gateway serve a document."""
        self._configs += 1
        text = json.dumps(document(self.address, **more)).encode()
        body = {
            "gatewayServiceAccount": EMAIL,
            "openapiDocuments": [
                {"document": {"path": "t.json", "contents": base64.b64encode(text).decode()}}
            ],
        }
        path = f"{ROOT}/global/apis/t/configs?apiConfigId=c{self._configs}"
        config = self.done(self.running.api("POST", path, body, host="apigateway"))
        wanted = {"apiConfig": config["name"], "streamingMode": "STREAMING_MODE_ENABLED"}
        at = f"{ROOT}/europe-west1/gateways"
        if self._configs == 1:
            begun = self.running.api("POST", f"{at}?gatewayId=t", wanted, host="apigateway")
        else:
            begun = self.running.api("PATCH", f"{at}/t?updateMask=apiConfig", wanted, host="apigateway")
        self.host = self.done(begun)["defaultHostname"]

    def key(self, *services: str) -> str:
        """A new key, for these services alone."""
        targets = {"apiTargets": [{"service": service} for service in services]}
        path = "/v2/projects/rehearsal/locations/global/keys"
        begun = self.running.api("POST", path, {"restrictions": targets} if services else {}, host="apikeys")
        made = self.done(begun, "v2", "apikeys")
        assert "keyString" not in made
        return str(self.running.api("GET", f"/v2/{made['name']}/keyString", host="apikeys")["keyString"])

    def ask(self, path: str, key: str = "", **headers: str) -> httpx2.Response:
        """What a client gets."""
        sent = {"host": self.host, **({"x-api-key": key} if key else {}), **headers}
        return self.running.client.get(path, headers=sent)


@contextmanager
def keyed() -> Iterator[Keyed]:
    with rehearsing() as running:
        enable(
            running.cloud,
            "apigateway",
            "apikeys",
            "servicecontrol",
            "servicemanagement",
            "iam",
            "serviceusage",
        )
        stored = image(running.cloud, "small", {"/serve.py": SMALL_SERVER}, command=["python3", "/serve.py"])
        running.deploy(stored, container={"command": ["python3", "/serve.py"]})
        yield Keyed(running)


def test_a_key_opens_a_private_service_through_its_gateway_and_what_is_wrong_with_one_is_said() -> None:
    with keyed() as gateway:
        gateway.serve()
        key = gateway.key(gateway.service)
        came = gateway.ask("/v1/models", key, authorization="Bearer mine")
        assert came.status_code == 200, came.text
        got = {name.lower(): value for name, value in came.json()["headers"].items()}
        assert got["x-forwarded-authorization"] == "Bearer mine"
        assert "SIGNATURE_REMOVED_BY_GOOGLE" in got["authorization"], "it comes as the gateway's account"
        assert got["host"] == gateway.address.removeprefix("https://")

        assert gateway.ask("/v1/models").status_code == 401
        assert gateway.ask("/v1/models", "AIzaSyNobodys").status_code == 400
        assert "blocked" in gateway.ask("/v1/models", gateway.key("other.example.com")).json()["message"]
        for path in ("/", "/v1", "/v1/models/a/b", "/V1/models", "/v1/models/../slow=0"):
            assert gateway.ask(path, key).status_code == 404, path
        assert gateway.ask("/v1/models/one", key).status_code == 200

        token = id_token(gateway.running.cloud, OWNER, f"https://{gateway.host}")
        around = {"host": gateway.address.removeprefix("https://"), "x-api-key": key}
        assert gateway.running.client.get("/v1/models", headers=around).status_code == 403
        assert gateway.ask("/v1/models", authorization=f"Bearer {token}").status_code == 401, (
            "a token is no key"
        )


def test_a_key_that_was_deleted_opens_nothing_and_its_id_stays_its_own() -> None:
    with keyed() as gateway:
        gateway.serve()
        path = "/v2/projects/rehearsal/locations/global/keys"
        made = gateway.done(
            gateway.running.api("POST", f"{path}?keyId=mine", {}, host="apikeys"), "v2", "apikeys"
        )
        key = gateway.running.api("GET", f"/v2/{made['name']}/keyString", host="apikeys")["keyString"]
        assert gateway.ask("/v1/models", key).status_code == 200
        gateway.done(gateway.running.api("DELETE", f"/v2/{made['name']}", host="apikeys"), "v2", "apikeys")
        assert gateway.ask("/v1/models", key).status_code == 400
        assert gateway.running.api("GET", path, host="apikeys").get("keys", []) == []
        again = gateway.running.client.post(
            f"{path}?keyId=mine", json={},
            headers={"host": "apikeys.googleapis.com", "authorization": f"Bearer {gateway.running.cloud.token(OWNER)}"},
        )  # fmt: skip
        assert again.status_code == 409
        gateway.done(
            gateway.running.api("POST", f"/v2/{made['name']}:undelete", {}, host="apikeys"), "v2", "apikeys"
        )
        assert gateway.ask("/v1/models", key).status_code == 200, "Google gives the same string back"


def test_more_than_the_limit_of_a_project_is_refused_whichever_key_asks_and_a_minute_later_it_is_not() -> (
    None
):
    with keyed() as gateway:
        gateway.serve(**{"x-google-management": QUOTA})
        one, other = gateway.key(gateway.service), gateway.key(gateway.service)
        gateway.running.cloud.clock.speed = 1.0  # Else a minute is over before four requests are.
        gateway.running.cloud.clock.jump(60 - gateway.running.cloud.clock.now() % 60)
        assert [gateway.ask("/v1/models", key).status_code for key in (one, other, one)] == [200, 200, 200]
        refused = gateway.ask("/v1/models", other)
        assert refused.status_code == 429
        assert "limit 'each'" in refused.json()["message"]
        gateway.running.cloud.clock.jump(60)
        assert gateway.ask("/v1/models", other).status_code == 200


def test_what_takes_longer_than_the_deadline_is_ended() -> None:
    with keyed() as gateway:
        gateway.serve(deadline=0.5, paths={
            "/{path=**}": {"get": {"operationId": "all", "responses": {"200": {"description": "it"}}}},
        })  # fmt: skip
        key = gateway.key(gateway.service)
        # On a busy machine this may take longer than that, too.
        until(lambda: gateway.ask("/slow=0", key).status_code, lambda status: status == 200)
        came = gateway.ask("/slow=30", key)
        assert (came.status_code, came.json()["message"]) == (504, "upstream request timeout")


def test_without_the_right_to_call_the_service_a_gateway_gets_the_services_own_refusal() -> None:
    with keyed() as gateway:
        gateway.serve()
        key = gateway.key(gateway.service)
        place = f"/v2/{gateway.running.service()['name']}:setIamPolicy"
        gateway.running.api("POST", place, {"policy": {"bindings": []}})
        assert gateway.ask("/v1/models", key).status_code == 403


def test_a_config_in_use_and_an_api_with_configs_cannot_go() -> None:
    with keyed() as gateway:
        gateway.serve()
        headers = {
            "host": "apigateway.googleapis.com",
            "authorization": f"Bearer {gateway.running.cloud.token(OWNER)}",
        }
        for path in ("/global/apis/t/configs/c1", "/global/apis/t"):
            assert gateway.running.client.delete(f"{ROOT}{path}", headers=headers).status_code == 400, path
        for path in ("/europe-west1/gateways/t", "/global/apis/t/configs/c1", "/global/apis/t"):
            begun = gateway.running.client.delete(f"{ROOT}{path}", headers=headers)
            assert begun.status_code == 200, begun.text
            gateway.done(begun.json())


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"swagger": "3.0"}, 501, "2.0"),
        ({"paths": {}}, 400, "names no call"),
        ({"x-google-backend": {"address": "https://a.run.app", "path_translation": "APPEND_PATH_TO_ADDRESS", "deadline": 4000}}, 400, "deadline"),
        ({"x-google-backend": {"address": "https://a.run.app"}}, 501, "path of the request"),
        ({"securityDefinitions": {"client": {"type": "apiKey", "name": "x-my-key", "in": "header"}}}, 400, "x-api-key"),
        ({"security": [{"nobody": []}]}, 400, "nobody"),
    ],
)  # fmt: skip
def test_a_document_that_api_gateway_would_not_take_is_refused(
    change: dict[str, Any], status: int, words: str
) -> None:
    with keyed() as gateway:
        text = json.dumps({**document(gateway.address), **change}).encode()
        body = {
            "gatewayServiceAccount": EMAIL,
            "openapiDocuments": [
                {"document": {"path": "t.json", "contents": base64.b64encode(text).decode()}}
            ],
        }
        came = gateway.running.client.post(
            f"{ROOT}/global/apis/t/configs?apiConfigId=c", json=body,
            headers={"host": "apigateway.googleapis.com", "authorization": f"Bearer {gateway.running.cloud.token(OWNER)}"},
        )  # fmt: skip
        assert came.status_code == status, came.text
        assert words in came.json()["error"]["message"]
