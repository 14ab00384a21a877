"""Secret Manager in the rehearsal."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from crypto_keys import make_key
from gcp_rehearsal.apis.secretmanager.versions import LARGEST, read
from gcp_rehearsal.apis.storage.content import extend
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays
from gcp_rehearsal.errors import ApiError

SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"
TOKEN = f"{SECRETS}/token"
REGIONAL = "secretmanager.us-central1.rep.googleapis.com/v1/projects/rehearsal/locations/us-central1/secrets"
AUTOMATIC: dict[str, Any] = {"replication": {"automatic": {}}}
NAME = "projects/481516234200/secrets/token"
READER = "reader@example.com"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "secretmanager")
    return cloud


async def create(raw: Raw, name: str = "token", **more: Any) -> Answer:  # Any: JSON
    return await raw.send("POST", f"{SECRETS}?secretId={name}", {**AUTOMATIC, **more})


async def add(raw: Raw, data: bytes = b"hf_token", place: str = TOKEN, **more: Any) -> Answer:  # Any: JSON
    payload = {"data": base64.b64encode(data).decode(), **more}
    return await raw.send("POST", f"{place}:addVersion", {"payload": payload})


async def access(raw: Raw, version: str = "latest", place: str = TOKEN) -> Answer:
    return await raw.send("GET", f"{place}/versions/{version}:access")


def state(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["error"]["status"]


def test_names_come_back_with_the_projects_number(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = (await create(raw, labels={"homeport": "home"})).body
        assert made["name"] == NAME
        assert made["createTime"].endswith("Z")
        assert made["etag"].startswith('"')
        version = (await add(raw)).body
        assert version["name"] == f"{NAME}/versions/1"
        assert (version["state"], version["replicationStatus"]) == ("ENABLED", {"automatic": {}})
        assert "clientSpecifiedPayloadChecksum" not in version
        assert (await raw.send("GET", SECRETS)).body == {"secrets": [made], "totalSize": 1}
        assert (await raw.send("GET", TOKEN.replace("rehearsal", "481516234200"))).body == made

    act(work())


@pytest.mark.parametrize(
    ("query", "body", "said"),
    [
        ("", AUTOMATIC, "The provided Secret ID [] does not match the expected format [[a-zA-Z_0-9]+]"),
        ("?secretId=a.b", AUTOMATIC, "The provided Secret ID [a.b] does not match"),
        (f"?secretId={'x' * 256}", AUTOMATIC, "does not match the expected format"),
        ("?secretId=a", {}, "Secret must be provided."),
        ("?secretId=a", {"labels": {"a": "b"}}, "Secret.replication must be provided."),
        ("?secretId=a", {"replication": {"userManaged": {}}}, "must name at least one location"),
        ("?secretId=a", {"replication": {"userManaged": {"replicas": [{"location": "mars"}]}}}, "Location [mars]"),
        ("?secretId=a", {**AUTOMATIC, "labels": {"A": "b"}}, "The label [A: b] is not valid."),
        ("?secretId=a", {**AUTOMATIC, "annotations": {"-": "b"}}, "The annotation key [-] is not valid."),
        ("?secretId=a", {**AUTOMATIC, "annotations": {"a": "b" * 16_384}}, "less than 16KiB"),
        ("?secretId=a", {**AUTOMATIC, "versionDestroyTtl": "60s"}, "between 24 hours and 1000 days"),
        ("?secretId=a", {**AUTOMATIC, "expireTime": "2020-01-01T00:00:00Z"}, "must be in the future"),
        ("?secretId=a", {**AUTOMATIC, "expireTime": "2040-13-01T00:00:00Z"}, "is no moment"),
        ("?secretId=a", {**AUTOMATIC, "ttl": "9s", "expireTime": "2040-01-01T00:00:00Z"}, "Only one of"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_secret_is_said(cloud: Cloud, query: str, body: Any, said: str) -> None:
    answer = act(Raw(cloud).send("POST", f"{SECRETS}{query}", body))
    assert state(answer) == (400, "INVALID_ARGUMENT")
    assert said in answer.error


def test_what_is_not_acted_out_is_refused(cloud: Cloud) -> None:
    assert act(create(Raw(cloud), secretType="CERTIFICATE")).status == 501


@pytest.mark.parametrize(("place", "status"), [("global", 200), ("us-central1", 400), ("", 400)])
def test_a_key_of_one_s_own_lies_where_the_secret_does(cloud: Cloud, place: str, status: int) -> None:
    key = f"projects/rehearsal/locations/{place}/keyRings/r/cryptoKeys/k"
    if place:
        make_key(cloud, key)
    made = act(
        create(Raw(cloud), replication={"automatic": {"customerManagedEncryption": {"kmsKeyName": key}}})
    )
    assert made.status == status
    if status == 200:
        assert made.body["replication"]["automatic"]["customerManagedEncryption"]["kmsKeyName"] == key


def test_a_second_secret_of_a_name_is_refused_and_a_missing_one_is_not_found(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        again = await create(raw)
        assert (state(again), again.error) == ((409, "ALREADY_EXISTS"), f"Secret [{NAME}] already exists.")
        none = await raw.send("GET", f"{SECRETS}/none")
        assert none.error == "Secret [projects/481516234200/secrets/none] not found."
        assert (await raw.send("GET", f"{SECRETS}/none:getIamPolicy")).status == 404

    act(work())


def test_an_organisation_may_forbid_replication_everywhere(cloud: Cloud) -> None:
    cloud.policies.locations = frozenset(("us-central1",))

    async def work() -> None:
        raw = Raw(cloud)
        refused = await create(raw)
        assert state(refused) == (400, "FAILED_PRECONDITION")
        assert "constraints/gcp.resourceLocations violated" in refused.error
        assert "attempting to create a secret in [global]" in refused.error
        own: dict[str, Any] = {"replication": {"userManaged": {"replicas": [{"location": "us-central1"}]}}}
        assert (await create(raw, **own)).status == 200
        version = (await add(raw)).body
        assert version["replicationStatus"] == {"userManaged": {"replicas": [{"location": "us-central1"}]}}

    act(work())


def test_a_patch_changes_what_its_mask_names(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = (await create(raw, labels={"a": "1"})).body
        bare = await raw.send("PATCH", TOKEN, {"labels": {}})
        assert (bare.status, bare.error) == (400, "Field [update_mask] is required.")
        assert (await raw.send("PATCH", f"{TOKEN}?updateMask=replication", AUTOMATIC)).status == 400
        changed = await raw.send(
            "PATCH", f"{TOKEN}?updateMask=annotations", {"annotations": {"k": "v"}, "labels": {}}
        )
        assert (changed.body["labels"], changed.body["annotations"]) == ({"a": "1"}, {"k": "v"})
        assert changed.body["etag"] != made["etag"]
        stale = await raw.send("PATCH", f"{TOKEN}?updateMask=labels", {"labels": {}, "etag": made["etag"]})
        assert state(stale) == (400, "FAILED_PRECONDITION")
        etag = changed.body["etag"].strip('"')
        assert (await raw.send("DELETE", f"{TOKEN}?etag=%221%22")).status == 400
        assert (await raw.send("DELETE", f"{TOKEN}?etag=%22{etag}%22")).body == {}

    act(work())


def test_a_secret_expires() -> None:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "secretmanager")

    async def work() -> None:
        raw = Raw(cloud)
        made = (await create(raw, ttl="600s")).body
        assert "expireTime" in made
        assert "ttl" not in made
        await create(raw, "kept", ttl="600s")
        await raw.send("PATCH", f"{SECRETS}/kept?updateMask=expire_time", {})
        await asyncio.sleep(601)
        assert (await raw.send("GET", TOKEN)).status == 404
        assert (await raw.send("GET", f"{SECRETS}/kept")).status == 200

    act(work())


def test_what_was_added_is_read_with_its_checksum(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        version = (await add(raw, b"abc", dataCrc32c=str(extend(0, b"abc")))).body
        assert version["clientSpecifiedPayloadChecksum"] is True
        came = (await access(raw)).body
        assert came == {"name": version["name"], "payload": {"data": "YWJj", "dataCrc32c": "910901175"}}
        assert read(cloud, f"{NAME}/versions/latest") == b"abc"

    act(work())


def test_a_payload_is_checked(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        assert (await raw.send("POST", f"{TOKEN}:addVersion", {})).error == "Field [payload] is required."
        assert (await add(raw, b"")).error == "Secret Payload cannot be empty."
        wrong = await add(raw, b"abc", dataCrc32c="1")
        assert state(wrong) == (400, "INVALID_ARGUMENT")
        assert (await add(raw, b"x" * LARGEST)).status == 200
        large = await add(raw, b"x" * (LARGEST + 1))
        assert (state(large), "65536" in large.error) == ((400, "INVALID_ARGUMENT"), True)
        assert (
            await raw.send("POST", f"{SECRETS}/none:addVersion", {"payload": {"data": "YQ=="}})
        ).status == 404

    act(work())


def test_latest_is_the_newest_even_where_it_cannot_be_read(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        none = await access(raw)
        assert (state(none), none.error) == (
            (404, "NOT_FOUND"),
            f"Secret [{NAME}] not found or has no versions.",
        )
        await create(raw)
        assert (await access(raw)).error == f"Secret [{NAME}] not found or has no versions."
        await add(raw, b"one")
        await add(raw, b"two")
        await raw.send("POST", f"{TOKEN}/versions/2:disable", {})
        refused = await access(raw)
        assert state(refused) == (400, "FAILED_PRECONDITION")
        assert refused.error == f"Secret Version [{NAME}/versions/2] is in DISABLED state."
        assert (await access(raw, "1")).status == 200
        assert (await access(raw, "3")).error == f"Secret Version [{NAME}/versions/3] not found."
        with pytest.raises(ApiError, match="DISABLED"):
            read(cloud, f"{NAME}/versions/latest")

    act(work())


def test_a_destroyed_version_keeps_its_number_and_nothing_else(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        etag = (await add(raw)).body["etag"]
        enabled = await raw.send("POST", f"{TOKEN}/versions/1:enable", {"etag": etag})
        assert enabled.body["etag"] != etag
        stale = await raw.send("POST", f"{TOKEN}/versions/1:destroy", {"etag": etag})
        assert state(stale) == (400, "FAILED_PRECONDITION")
        destroyed = (
            await raw.send("POST", f"{TOKEN}/versions/1:destroy", {"etag": enabled.body["etag"]})
        ).body
        assert (destroyed["state"], "destroyTime" in destroyed) == ("DESTROYED", True)
        for action in ("enable", "disable", "destroy"):
            again = await raw.send("POST", f"{TOKEN}/versions/1:{action}", {})
            assert again.error == f"Secret Version [{NAME}/versions/1] is in DESTROYED state."
        assert (await add(raw)).body["name"].endswith("/versions/2")
        assert (await raw.send("POST", f"{TOKEN}/versions/latest:disable", {})).status == 400

    act(work())


def test_a_secret_may_keep_versions_disabled_before_they_are_destroyed() -> None:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "secretmanager")

    async def work() -> None:
        raw = Raw(cloud)
        await create(raw, versionDestroyTtl="86400s")
        await add(raw)
        await add(raw)
        for number in (1, 2):
            waiting = (await raw.send("POST", f"{TOKEN}/versions/{number}:destroy", {})).body
            assert (waiting["state"], "scheduledDestroyTime" in waiting) == ("DISABLED", True)
        await raw.send("POST", f"{TOKEN}/versions/2:enable", {})
        await asyncio.sleep(86_401)
        assert (await raw.send("GET", f"{TOKEN}/versions/1")).body["state"] == "DESTROYED"
        assert (await access(raw, "2")).status == 200

    act(work())


def test_versions_are_listed_newest_first_and_by_state(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        for _ in range(11):
            await add(raw)
        await raw.send("POST", f"{TOKEN}/versions/3:disable", {})
        page = (await raw.send("GET", f"{TOKEN}/versions?pageSize=2")).body
        assert [one["name"].rpartition("/")[2] for one in page["versions"]] == ["11", "10"]
        assert (page["totalSize"], "nextPageToken" in page) == (11, True)
        disabled = (await raw.send("GET", f"{TOKEN}/versions?filter=state:DISABLED")).body
        assert [one["name"] for one in disabled["versions"]] == [f"{NAME}/versions/3"]

    act(work())


def test_an_alias_leads_to_a_version(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await create(raw)
        await add(raw, b"good")
        await add(raw, b"bad")
        mask = f"{TOKEN}?updateMask=version_aliases"
        changed = await raw.send("PATCH", mask, {"versionAliases": {"good": 1}})
        assert changed.body["versionAliases"] == {"good": "1"}
        assert (await access(raw, "good")).body["name"] == f"{NAME}/versions/1"
        assert (await raw.send("GET", f"{TOKEN}/versions/good")).body["name"] == f"{NAME}/versions/1"
        assert (await raw.send("PATCH", mask, {"versionAliases": {"latest": 1}})).status == 400
        assert (await raw.send("PATCH", mask, {"versionAliases": {"none": 9}})).status == 404

    act(work())


def test_who_may_read_is_said_on_the_secret(cloud: Cloud) -> None:
    async def work() -> None:
        owner, reader = Raw(cloud), Raw(cloud, READER)
        await create(owner)
        await create(owner, "other")
        await add(owner)
        refused = await access(reader)
        assert state(refused) == (403, "PERMISSION_DENIED")
        binding = {"role": "roles/secretmanager.secretAccessor", "members": [f"user:{READER}"]}
        await owner.send("POST", f"{TOKEN}:setIamPolicy", {"policy": {"bindings": [binding]}})
        assert (await access(reader)).status == 200
        assert (await reader.send("GET", TOKEN)).status == 403
        assert (await access(reader, place=f"{SECRETS}/other")).status == 403
        await owner.send("DELETE", TOKEN)
        await create(owner)
        await add(owner)
        assert (await access(reader)).status == 403, "a secret that is made again has lost its bindings"

    act(work())


def test_a_regional_secret_is_reached_at_its_region_alone(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        copied = await raw.send("POST", f"{REGIONAL}?secretId=token", AUTOMATIC)
        assert (copied.status, copied.error) == (400, "Secret.replication should not be provided.")
        made = (await raw.send("POST", f"{REGIONAL}?secretId=token", {})).body
        assert made["name"] == "projects/481516234200/locations/us-central1/secrets/token"
        assert "replicationStatus" not in (await add(raw, place=f"{REGIONAL}/token")).body
        assert (await access(raw, place=f"{REGIONAL}/token")).status == 200
        assert (await raw.send("GET", TOKEN)).status == 404
        path = "projects/rehearsal/locations/us-central1/secrets/token"
        elsewhere = await raw.send("GET", f"secretmanager.googleapis.com/v1/{path}")
        assert elsewhere.error == (
            f"The provided Secret ID [{path}] does not match the expected format [projects/*/secrets/*]"
        )
        assert (
            await raw.send("GET", f"{REGIONAL.partition('/')[0]}/v1/projects/rehearsal/secrets")
        ).status == 400

    act(work())


def test_rotation_is_kept_and_wants_a_topic_and_a_time(cloud: Cloud) -> None:
    raw = Raw(cloud)
    topics = [{"name": "projects/rehearsal/topics/t"}]
    rotation = {"rotationPeriod": "86400s", "nextRotationTime": "2099-01-01T00:00:00Z"}
    automatic: dict[str, object] = {"replication": {"automatic": {}}}
    for wrong in ({"rotation": rotation}, {"topics": [{"name": "t"}]},
                  {"topics": topics, "rotation": {"rotationPeriod": "60s", "nextRotationTime": "2099-01-01T00:00:00Z"}},
                  {"topics": topics, "rotation": {"nextRotationTime": "2020-01-01T00:00:00Z"}}):  # fmt: skip
        assert act(raw.send("POST", f"{SECRETS}?secretId=r", {**automatic, **wrong})).status == 400
    made = act(
        raw.send("POST", f"{SECRETS}?secretId=r", {**automatic, "topics": topics, "rotation": rotation})
    ).body
    assert (made["topics"], made["rotation"]) == (topics, rotation)
