"""Buckets that keep what was overwritten, and Autoclass: Google's own client for storage is the judge of the first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core.exceptions import Conflict, NotFound
from google.cloud.storage import Client as Storage
from google.oauth2.credentials import Credentials

from cloud import Answer, Raw, act
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.server import App, listen

B = "storage.googleapis.com/storage/v1/b"


@pytest.fixture
def client() -> Iterator[Storage]:
    import uvicorn

    cloud, listening = Cloud(delays=AT_ONCE), listen(0)
    server = uvicorn.Server(uvicorn.Config(App(cloud), log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    client = Storage(
        project="rehearsal",
        credentials=Credentials(cloud.token(OWNER)),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": f"http://127.0.0.1:{listening.getsockname()[1]}"},
    )
    yield client
    client.close()
    server.should_exit = True
    thread.join()
    listening.close()


def test_a_versioned_bucket_keeps_what_was_overwritten_and_deleted(client: Storage) -> None:
    bucket = client.create_bucket("weights", location="us-central1")
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("a/model")
    blob.upload_from_string(b"one")
    first = blob.generation
    blob.upload_from_string(b"two")
    second = blob.generation
    assert [one.generation for one in bucket.list_blobs()] == [second]
    both = {one.generation: one.time_deleted is None for one in bucket.list_blobs(versions=True)}
    assert both == {first: False, second: True}
    assert bucket.blob("a/model", generation=first).download_as_bytes() == b"one"

    bucket.delete_blob("a/model")
    assert list(bucket.list_blobs()) == []
    assert [one.generation for one in bucket.list_blobs(versions=True)] == [first, second]
    with pytest.raises(NotFound):
        bucket.blob("a/model").reload()
    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()

    assert bucket.copy_blob(bucket.blob("a/model"), bucket, "back", source_generation=first)
    assert bucket.blob("back").download_as_bytes() == b"one"
    for one in bucket.list_blobs(versions=True):
        bucket.delete_blob(one.name, generation=one.generation)
    assert list(bucket.list_blobs(versions=True)) == []
    bucket.delete()


def test_what_versioning_kept_stays_when_it_is_switched_off(client: Storage) -> None:
    bucket = client.create_bucket("weights", location="us-central1")
    bucket.versioning_enabled = True
    bucket.patch()
    for content in (b"one", b"two"):
        bucket.blob("model").upload_from_string(content)
    bucket.versioning_enabled = False
    bucket.patch()
    bucket.blob("model").upload_from_string(b"three")
    kept = list(bucket.list_blobs(versions=True))
    assert [one.download_as_bytes() for one in kept] == [b"one", b"three"]
    page = next(iter(bucket.list_blobs(versions=True, page_size=1).pages))
    assert page.num_items == 1
    assert len(list(bucket.list_blobs(versions=True, page_size=1))) == 2


def made(raw: Raw, **more: Any) -> Answer:  # Any: JSON
    body = {"name": "weights", "location": "us-central1", **more}
    return act(raw.send("POST", f"{B}?project=rehearsal", body))


def test_autoclass_is_told_with_its_times() -> None:
    raw = Raw(Cloud(delays=AT_ONCE))
    bucket = made(raw, autoclass={"enabled": True}, storageClass="NEARLINE").body
    assert bucket["storageClass"] == "STANDARD"
    told = bucket["autoclass"]
    assert told["terminalStorageClass"] == "NEARLINE"
    changed = act(raw.send("PATCH", f"{B}/weights", {"autoclass": {"terminalStorageClass": "ARCHIVE"}})).body
    assert changed["autoclass"]["toggleTime"] == told["toggleTime"]
    assert changed["autoclass"]["terminalStorageClassUpdateTime"] >= told["terminalStorageClassUpdateTime"]
    off = {"enabled": False, "terminalStorageClass": None}
    assert act(raw.send("PATCH", f"{B}/weights", {"autoclass": off})).body["autoclass"]["enabled"] is False


@pytest.mark.parametrize(
    "more",
    [
        {"autoclass": {"enabled": True, "terminalStorageClass": "COLDLINE"}},
        {"autoclass": {"enabled": False, "terminalStorageClass": "ARCHIVE"}},
    ],
)
def test_what_cannot_go_with_autoclass_is_refused(more: dict[str, Any]) -> None:
    assert made(Raw(Cloud(delays=AT_ONCE)), **more).status == 400
