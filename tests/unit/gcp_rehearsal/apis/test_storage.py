"""Cloud Storage in the rehearsal."""

from __future__ import annotations

import io
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.auth.credentials import Credentials
from google.cloud.storage import Client as Storage

from cloud import Answer, Raw, act
from gcp_rehearsal.apis.storage import content as storage_content
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud, Project
from gcp_rehearsal.server import App, listen

S = "storage.googleapis.com/storage/v1"
UP = "storage.googleapis.com/upload/storage/v1"
QUARTER = 1 << 18


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    both = (Project(), Project(id="other-project", number="777", owner="other@example.com"))
    return Cloud(projects=both, delays=AT_ONCE, folder=tmp_path)


async def make(raw: Raw, name: str = "weights", **more: Any) -> Answer:  # Any: JSON
    body = {"name": name, "location": "us-central1", **more}
    return await raw.send("POST", f"{S}/b?project=rehearsal", body)


async def put(raw: Raw, name: str, content: bytes = b"hello", query: str = "", **headers: str) -> Answer:
    path = f"{UP}/b/weights/o?uploadType=media&name={name}{query}"
    return await raw.send("POST", path, content=content, **{"content_type": "text/plain", **headers})


def test_a_new_bucket_has_what_google_sets(cloud: Cloud) -> None:
    async def work() -> None:
        made = (await make(Raw(cloud), iamConfiguration={"uniformBucketLevelAccess": {"enabled": True}})).body
        assert made["location"] == "US-CENTRAL1"
        assert (made["locationType"], made["storageClass"]) == ("region", "STANDARD")
        assert (made["projectNumber"], made["metageneration"]) == (cloud.projects[0].number, "1")
        assert made["etag"] == "CAE="
        assert made["softDeletePolicy"]["retentionDurationSeconds"] == "604800"
        access = made["iamConfiguration"]
        assert access["uniformBucketLevelAccess"]["lockedTime"] > made["timeCreated"]
        assert access["publicAccessPrevention"] == "inherited"
        assert (await Raw(cloud).send("GET", f"{S}/b?project=rehearsal")).body["items"] == [made]

    act(work())


def test_a_bucket_s_name_belongs_to_the_first_in_all_the_world(cloud: Cloud) -> None:
    async def work() -> None:
        await make(Raw(cloud))
        again = await make(Raw(cloud))
        assert again.status == 409
        assert again.error.startswith("Your previous request to create the named bucket succeeded")
        theirs = await Raw(cloud, "other@example.com").send(
            "POST", f"{S}/b?project=other-project", {"name": "weights", "location": "us-central1"}
        )
        assert theirs.status == 409
        assert theirs.error.startswith("The requested bucket name is not available.")

    act(work())


@pytest.mark.parametrize(
    "name", ["Weights", "ab", "goog-weights", "my-google-b", "-a-b", "1.2.3.4", "a" * 64]
)
def test_a_name_that_is_none_is_refused(cloud: Cloud, name: str) -> None:
    answer = act(make(Raw(cloud), name))
    assert answer.status == 400
    assert answer.error == f"Invalid bucket name: '{name}'"


def test_where_a_bucket_may_be_is_the_organisation_s_word(cloud: Cloud) -> None:
    cloud.policies.locations = frozenset({"europe-west4"})
    answer = act(make(Raw(cloud)))
    assert answer.status == 412
    assert answer.error == "'us-central1' violates constraint 'constraints/gcp.resourceLocations'"


def test_a_place_that_is_none_is_refused(cloud: Cloud) -> None:
    assert act(make(Raw(cloud), location="mars")).error == "The specified location constraint is not valid."


@pytest.mark.parametrize(
    "more", [{"hierarchicalNamespace": {"enabled": True}}, {"retentionPolicy": {"retentionPeriod": "10"}}]
)
def test_what_is_not_acted_out_is_refused(cloud: Cloud, more: dict[str, Any]) -> None:
    assert act(make(Raw(cloud), **more)).status == 501


def test_a_patch_merges_and_null_removes(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw, labels={"a": "1", "b": "2"})
        patched = (await raw.send("PATCH", f"{S}/b/weights", {"labels": {"a": None, "c": "3"}})).body
        assert patched["labels"] == {"b": "2", "c": "3"}
        assert (patched["metageneration"], patched["etag"]) == ("2", "CAI=")
        bare = (await raw.send("PUT", f"{S}/b/weights", {"name": "weights"})).body
        assert "labels" not in bare
        assert bare["location"] == "US-CENTRAL1"

    act(work())


def test_conditions_hold_or_nothing_happens(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        lost = await raw.send("PATCH", f"{S}/b/weights?ifMetagenerationMatch=7", {"labels": {"a": "1"}})
        assert (lost.status, lost.body["error"]["errors"][0]["reason"]) == (412, "conditionNotMet")
        assert (await raw.send("GET", f"{S}/b/weights?ifMetagenerationNotMatch=1")).status == 304
        assert (await put(raw, "o", query="&ifGenerationMatch=0")).status == 200
        assert (await put(raw, "o", query="&ifGenerationMatch=0")).status == 412

    act(work())


def test_a_bucket_that_is_not_empty_stays(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        await put(raw, "o")
        full = await raw.send("DELETE", f"{S}/b/weights")
        assert (full.status, full.error) == (409, "The bucket you tried to delete is not empty.")
        assert (await raw.send("DELETE", f"{S}/b/weights/o/o")).status == 204
        assert (await raw.send("DELETE", f"{S}/b/weights")).status == 204
        gone = await raw.send("GET", f"{S}/b/weights")
        assert (gone.status, gone.error) == (404, "The specified bucket does not exist.")
        assert list((cloud.folder / "objects").iterdir()) == []

    act(work())


def test_policies_are_storage_s_own_and_guarded_by_their_etag(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        policy = (await raw.send("GET", f"{S}/b/weights/iam")).body
        assert (policy["kind"], policy["resourceId"]) == ("storage#policy", "projects/_/buckets/weights")
        policy["bindings"].append(
            {"role": "roles/storage.objectViewer", "members": ["user:reader@example.com"]}
        )
        reader = Raw(cloud, "reader@example.com")
        await put(raw, "o")
        assert (await reader.send("GET", f"{S}/b/weights/o/o?alt=media")).status == 403
        assert (await raw.send("PUT", f"{S}/b/weights/iam", policy)).status == 200
        assert (await reader.send("GET", f"{S}/b/weights/o/o?alt=media")).content == b"hello"
        assert (await raw.send("PUT", f"{S}/b/weights/iam", policy)).status == 412
        path = f"{S}/b/weights/iam/testPermissions?permissions=storage.objects.get&permissions=storage.objects.delete"
        assert (await reader.send("GET", path)).body["permissions"] == ["storage.objects.get"]

    act(work())


def test_nobody_makes_public_what_must_not_be(cloud: Cloud) -> None:
    everyone = {"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]}

    async def work() -> None:
        raw = Raw(cloud)
        await make(raw, iamConfiguration={"publicAccessPrevention": "enforced"})
        kept = await raw.send("PUT", f"{S}/b/weights/iam", everyone)
        assert kept.status == 412
        assert "public access prevention is enforced" in kept.error
        await make(raw, "open")
        assert (await raw.send("PUT", f"{S}/b/open/iam", everyone)).status == 200
        cloud.policies.restricts_members = True
        barred = await raw.send("PUT", f"{S}/b/open/iam", everyone)
        assert barred.status == 412
        assert "do not belong to a permitted customer" in barred.error

    act(work())


def test_replacing_an_object_asks_for_the_right_to_delete(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        creator = {"role": "roles/storage.objectCreator", "members": ["user:puller@example.com"]}
        await raw.send("PUT", f"{S}/b/weights/iam", {"bindings": [creator]})
        puller = Raw(cloud, "puller@example.com")
        assert (await put(puller, "o")).status == 200
        assert "storage.objects.delete" in (await put(puller, "o")).error

    act(work())


def test_an_object_tells_its_checksums(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        made = (await put(raw, "a/b.txt")).body
        assert made["md5Hash"] == b64encode(md5(b"hello", usedforsecurity=False).digest()).decode()
        assert made["crc32c"] == "mnG7TA=="
        assert (made["size"], made["contentType"]) == ("5", "text/plain")
        came = await raw.send("GET", f"{S}/b/weights/o/a%2Fb.txt?alt=media", range="bytes=1-3")
        assert (came.status, came.content, came.headers["content-range"]) == (206, b"ell", "bytes 1-3/5")
        assert came.headers["x-goog-hash"] == f"crc32c=mnG7TA==,md5={made['md5Hash']}"
        beyond = await raw.send("GET", f"{S}/b/weights/o/a%2Fb.txt?alt=media", range="bytes=9-")
        assert beyond.status == 416
        assert (await raw.send("GET", "storage.googleapis.com/weights/a/b.txt")).content == b"hello"
        assert (await raw.send("GET", "storage.googleapis.com/weights/nothing")).status == 404

    act(work())


def test_bytes_that_are_not_those_that_were_meant_are_refused(cloud: Cloud) -> None:
    async def work() -> None:
        await make(Raw(cloud))
        wrong = await put(Raw(cloud), "o", x_goog_hash="crc32c=AAAAAA==")
        assert wrong.status == 400
        assert wrong.error == 'Provided CRC32C "AAAAAA==" doesn\'t match calculated CRC32C "mnG7TA==".'
        assert list((cloud.folder / "objects").iterdir()) == []

    act(work())


def test_a_body_of_two_parts_brings_metadata(cloud: Cloud) -> None:
    body = (
        b'--xy\r\nContent-Type: application/json\r\n\r\n{"name": "o", "metadata": {"k": "v"}}\r\n'
        b"--xy\r\nContent-Type: image/png\r\n\r\n\r\n--x\r\n\x00\r\n--xy--\r\n"
    )

    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        path = f"{UP}/b/weights/o?uploadType=multipart"
        made = await raw.send("POST", path, content=body, content_type='multipart/related; boundary="xy"')
        assert (made.body["metadata"], made.body["contentType"]) == ({"k": "v"}, "image/png")
        assert (await raw.send("GET", f"{S}/b/weights/o/o?alt=media")).content == b"\r\n--x\r\n\x00"
        unknown = body.replace(b"metadata", b"metadatum")
        came = await raw.send("POST", path, content=unknown, content_type="multipart/related; boundary=xy")
        assert came.status == 400

    act(work())


async def begin(raw: Raw, query: str = "name=big") -> str:
    begun = await raw.send("POST", f"{UP}/b/weights/o?uploadType=resumable&{query}", {"contentType": "x/y"})
    return begun.headers["location"].removeprefix("https://")


def test_an_upload_goes_on_where_it_was_broken_off(cloud: Cloud) -> None:
    data = os.urandom(2 * QUARTER + 100)

    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        url = await begin(raw)
        first = await raw.send("PUT", url, content=b"", content_range="bytes */*")
        assert (first.status, first.headers.get("range")) == (308, None)
        came = await raw.send(
            "PUT", url, content=data[: QUARTER + 9], content_range=f"bytes 0-{QUARTER + 8}/*"
        )
        assert (came.status, came.headers["range"]) == (308, f"bytes=0-{QUARTER - 1}"), "whole quarters only"
        ahead = await raw.send(
            "PUT", url, content=data[:QUARTER], content_range=f"bytes {2 * QUARTER}-{3 * QUARTER - 1}/*"
        )
        assert ahead.status == 503
        rest = f"bytes {QUARTER}-{len(data) - 1}/{len(data)}"
        done = await raw.send("PUT", url, content=data[QUARTER:], content_range=rest)
        assert (done.status, done.body["size"]) == (200, str(len(data)))
        assert (await raw.send("PUT", url, content=b"", content_range="bytes */*")).body == done.body
        assert (await raw.send("GET", f"{S}/b/weights/o/big?alt=media")).content == data

    act(work())


def test_small_chunks_are_refused_and_uploads_can_be_given_up(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        url = await begin(raw)
        small = await raw.send("PUT", url, content=b"x", content_range="bytes 0-0/9")
        assert small.status == 400
        assert "is required to be equal or greater than 262144" in small.error
        assert (await raw.send("DELETE", url)).status == 499
        assert (await raw.send("PUT", url, content=b"x")).status == 404

    act(work())


def test_the_conditions_of_an_upload_hold_to_its_end(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        url = await begin(raw, "name=o&ifGenerationMatch=0")
        await put(raw, "o")
        assert (await raw.send("PUT", url, content=b"late")).status == 412
        assert (await raw.send("GET", f"{S}/b/weights/o/o?alt=media")).content == b"hello"

    act(work())


def test_lists_have_folders_and_pages(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        for name in ("a", "f%2F1", "f%2F2", "g%2F1", "z"):
            await put(raw, name)
        whole = (await raw.send("GET", f"{S}/b/weights/o?delimiter=/")).body
        assert ([item["name"] for item in whole["items"]], whole["prefixes"]) == (["a", "z"], ["f/", "g/"])
        seen: list[str] = []
        token = ""
        for _ in range(4):
            page = (await raw.send("GET", f"{S}/b/weights/o?delimiter=/&maxResults=1&pageToken={token}")).body
            seen += [item["name"] for item in page.get("items", [])] + page.get("prefixes", [])
            token = page.get("nextPageToken", "")
        assert (seen, token) == (["a", "f/", "g/", "z"], "")
        under = (await raw.send("GET", f"{S}/b/weights/o?prefix=f/&startOffset=f/2")).body
        assert [item["name"] for item in under["items"]] == ["f/2"]

    act(work())


def test_copies_share_bytes_and_keep_them_when_the_first_goes(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        await put(raw, "o")
        made = (await raw.send("POST", f"{S}/b/weights/o/o/rewriteTo/b/weights/o/p", {})).body
        assert made["done"]
        assert made["resource"]["contentType"] == "text/plain"
        await raw.send("DELETE", f"{S}/b/weights/o/o")
        both = {"sourceObjects": [{"name": "p"}, {"name": "p"}], "destination": {"contentType": "a/b"}}
        joined = (await raw.send("POST", f"{S}/b/weights/o/pp/compose", both)).body
        assert joined["componentCount"] == 2
        assert "md5Hash" not in joined
        assert (await raw.send("GET", f"{S}/b/weights/o/pp?alt=media")).content == b"hellohello"

    act(work())


def test_a_copy_to_another_region_takes_as_many_requests_as_it_is_allowed_bytes(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        await raw.send("POST", f"{S}/b?project=rehearsal", {"name": "elsewhere", "location": "EU"})
        data = b"x" * (2 * 2**20 + 7)
        await raw.send(
            "POST",
            "storage.googleapis.com/upload/storage/v1/b/elsewhere/o?uploadType=media&name=o",
            content=data,
        )
        url, token = f"{S}/b/elsewhere/o/o/rewriteTo/b/weights/o/p?maxBytesRewrittenPerCall={2**20}", ""
        for written in (2**20, 2**21):
            part = (await raw.send("POST", f"{url}{token}")).body
            assert (part["done"], part["totalBytesRewritten"], "resource" in part) == (
                False,
                str(written),
                False,
            )
            token = f"&rewriteToken={part['rewriteToken']}"
        other = f"{S}/b/elsewhere/o/o/rewriteTo/b/weights/o/q?maxBytesRewrittenPerCall={2**20}{token}"
        assert (await raw.send("POST", other)).status == 400
        assert (await raw.send("POST", f"{url[:-1]}{token}")).status == 400
        last = (await raw.send("POST", f"{url}{token}")).body
        assert (last["done"], last["totalBytesRewritten"]) == (True, str(len(data)))
        assert (await raw.send("GET", f"{S}/b/weights/o/p?alt=media")).content == data

    act(work())


def test_metadata_change_without_a_new_generation(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await make(raw)
        before = (await put(raw, "o")).body
        after = (await raw.send("PATCH", f"{S}/b/weights/o/o", {"metadata": {"k": "v"}})).body
        assert (after["generation"], after["metageneration"]) == (before["generation"], "2")
        assert (await raw.send("PATCH", f"{S}/b/weights/o/o", {"metadata": {"k": None}})).body.get(
            "metadata"
        ) is None
        newer = (await put(raw, "o")).body
        assert int(newer["generation"]) > int(before["generation"])
        assert (
            await raw.send("GET", f"{S}/b/weights/o/o?generation={before['generation']}")
        ).error == "No such object: weights/o"

    act(work())


@pytest.mark.parametrize(
    "path",
    ["b/weights/notificationConfigs/1", "b/weights/acl", "b/weights/o/o/acl", "projects/rehearsal/hmacKeys"],
)
def test_the_rest_of_the_api_says_that_it_is_not_there(cloud: Cloud, path: str) -> None:
    async def work() -> Answer:
        await make(Raw(cloud))
        return await Raw(cloud).send("GET", f"{S}/{path}")

    assert act(work()).status == 501


def test_checksums_need_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    assert storage_content._slow(0, b"123456789") == 0xE3069283
    assert storage_content._slow(storage_content._slow(0, b"1234"), b"56789") == 0xE3069283
    assert storage_content.extend(0, b"123456789") == 0xE3069283


class Token(Credentials):  # type: ignore[no-untyped-call,misc,unused-ignore]
    """A caller of the rehearsal."""

    def __init__(self, token: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call,unused-ignore]
        self.token = token

    @property
    def valid(self) -> bool:
        return True

    def refresh(self, request: Any) -> None:  # Any: a transport of google-auth's
        pass


@pytest.fixture
def client(cloud: Cloud) -> Iterator[Storage]:
    import uvicorn

    listening = listen(0)
    server = uvicorn.Server(uvicorn.Config(App(cloud), log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    options = {"api_endpoint": f"http://127.0.0.1:{listening.getsockname()[1]}"}
    client = Storage(project="rehearsal", credentials=Token(cloud.token(OWNER)), client_options=options)
    yield client
    client.close()
    server.should_exit = True
    thread.join()
    listening.close()


def test_google_s_own_client_finds_its_way(client: Storage) -> None:
    bucket = client.create_bucket("weights", location="us-central1")
    data = os.urandom(3 * QUARTER + 17)
    big = bucket.blob("a/big", chunk_size=QUARTER)
    big.upload_from_file(io.BytesIO(data))
    assert bucket.blob("a/big", chunk_size=2 * QUARTER).download_as_bytes() == data
    assert bucket.blob("a/big").download_as_bytes(start=5, end=9) == data[5:10]
    small = bucket.blob("small")
    small.upload_from_string("hello", content_type="text/plain")
    assert bucket.rename_blob(small, "renamed").download_as_text() == "hello"
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a/big").upload_from_string("x", if_generation_match=0)
    with pytest.raises(exceptions.NotFound, match="No such object: weights/nothing"):
        bucket.blob("nothing").download_as_bytes()
    with pytest.raises(exceptions.Conflict, match="you already own it"):
        client.create_bucket("weights")
    assert [blob.name for blob in client.list_blobs("weights")] == ["a/big", "renamed"]
    bucket.delete(force=True)
    assert list(client.list_buckets()) == []
