"""The store: damage found and mended, kills survived, two at once, disks that are full or closed."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport import names
from homeport.errors import DiskFull, SpecError, StateError, WeightsError
from homeport.progress import Silent
from homeport.weights import Manifest, Pin, PinnedFile, download
from homeport.weights.sources.hub import HubSource
from homeport.weights.sources.registry import canonical, is_source, parse
from homeport.weights.store import WeightsStore
from hub import Hub

GGUF = b"GGUF" + random.Random(7).randbytes(3_000_000)
FILES = {
    "config.json": b"{}",
    "tokenizer.json": b"{} ",
    "model-00001-of-00002.safetensors": random.Random(8).randbytes(300_000),
    "model-00002-of-00002.safetensors": random.Random(9).randbytes(300_000),
}
SOURCE = "hf:org/model"


def flip_a_byte(path: Path) -> None:
    """Change one byte and nothing that `stat` shows, as a failing disk does."""
    stat = path.stat()
    with path.open("r+b") as file:
        file.seek(stat.st_size // 2)
        byte = file.read(1)
        file.seek(stat.st_size // 2)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_damaged_byte_is_found_and_only_its_file_is_fetched_again(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    broken = manifest.folder / "model-00002-of-00002.safetensors"
    flip_a_byte(broken)
    assert store.manifest(SOURCE, "safetensors") == manifest  # a glance does not see it
    (damage,) = store.check(SOURCE, "safetensors")
    assert damage.path == broken
    assert "sha256" in str(damage)
    assert store.manifest(SOURCE, "safetensors") is None
    hub.served.clear()
    assert store.ensure(SOURCE, "safetensors", Silent()) == manifest
    assert hub.served == {broken.name: 300_000}
    assert store.check(SOURCE, "safetensors") == []


def test_a_file_that_was_written_to_is_seen_at_a_glance_and_mended(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    (manifest.folder / "config.json").write_bytes(b'{"a": 1}')
    assert store.manifest(SOURCE, "safetensors") is None
    assert store.ensure(SOURCE, "safetensors", Silent()) == manifest
    assert (manifest.folder / "config.json").read_bytes() == b"{}"


def test_a_file_that_was_only_touched_is_read_and_not_fetched(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    os.utime(manifest.folder / "config.json", ns=(1, 1))
    hub.served.clear()
    assert store.ensure(SOURCE, "safetensors", Silent()) == manifest
    assert not hub.served


def test_a_missing_file_is_found_and_fetched(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    (manifest.folder / "config.json").resolve().unlink()
    (damage,) = store.check(SOURCE, "safetensors")
    assert damage.what == "is missing"
    assert store.ensure(SOURCE, "safetensors", Silent()) == manifest


def test_checking_what_was_never_fetched_is_an_error(store: WeightsStore) -> None:
    with pytest.raises(WeightsError, match="has not been fetched"):
        store.check(SOURCE, "gguf")


def test_a_glance_at_present_weights_asks_no_hub_and_reads_none_of_their_bytes(
    hub: Hub, store: WeightsStore
) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    asked = list(hub.requests)
    shard = (manifest.folder / "model-00001-of-00002.safetensors").resolve()
    was = shard.stat()
    shard.chmod(0o644)
    shard.write_bytes(bytes(was.st_size))
    os.utime(shard, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert store.manifest(SOURCE, "safetensors") == manifest
    assert hub.requests == asked
    assert store.check(SOURCE, "safetensors") != []


def test_an_interrupt_leaves_what_has_arrived(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})

    class Impatient(Silent):
        def advanced(self, key: str, done: int, total: int) -> None:
            if done > 1_000_000:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.ensure(SOURCE, "gguf", Impatient())
    store.ensure(SOURCE, "gguf", Silent())
    assert _resumed_at(hub) >= 1_000_000


def test_disk_is_looked_at_before_the_first_byte(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=250_000_000))
    with pytest.raises(DiskFull, match="needs 3 MB of disk, and 250 MB are free") as caught:
        store.ensure(SOURCE, "gguf", Silent())
    assert "HF_HOME" in caught.value.hint
    assert hub.total() == 0


def test_what_another_tool_has_fetched_needs_no_disk_before_it_is_pinned(
    hub: Hub, store: WeightsStore, tmp_path: Path
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    other = WeightsStore(tmp_path / "another-home")
    assert other.needs(SOURCE, "gguf", len(GGUF))[0] == len(GGUF)
    store.ensure(SOURCE, "gguf", Silent())
    assert other.needs(SOURCE, "gguf", len(GGUF))[0] == 0


def test_a_disk_that_fills_up_on_the_way_is_told_and_what_arrived_stays(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    real, left = download.write_all, [1_000_000]

    def write(file: object, block: bytes) -> None:
        left[0] -= len(block)
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(file, block)  # type: ignore[arg-type]

    monkeypatch.setattr(download, "write_all", write)
    with pytest.raises(DiskFull, match="disk is full"):
        store.ensure(SOURCE, "gguf", Silent())
    left[0] = len(GGUF)
    store.ensure(SOURCE, "gguf", Silent())
    assert _resumed_at(hub) > 800_000


def test_a_root_that_cannot_be_written_is_named(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    monkeypatch.setenv("HOMEPORT_HOME", str(tmp_path))
    (tmp_path / "weights").write_text("a file stands where the folder should be")
    with pytest.raises(StateError, match="cannot write") as caught:
        WeightsStore(tmp_path / "weights").ensure(SOURCE, "gguf", Silent())
    assert "HOMEPORT_HOME" in caught.value.hint


def test_a_hub_cache_that_cannot_be_written_is_named(hub: Hub, store: WeightsStore, tmp_path: Path) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "hub").write_text("a file stands where the folder should be")
    with pytest.raises(StateError, match="cannot write") as caught:
        store.ensure(SOURCE, "gguf", Silent())
    assert "HF_HOME" in caught.value.hint
    assert hub.total() == 0


def test_a_damaged_manifest_is_made_anew_without_fetching(
    hub: Hub, store: WeightsStore, tmp_path: Path
) -> None:
    hub.push("org/model", FILES)
    manifest = store.ensure(SOURCE, "safetensors", Silent())
    (path,) = (tmp_path / "weights" / "manifests").iterdir()
    path.write_text(path.read_text()[:100])
    hub.served.clear()
    assert store.manifest(SOURCE, "safetensors") is None
    assert store.ensure(SOURCE, "safetensors", Silent()) == manifest
    assert not hub.served


def test_all_lists_what_is_here(hub: Hub, store: WeightsStore) -> None:
    assert store.all() == []
    hub.push("org/model", {**FILES, "model.gguf": GGUF})
    manifests = [store.ensure(SOURCE, "gguf", Silent()), store.ensure(SOURCE, "safetensors", Silent())]
    assert store.all() == manifests


def test_a_file_of_the_users_own_stays_where_it_is(store: WeightsStore, tmp_path: Path) -> None:
    path = tmp_path / "my model.gguf"
    path.write_bytes(GGUF)
    source = canonical("./my model.gguf", tmp_path)
    assert source == f"file:{path}"
    manifest = store.ensure(source, "gguf", Silent())
    assert manifest.gguf == path
    assert manifest.pin.revision == manifest.pin.files[0].sha256
    assert store.remove(source, "gguf")
    assert path.read_bytes() == GGUF


def test_a_file_of_the_users_own_that_changed_is_taken_as_it_is_now(
    store: WeightsStore, tmp_path: Path
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(GGUF)
    before = store.ensure(f"file:{path}", "gguf", Silent())
    path.write_bytes(GGUF + b"more")
    assert store.manifest(f"file:{path}", "gguf") is None
    said: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    after = store.ensure(f"file:{path}", "gguf", Noting())
    assert after.digest != before.digest
    assert said == [f"file:{path} is not what it was when it was last used"]


def test_a_folder_of_the_users_own(store: WeightsStore, tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    manifest = store.ensure(f"file:{tmp_path}", "safetensors", Silent())
    assert [file.path for file in manifest.pin.files] == sorted(FILES)
    assert manifest.folder == tmp_path
    assert manifest.gguf is None


def test_a_file_that_comes_into_a_folder_of_the_users_own_is_seen(
    store: WeightsStore, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    source = f"file:{folder}"
    before = store.ensure(source, "safetensors", Silent())
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert store.manifest(source, "safetensors") is None
    after = store.ensure(source, "safetensors", Silent())
    assert {file.path for file in after.pin.files} == {*FILES, "chat_template.jinja"}
    assert after.digest != before.digest
    (folder / "chat_template.jinja").unlink()
    assert store.manifest(source, "safetensors") is None
    assert store.ensure(source, "safetensors", Silent()).digest == before.digest


@pytest.mark.parametrize(("name", "wanted"), [("nothing.gguf", "there is no"), ("x.bin", "not a GGUF")])
def test_a_file_that_is_not_one(store: WeightsStore, tmp_path: Path, name: str, wanted: str) -> None:
    (tmp_path / "x.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match=wanted):
        store.ensure(f"file:{tmp_path / name}", "gguf", Silent())


@pytest.mark.parametrize("source", ["gemma-3-270m", "ollama:gemma3", "file:", "", "org/model"])
def test_what_is_not_a_source_is_refused(source: str) -> None:
    assert not is_source(source) or source == "file:"
    with pytest.raises(SpecError, match="names no weights"):
        canonical(source, Path("/"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x.gguf", "file:/base/x.gguf"),
        ("file:a/b", "file:/base/a/b"),
        ("/a/b", "file:/a/b"),
        ("~/x", "file:/home/x"),
    ],
)
def test_paths_start_at_the_base_or_at_home(
    monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home")
    assert canonical(text, Path("/base")) == expected
    assert canonical(expected, Path("/elsewhere")) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("hf:org/name", HubSource("org/name")),
        ("hf:org/name@main", HubSource("org/name", "main")),
        ("hf:org/name@refs/pr/1:a/b.gguf", HubSource("org/name", "refs/pr/1", "a/b.gguf")),
        ("hf:org/name:b.gguf", HubSource("org/name", None, "b.gguf")),
    ],
)
def test_the_grammar_of_a_hub_source(source: str, expected: HubSource) -> None:
    assert parse(source, base=Path("/")) == expected
    assert expected.text == source


@pytest.mark.parametrize(
    "source", ["hf:", "hf:name", "hf:a/b/c", "hf:a/b@", "hf:a/b:", "hf:a/b:../c", "hf:a/b:/etc/x"]
)
def test_a_hub_source_that_makes_no_sense_says_what_was_expected(source: str) -> None:
    with pytest.raises(SpecError, match="ORG/NAME") as caught:
        parse(source, base=Path("/"))
    assert "such as hf:" in caught.value.hint


_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
_part = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20).filter(
    lambda text: "/" not in text and not names.problem(text)
)
_files = st.builds(
    PinnedFile,
    path=st.lists(_part, min_size=1, max_size=3).map("/".join).filter(lambda path: not names.problem(path)),
    size=st.integers(0, 2**63),
    sha256=st.integers(0, 2**256 - 1).map("{:064x}".format),
)
_manifests = st.builds(
    Manifest,
    pin=st.builds(
        Pin, source=_text, revision=_part, files=st.lists(_files, min_size=1, max_size=1).map(tuple)
    ),
    folder=_text.map(lambda text: Path("/") / text),
)


@given(_manifests)
def test_a_manifest_is_the_same_after_a_round_trip(manifest: Manifest) -> None:
    again = Manifest.from_json(manifest.to_json())
    assert again == manifest
    assert again.digest == manifest.digest


def _can_lie_together(files: list[PinnedFile]) -> bool:
    try:
        names.distinct((file.path for file in files), where="s")
    except WeightsError:
        return False
    return True


@given(st.lists(_files, min_size=2, unique_by=lambda file: file.path).filter(_can_lie_together))
def test_the_digest_does_not_depend_on_the_order_of_files(files: list[PinnedFile]) -> None:
    def digest(some: list[PinnedFile]) -> str:
        return Manifest(pin=Pin(source="s", revision="r", files=tuple(some)), folder=Path("/")).digest

    assert digest(files) == digest(files[::-1])
    assert digest(files) != digest(files[1:])


def _resumed_at(hub: Hub) -> int:
    """Where the last download began. Bytes served would not tell: some are in flight when a client goes away."""
    return int(hub.asked("GET", "Signature")[-1]["range"].removeprefix("bytes=").removesuffix("-"))
