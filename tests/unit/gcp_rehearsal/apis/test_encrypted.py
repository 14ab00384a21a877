"""What is encrypted with a key of Cloud KMS: refused where the key is not there, disabled, elsewhere, or not to be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from crypto_keys import disable, grant, make_key
from gcp_rehearsal.apis.storage.objects import put_object
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.errors import ApiError

PLACE = "projects/rehearsal/locations/us-central1"
RING = f"{PLACE}/keyRings/r"
KEY = f"{RING}/cryptoKeys/k"
IMAGE = "us-docker.pkg.dev/cloudrun/container/hello"
AGENT = "service-481516234200@{}.iam.gserviceaccount.com"
DENIED = (
    "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied on resource '{key}' (or it may not exist)."
)
OFF = f"{KEY}/cryptoKeyVersions/1 is not enabled, current state is: DISABLED."
STORAGE = (
    "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been authorized to use "
    "this key."
)
REGISTRY = (
    "Permission denied on Cloud KMS key. Please ensure your Artifact Registry service account has been authorized to use "
    "the configured key."
)
Said = tuple[str, str]
"""A status or a reason, and words."""


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry", "compute", "run", "secretmanager", "storage")
    return cloud


def sent(cloud: Cloud, verb: str, url: str, body: Any = None, **more: Any) -> Answer:  # Any: JSON
    return act(Raw(cloud).send(verb, url, body, **more))


def bucket(cloud: Cloud, key: str) -> Said:
    """What comes of a new bucket."""
    url = "storage.googleapis.com/storage/v1/b?project=rehearsal"
    body = {"name": "homeport-b", "location": "us-central1", "encryption": {"defaultKmsKeyName": key}}
    return _answered(sent(cloud, "POST", url, body))


def changed_bucket(cloud: Cloud, key: str) -> Said:
    """What comes of a bucket that gets the key later."""
    made = {"name": "homeport-b", "location": "us-central1"}
    assert sent(cloud, "POST", "storage.googleapis.com/storage/v1/b?project=rehearsal", made).status == 200
    body = {"encryption": {"defaultKmsKeyName": key}}
    return _answered(sent(cloud, "PATCH", "storage.googleapis.com/storage/v1/b/homeport-b", body))


def repository(cloud: Cloud, key: str) -> Said:
    """What comes of a new repository; where it failed, it is gone."""
    place = f"artifactregistry.googleapis.com/v1/{PLACE}/repositories"
    answer = sent(cloud, "POST", f"{place}?repositoryId=home", {"format": "DOCKER", "kmsKeyName": key})
    if answer.status != 200:
        return _answered(answer, answer.body["error"]["details"][0]["fieldViolations"][0]["description"])
    error = answer.body.get("error")
    assert sent(cloud, "GET", f"{place}/home").status == (404 if error else 200)
    return (str(error["code"]), error["message"]) if error else ("200", "")


def secret(cloud: Cloud, key: str) -> Said:
    """What comes of a new secret that lies in the region."""
    replica = {"location": "us-central1", "customerManagedEncryption": {"kmsKeyName": key}}
    url = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets?secretId=s"
    return _answered(sent(cloud, "POST", url, {"replication": {"userManaged": {"replicas": [replica]}}}))


def service(cloud: Cloud, key: str) -> Said:
    """What comes of a new service."""
    body = {"template": {"containers": [{"image": IMAGE}], "encryptionKey": key}}
    answer = sent(cloud, "POST", f"run.googleapis.com/v2/{PLACE}/services?serviceId=s", body)
    if answer.status != 200:
        return _answered(answer)
    came = sent(cloud, "GET", f"run.googleapis.com/v2/{PLACE}/services/s").body["terminalCondition"]
    return (came["reason"], came["message"]) if came["state"] == "CONDITION_FAILED" else ("200", "")


def _answered(answer: Answer, words: str = "") -> Said:
    if answer.status == 200:
        return "200", ""
    return f"{answer.status} {answer.body['error'].get('status', '')}".strip(), words or answer.error


Making = Callable[[Cloud, str], Said]
MAKINGS: dict[str, Making] = {
    "storage": bucket, "storage, later": changed_bucket, "artifactregistry": repository, "secretmanager": secret, "run": service,
}  # fmt: skip


@pytest.mark.parametrize("place", ["the key", "its ring", "its project"])
@pytest.mark.parametrize("what", MAKINGS)
def test_a_key_that_the_service_agent_may_use_is_taken_wherever_that_is_granted(
    cloud: Cloud, what: str, place: str
) -> None:
    make_key(cloud, KEY, users=())
    api = what.partition(",")[0]
    if place == "its project":
        grant(cloud, "projects/rehearsal", api, api="cloudresourcemanager")
    else:
        grant(cloud, KEY if place == "the key" else RING, api)
    assert MAKINGS[what](cloud, KEY) == ("200", "")


_RUN = f"Google Cloud Run Service Agent {AGENT.format('serverless-robot-prod')} cannot use the encryption key {KEY}: "
_SECRETS = f"Secret Manager's service agent [{AGENT.format('gcp-sa-secretmanager')}] cannot use the KMS key [{KEY}]: "
NOT_FOUND = f"CryptoKey {KEY} not found."


def _said(what: str, text: str, run: str) -> Said:
    """What is said of a key, where it is said in the words of Cloud KMS."""
    if what == "run":
        return (
            f"ENCRYPTION_KEY_{run}",
            f"Revision 's-00001-{{}}' is not ready and cannot serve traffic. {_RUN}{text}",
        )
    return "400 FAILED_PRECONDITION", f"{_SECRETS}{text}"


def _same(came: Said, wanted: Said) -> bool:
    begin, _, end = wanted[1].partition("{}")
    return came[0] == wanted[0] and came[1].startswith(begin) and came[1].endswith(end)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("what", MAKINGS)
def test_a_key_that_the_service_agent_may_not_use_is_refused_alike_whether_it_is_there_or_not(
    cloud: Cloud, what: str, there: bool
) -> None:
    if there:
        make_key(
            cloud,
            KEY,
            users=[
                api
                for api in ("artifactregistry", "run", "secretmanager", "storage")
                if api != what.partition(",")[0]
            ],
        )
    wanted = {
        "storage": ("403", STORAGE), "storage, later": ("403", STORAGE), "artifactregistry": ("7", REGISTRY),
    }.get(what) or _said(what, DENIED.format(key=KEY), "PERMISSION_DENIED")  # fmt: skip
    came = MAKINGS[what](cloud, KEY)
    assert _same(came, wanted), came


@pytest.mark.parametrize("what", MAKINGS)
def test_a_key_that_is_not_there_is_refused_to_who_might_use_any_of_the_project(
    cloud: Cloud, what: str
) -> None:
    grant(cloud, "projects/rehearsal", what.partition(",")[0], api="cloudresourcemanager")
    wanted = {
        "storage": ("403", STORAGE), "storage, later": ("403", STORAGE), "artifactregistry": ("7", REGISTRY),
    }.get(what) or _said(what, NOT_FOUND, "CHECK_FAILED")  # fmt: skip
    came = MAKINGS[what](cloud, KEY)
    assert _same(came, wanted), came


@pytest.mark.parametrize(
    ("what", "wanted"),
    [
        ("artifactregistry", ("9", OFF)),
        ("secretmanager", _said("secretmanager", OFF, "")),
        ("run", _said("run", OFF, "CHECK_FAILED")),
        ("storage", ("200", "")),
    ],
)
def test_a_key_that_is_disabled_is_refused_where_it_is_asked_at_once(
    cloud: Cloud, what: str, wanted: Said
) -> None:
    make_key(cloud, KEY)
    disable(cloud, KEY)
    came = MAKINGS[what](cloud, KEY)
    assert _same(came, wanted), came


@pytest.mark.parametrize("place", ["europe-west4", "global", "us"])
@pytest.mark.parametrize("what", MAKINGS)
def test_a_key_of_another_place_is_refused(cloud: Cloud, what: str, place: str) -> None:
    key = KEY.replace("us-central1", place)
    make_key(cloud, key)
    status, text = MAKINGS[what](cloud, key)
    assert status.startswith("400")
    said = {
        "storage": f"Cloud KMS region '{place}' not available for use with GCS region 'US-CENTRAL1'.",
        "artifactregistry": "must be a key of us-central1",
        "secretmanager": "must be a key of the location [us-central1]",
        "run": "it must be one of us-central1",
    }
    assert said[what.partition(",")[0]] in text


def test_an_object_tells_its_key_and_is_neither_written_nor_read_once_that_is_disabled(cloud: Cloud) -> None:
    make_key(cloud, KEY)
    assert bucket(cloud, KEY) == ("200", "")
    objects = "storage.googleapis.com/{}storage/v1/b/homeport-b/o"
    written = f"{objects.format('upload/')}?uploadType=media&name=a"
    put = sent(cloud, "POST", written, content=b"abc")
    assert put.body["kmsKeyName"] == f"{KEY}/cryptoKeyVersions/1"
    read = f"{objects.format('')}/a?alt=media"
    assert sent(cloud, "GET", read).content == b"abc"
    disable(cloud, KEY)
    assert _answered(sent(cloud, "POST", written, content=b"abd")) == ("400", f"Cloud KMS error: {OFF}")
    refused = sent(cloud, "GET", read)
    assert (refused.status, refused.content.decode()) == (400, f"Cloud KMS error: {OFF}")
    assert sent(cloud, "GET", "storage.googleapis.com/homeport-b/a").status == 400
    assert sent(cloud, "GET", f"{objects.format('')}/a").status == 200, "what it is called is not encrypted"
    grant(cloud, KEY)
    assert _answered(sent(cloud, "POST", written, content=b"abd")) == ("403", STORAGE)


def test_what_is_refused_for_its_key_leaves_no_bytes_behind(cloud: Cloud) -> None:
    make_key(cloud, KEY)
    assert bucket(cloud, KEY) == ("200", "")
    objects = "storage.googleapis.com/{}storage/v1/b/homeport-b/o"
    upload = f"{objects.format('upload/')}?name={{}}&uploadType={{}}"
    assert sent(cloud, "POST", upload.format("a", "media"), content=b"abc").status == 200
    kept = sorted((cloud.folder / "objects").iterdir())
    disable(cloud, KEY)
    at_once = sent(cloud, "POST", upload.format("b", "media"), content=b"abd")
    assert _answered(at_once) == ("400", f"Cloud KMS error: {OFF}")
    assert sent(cloud, "POST", upload.format("b", "resumable"), {}).status == 400
    with pytest.raises(ApiError, match="is not enabled"):
        put_object(cloud, "homeport-b", "b", b"of another service")
    sources = {"sourceObjects": [{"name": "a"}]}
    assert sent(cloud, "POST", f"{objects.format('')}/b/compose", sources).status == 400
    assert sent(cloud, "POST", f"{objects.format('')}/a/rewriteTo/b/homeport-b/o/b", {}).status == 400
    assert sorted((cloud.folder / "objects").iterdir()) == kept


def test_a_secret_is_not_read_once_its_key_is_disabled(cloud: Cloud) -> None:
    make_key(cloud, KEY)
    assert secret(cloud, KEY) == ("200", "")
    versions = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets/s"
    added = {"payload": {"data": "YWJj"}}
    assert sent(cloud, "POST", f"{versions}:addVersion", added).status == 200
    assert sent(cloud, "GET", f"{versions}/versions/1:access").body["payload"]["data"] == "YWJj"
    disable(cloud, KEY)
    for answer in (
        sent(cloud, "GET", f"{versions}/versions/1:access"),
        sent(cloud, "POST", f"{versions}:addVersion", added),
    ):
        assert _answered(answer) == ("400 FAILED_PRECONDITION", f"{_SECRETS}{OFF}")


def test_a_grant_is_not_seen_before_it_has_spread() -> None:
    cloud = Cloud(delays=replace(AT_ONCE, grants=1e6))
    enable(cloud, "storage")
    make_key(cloud, KEY, users=())
    members = [f"serviceAccount:{AGENT.format('gs-project-accounts')}"]
    policy = {"bindings": [{"role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "members": members}]}
    assert (
        sent(cloud, "POST", f"cloudkms.googleapis.com/v1/{KEY}:setIamPolicy", {"policy": policy}).status
        == 200
    )
    assert bucket(cloud, KEY) == ("403", STORAGE)
