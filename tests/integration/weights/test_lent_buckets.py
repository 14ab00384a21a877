"""Weights in a bucket of somebody's come into ours: looked at from here, copied by Cloud Storage itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from building import ACCOUNT, BUCKET, REGION, Place, place
from gcp_rehearsal.apis.storage.objects import find
from homeport import spec
from homeport.errors import HomeportError, PermissionDenied, SpecError, WeightsError
from homeport.home import find_home
from homeport.progress import Silent
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.targets.cloudrun.adapters import PinnedModel
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.weights.manifest import digest
from homeport.weights.sources.gcs import BucketSource, bucket_source
from homeport.weights.sources.registry import parse
from places import TAUGHT, TAUGHT_FOLDER
from vllm_adapters import tensors_of

LENT = "somebodys-models"
MIB = 1 << 20


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A bucket of somebody's in Europe, which everybody may read, with a model, an adapter and a GGUF in it."""
    with place(tmp_path_factory.mktemp("place"), HOMEPORT_COPY=str(MIB)) as here:
        here.act(_lent(here))
        yield here


async def _lent(here: Place) -> None:
    async with here.google() as google:
        await google.post("storage", "storage/v1/b", {"name": LENT, "location": "EU"}, project="rehearsal")
        for path in TAUGHT_FOLDER.iterdir():
            await google.upload(LENT, f"gemma/taught/{path.name}", path.read_bytes())
        await google.upload(LENT, "gemma/", b"")  # As the console makes a folder.
        await google.upload(LENT, "gemma/taught.gguf", TAUGHT.read_bytes())
        told = json.dumps(
            {"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["o_proj"]}
        ).encode()
        await google.upload(LENT, "tone/adapter_config.json", told)
        await google.upload(LENT, "tone/adapter_model.safetensors", tensors_of(8))
    _may_read(here, "allUsers")


def _may_read(here: Place, *members: str) -> None:
    policy = {"bindings": [{"role": "roles/storage.objectViewer", "members": list(members)}]}
    here.cloud.access.set_policy("storage", f"b/{LENT}", policy, at_once=True)


def chosen(
    here: Place, model: str = f"gs://{LENT}/gemma/taught", kind: str = "vllm", **engine: Any
) -> ResolvedModel:
    wanted = spec.parse(
        {"name": "home", "model": model, "engine": {"kind": kind, "context": 1024, **engine}, "cloudrun": {}}
    )

    async def work() -> ResolvedModel:
        async with here.google() as google:
            return await choose(wanted, Path("/x/homeport.toml"), find_home(), Silent(), google)

    return here.act(work())


def carried(here: Place, pinned: PinnedModel) -> Any:  # Any: JSON
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            stored = StoredWeights(
                google=google, name="model", bucket=BUCKET, prefix=pinned.prefix, region=REGION, pin=pinned.pin,
                account=ACCOUNT,
            )  # fmt: skip
            assert await stored.read() is None
            live = await stored.create({}, Silent())
            assert await stored.read() == live
            return live

    return here.act(work())


def pinned(one: ResolvedModel) -> PinnedModel:
    assert one.pinned is not None
    return one.pinned


@pytest.mark.parametrize("name", ["a\\..\\out.json", "--help.json", "C:out.json"])
def test_an_object_whose_name_leads_elsewhere_is_refused_before_anything_is_carried(
    here: Place, name: str
) -> None:
    async def put() -> None:
        async with here.google() as google:
            await google.upload(LENT, f"evil{len(name)}/model.safetensors", b"tensors")
            await google.upload(LENT, f"evil{len(name)}/{name}", b"{}")

    here.act(put())
    with pytest.raises(WeightsError, match="names a file '"):
        chosen(here, f"gs://{LENT}/evil{len(name)}")


def test_a_folder_is_pinned_by_generation_and_copied_without_passing_through_anybody(here: Place) -> None:
    one = chosen(here)
    assert one.model.architecture is not None, "its headers were read from the bucket"
    pin = pinned(one).pin
    assert pinned(one).prefix == f"models/gs/{LENT}/gemma/taught/{pin.revision}"
    assert {file.path for file in pin.files} >= {"config.json", "model.safetensors", "tokenizer.json"}
    live = carried(here, pinned(one))
    for file in pin.files:
        assert here.object(f"{pinned(one).prefix}/{file.path}") == (TAUGHT_FOLDER / file.path).read_bytes()
    manifest = {file["path"]: file for file in live["files"]}
    for file in pin.files:
        its = manifest[file.path]
        assert (its["generation"], its["crc32c"], its["md5"], its["sha256"]) == (
            file.generation, file.crc32c, file.md5, None,
        )  # fmt: skip
    assert live["digest"] == digest(pin.files)
    methods = [logged.method for logged in here.cloud.log]
    assert "storage.objects.rewrite" in methods
    large = next(file for file in pin.files if file.path == "model.safetensors")
    rewrites = [logged for logged in here.cloud.log if logged.method == "storage.objects.rewrite"]
    assert large.size > 2 * MIB
    assert len(rewrites) >= len(pin.files) + large.size // MIB, "across regions it takes several requests"


def test_an_adapter_may_lie_in_a_bucket_and_so_may_a_gguf(here: Place) -> None:
    one = chosen(here, lora=[{"name": "tone", "source": f"gs://{LENT}/tone/"}])
    (adapter,) = one.adapters
    assert (adapter.name, adapter.rank) == ("tone", 8)
    assert adapter.pinned.prefix == f"adapters/gs/{LENT}/tone/{adapter.pinned.pin.revision}"
    carried(here, adapter.pinned)
    gguf = chosen(here, f"gs://{LENT}/gemma/taught.gguf", "ollama")
    (file,) = pinned(gguf).pin.files
    assert file.path == "taught.gguf"
    carried(here, pinned(gguf))
    assert here.object(f"{pinned(gguf).prefix}/taught.gguf") == TAUGHT.read_bytes()


def test_what_was_replaced_since_it_was_pinned_is_not_taken(here: Place) -> None:
    one = pinned(chosen(here, f"gs://{LENT}/gemma/taught.gguf", "ollama"))

    async def replaced() -> None:
        async with here.google() as google:
            await google.upload(LENT, "gemma/taught.gguf", TAUGHT.read_bytes() + b"\0")

    here.act(replaced())
    with pytest.raises(
        WeightsError, match=r"taught\.gguf of gs://.* is not there any more as it was pinned"
    ) as told:
        carried(here, replace(one, prefix="models/replaced"))
    assert "run the same command again to take what is there now" in told.value.hint
    assert not any(name.startswith("models/replaced") for name in here.objects())


def test_a_copy_that_is_not_what_was_pinned_gets_no_manifest(here: Place) -> None:
    one = pinned(chosen(here))
    wrong = tuple(
        replace(file, crc32c="AAAAAA==") if file.path == "config.json" else file for file in one.pin.files
    )
    with pytest.raises(WeightsError, match=r"config\.json was copied, and has"):
        carried(here, replace(one, pin=replace(one.pin, files=wrong), prefix="models/wrong"))
    assert "models/wrong/homeport-manifest.json" not in here.objects()


def test_what_lies_there_already_is_not_copied_again(here: Place) -> None:
    one = replace(pinned(chosen(here)), prefix="models/again")
    carried(here, one)

    async def unsealed() -> None:
        async with here.google() as google:
            await google.delete("storage", f"storage/v1/b/{BUCKET}/o/models%2Fagain%2Fhomeport-manifest.json")

    here.act(unsealed())
    before = {file.path: _generation(here, f"models/again/{file.path}") for file in one.pin.files}
    carried(here, one)
    assert {file.path: _generation(here, f"models/again/{file.path}") for file in one.pin.files} == before


def _generation(here: Place, name: str) -> str:
    kept = find(here.cloud, BUCKET, name)
    assert kept is not None
    return str(kept.body["generation"])


def test_a_bucket_that_the_carrying_account_may_not_read_is_told_with_the_grant(here: Place) -> None:
    one = pinned(chosen(here))
    _may_read(here)
    try:
        with pytest.raises(WeightsError, match="may not be read") as told:
            carried(here, replace(one, prefix="models/closed"))
    finally:
        _may_read(here, "allUsers")
    assert (
        f"gcloud storage buckets add-iam-policy-binding gs://{LENT} --member=serviceAccount:{ACCOUNT} "
        "--role=roles/storage.objectViewer" in told.value.hint
    )


def test_a_bucket_that_whoever_asks_may_not_read_is_told_with_both_grants(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> Any:  # Any: JSON
        raise PermissionDenied("you lack storage.objects.list", status=403)

    monkeypatch.setattr("homeport.google.Google.get", refuse)
    with pytest.raises(PermissionDenied, match=f"you may not read gs://{LENT}") as told:
        chosen(here)
    assert "--member=user:YOU@EXAMPLE.COM" in told.value.hint
    assert "--member=serviceAccount:home-carry@rehearsal.iam.gserviceaccount.com" in told.value.hint


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("gs://there-is-none-such/x", "there is no bucket there-is-none-such"),
        (f"gs://{LENT}/nothing", "has no safetensors"),
        (f"gs://{LENT}/gemma/none.gguf", r"has no file none\.gguf"),
    ],
)
def test_what_is_not_there_is_called_so(here: Place, model: str, why: str) -> None:
    with pytest.raises(HomeportError, match=why):
        chosen(here, model, "ollama" if model.endswith("gguf") else "vllm")


def test_on_this_machine_a_bucket_is_refused_with_what_to_do() -> None:
    with pytest.raises(SpecError, match="serves on Cloud Run alone"):
        parse("gs://b-models/x", base=Path())


def test_without_a_project_no_bucket_is_asked() -> None:
    wanted = spec.parse({"name": "home", "model": "gs://b-models/x", "engine": {"kind": "vllm"}})
    with pytest.raises(SpecError, match="no project is named"):
        asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("gs://a-bucket/f/g/", BucketSource("a-bucket", "f/g")),
        ("gs://a-bucket/f/m.gguf", BucketSource("a-bucket", "f", "m.gguf")),
        ("gs://a-bucket/m.gguf", BucketSource("a-bucket", "", "m.gguf")),
        ("hf:org/name", None),
    ],
)
def test_a_bucket_is_named_by_its_address(text: str, source: BucketSource | None) -> None:
    assert bucket_source(text) == source
    if source is not None:
        assert bucket_source(source.text) == source


@pytest.mark.parametrize(
    "text", ["gs:b/x", "gs://b-models", "gs://b-models/", "gs://B/x", "gs://b-models/a/../b"]
)
def test_a_bucket_that_is_badly_named_is_told_how(text: str) -> None:
    with pytest.raises(SpecError, match="is not gs://BUCKET/FOLDER"):
        bucket_source(text)
