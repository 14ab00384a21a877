"""Cloud KMS in the rehearsal: rings, keys, their versions, and who may use them."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

PLACE = "projects/rehearsal/locations/us-central1"
RING, KEY = f"{PLACE}/keyRings/r", f"{PLACE}/keyRings/r/cryptoKeys/k"
ONE = f"{KEY}/cryptoKeyVersions/1"
MADE = {"purpose": "ENCRYPT_DECRYPT"}


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "cloudkms")
    return cloud


def sent(cloud: Cloud, verb: str, path: str, body: Any = None, *, by: str = "") -> Answer:  # Any: JSON
    raw = Raw(cloud, by) if by else Raw(cloud)
    return act(raw.send(verb, f"cloudkms.googleapis.com/v1/{path}", body))


def made(cloud: Cloud, **more: Any) -> Answer:  # Any: JSON
    assert sent(cloud, "POST", f"{PLACE}/keyRings?keyRingId=r", {}).status == 200
    return sent(cloud, "POST", f"{RING}/cryptoKeys?cryptoKeyId=k", {**MADE, **more})


def test_a_key_is_made_with_a_version_that_it_encrypts_with(cloud: Cloud) -> None:
    body = made(cloud, labels={"a": "b"}).body
    assert (body["name"], body["labels"], body["destroyScheduledDuration"]) == (KEY, {"a": "b"}, "2592000s")
    assert body["versionTemplate"] == {
        "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION",
        "protectionLevel": "SOFTWARE",
    }
    assert (body["primary"]["name"], body["primary"]["state"]) == (ONE, "ENABLED")
    assert sent(cloud, "GET", KEY.replace("rehearsal", "481516234200")).body == body
    assert sent(cloud, "GET", f"{RING}/cryptoKeys").body == {"cryptoKeys": [body], "totalSize": 1}
    assert [ring["name"] for ring in sent(cloud, "GET", f"{PLACE}/keyRings").body["keyRings"]] == [RING]


@pytest.mark.parametrize(
    ("verb", "path", "body", "said"),
    [
        ("GET", f"{PLACE}/keyRings/none", None, (404, f"KeyRing {PLACE}/keyRings/none not found.")),
        ("GET", f"{RING}/cryptoKeys/none", None, (404, f"CryptoKey {RING}/cryptoKeys/none not found.")),
        ("GET", f"{RING}/cryptoKeys/none:getIamPolicy", None, (404, f"CryptoKey {RING}/cryptoKeys/none not found.")),
        ("GET", f"{PLACE}/keyRings/none/cryptoKeys", None, (404, f"KeyRing {PLACE}/keyRings/none not found.")),
        ("POST", f"{PLACE}/keyRings/none/cryptoKeys?cryptoKeyId=k", MADE, (404, f"KeyRing {PLACE}/keyRings/none not found.")),
        ("POST", f"{PLACE}/keyRings?keyRingId=r", {}, (409, f"KeyRing {RING} already exists.")),
        ("POST", f"{RING}/cryptoKeys?cryptoKeyId=k", MADE, (409, f"CryptoKey {KEY} already exists.")),
        ("POST", "projects/rehearsal/locations/mars/keyRings?keyRingId=r", {}, (404, "Location 'mars' was not found.")),
        ("POST", f"{PLACE}/keyRings?keyRingId=a.b", {}, (400, "Invalid keyRingId 'a.b'")),
        ("POST", f"{RING}/cryptoKeys?cryptoKeyId=n", {}, (400, "A purpose is required.")),
        ("POST", f"{RING}/cryptoKeys?cryptoKeyId=n", {"purpose": "MAC"}, (501, "does not act out")),
        ("POST", f"{RING}/cryptoKeys?cryptoKeyId=n", {**MADE, "versionTemplate": {"algorithm": "HMAC_SHA1"}}, (400, "HMAC_SHA1")),
        ("POST", f"{KEY}:encrypt", {"plaintext": "aaaa"}, (501, "does not act out")),
        ("POST", f"{PLACE}/keyHandles", {}, (501, "does not act out")),
        ("DELETE", KEY, None, (501, "does not act out")),
    ],
)  # fmt: skip
def test_what_is_not_there_or_cannot_be_is_said(
    cloud: Cloud, verb: str, path: str, body: Any, said: tuple[int, str]
) -> None:
    made(cloud)
    answer = sent(cloud, verb, path, body)
    assert (answer.status, said[1] in answer.error) == (said[0], True), answer.body


def test_a_version_is_disabled_enabled_destroyed_and_restored(cloud: Cloud) -> None:
    made(cloud)

    def state() -> str:
        return str(sent(cloud, "GET", KEY).body["primary"]["state"])

    assert (
        sent(cloud, "PATCH", f"{ONE}?updateMask=state", {"state": "DISABLED"}).body["state"]
        == state()
        == "DISABLED"
    )
    assert sent(cloud, "PATCH", f"{ONE}?updateMask=state", {"state": "DESTROYED"}).status == 400
    assert (
        sent(cloud, "PATCH", f"{ONE}?updateMask=state", {"state": "ENABLED"}).body["state"]
        == state()
        == "ENABLED"
    )
    destroyed = sent(cloud, "POST", f"{ONE}:destroy", {}).body
    assert destroyed["state"] == state() == "DESTROY_SCHEDULED"
    assert (
        sent(cloud, "PATCH", f"{ONE}?updateMask=state", {"state": "ENABLED"}).body["error"]["status"]
        == "FAILED_PRECONDITION"
    )
    assert "destroyTime" not in sent(cloud, "POST", f"{ONE}:restore", {}).body
    assert state() == "DISABLED"


def test_a_key_is_rotated_to_a_version_that_is_enabled(cloud: Cloud) -> None:
    made(cloud)
    assert sent(cloud, "POST", f"{KEY}/cryptoKeyVersions", {}).body["name"] == f"{KEY}/cryptoKeyVersions/2"
    assert sent(cloud, "GET", KEY).body["primary"]["name"] == ONE
    rotated = sent(cloud, "POST", f"{KEY}:updatePrimaryVersion", {"cryptoKeyVersionId": "2"}).body
    assert (
        rotated["primary"]["name"]
        == sent(cloud, "GET", KEY).body["primary"]["name"]
        == f"{KEY}/cryptoKeyVersions/2"
    )
    assert sent(cloud, "GET", f"{KEY}/cryptoKeyVersions").body["totalSize"] == 2
    assert sent(cloud, "POST", f"{KEY}:updatePrimaryVersion", {"cryptoKeyVersionId": "3"}).status == 404


def test_who_may_use_a_key_by_its_own_policy_or_that_of_its_ring_is_told(cloud: Cloud) -> None:
    made(cloud)
    asked = {"permissions": ["cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeys.get"]}

    def held(who: str) -> list[str]:
        return list(
            sent(cloud, "POST", f"{KEY}:testIamPermissions", asked, by=who).body.get("permissions", ())
        )

    for place, who in ((KEY, "ann@example.com"), (RING, "bob@example.com")):
        assert held(who) == []
        refused = sent(cloud, "GET", KEY, by=who)
        assert (
            refused.error
            == f"Permission 'cloudkms.cryptoKeys.get' denied on resource '{KEY}' (or it may not exist)."
        )
        binding = {"role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "members": [f"user:{who}"]}
        assert sent(cloud, "POST", f"{place}:setIamPolicy", {"policy": {"bindings": [binding]}}).status == 200
        assert held(who) == ["cloudkms.cryptoKeyVersions.useToEncrypt"]
