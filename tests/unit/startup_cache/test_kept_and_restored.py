"""A startup cache comes back whole and checked, or not at all; and is never the reason of a failed start."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.startup_cache import script
from homeport.startup_cache.script import MANIFEST, PACK, CacheLeftAside, ExpectedCache, keep, restore

FINGERPRINT = "f" * 32
FILES = {
    "vllm/torch_compile_cache/0a1b/rank_0_0/backbone/computation_graph.py": b"def forward(): ...\n",
    "vllm/torch_compile_cache/0a1b/rank_0_0/backbone/artifact": bytes(range(256)) * 9000,
    "inductor/th/kernel.so": b"\x7fELF" + b"\0" * 70_000,
    "inductor/empty": b"",
}


class Kept:
    """A cache that was kept, and where it is to be put."""

    def __init__(self, at: Path, files: dict[str, bytes]) -> None:
        self.engines, self.source, self.target = at / "engines", at / "mount", at / "instance" / "cache"
        write(self.engines, files)
        self.manifest = keep(self.engines, self.source, FINGERPRINT, ("vllm/torch_compile_cache/*",))

    def restore(self, **other: object) -> script.CacheManifest:
        wanted = {"fingerprint": FINGERPRINT, "manifest": self.manifest, **other}
        return restore(self.source, self.target, ExpectedCache(**wanted))  # type: ignore[arg-type]  # a test's own

    def is_left_aside(self, why: str, **other: object) -> None:
        """Nothing of it lies where the engine looks, nor beside it."""
        with pytest.raises(CacheLeftAside, match=why) as left:
            self.restore(**other)
        assert "\n" not in str(left.value)
        beside = list(self.target.parent.iterdir()) if self.target.parent.exists() else []
        assert [one for one in beside if one != self.target] == []
        assert not self.target.exists() or not any(self.target.rglob("kernel.so"))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path, FILES)


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def read(folder: Path) -> dict[str, bytes]:
    return {
        one.relative_to(folder).as_posix(): one.read_bytes() for one in folder.rglob("*") if one.is_file()
    }


_NAMES = st.text(st.characters(categories=("L", "N", "P", "S"), exclude_characters="/\\"), min_size=1, max_size=12).filter(lambda name: name not in {".", ".."} and not script._PASSING.fullmatch(name))  # fmt: skip


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(("th", "cα", "a b")), _NAMES),
        st.binary(max_size=3000),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=40, deadline=None)
def test_what_was_kept_comes_back_byte_for_byte_and_is_kept_alike_again(
    found: dict[tuple[str, str], bytes],
) -> None:
    files = {f"{folder}/{name}": content for (folder, name), content in found.items()}
    with tempfile.TemporaryDirectory() as at:
        kept = Kept(Path(at), files)
        kept.restore()
        assert read(kept.target) == files
        assert keep(kept.target, Path(at, "again"), FINGERPRINT) == keep(
            kept.engines, Path(at, "more"), FINGERPRINT
        )


def test_the_engines_own_hash_is_in_the_manifest_and_tells_a_start_that_had_no_use_of_it(kept: Kept) -> None:
    keys = kept.restore().keys
    assert keys == ("vllm/torch_compile_cache/0a1b",)
    (kept.target / "vllm" / "torch_compile_cache" / "other").mkdir()
    now = script.keys_of(kept.target, ("vllm/torch_compile_cache/*",))
    assert set(now) - set(keys) == {"vllm/torch_compile_cache/other"}


def test_locks_and_links_are_not_kept_and_a_program_stays_one(tmp_path: Path) -> None:
    engines = tmp_path / "engines"
    write(engines, {"a.lock": b"1", "tmp123/x": b"2", "tool": b"#!/bin/sh\n", "plain": b"3"})
    (engines / "tool").chmod(0o755)
    (engines / "link").symlink_to("/etc/passwd")
    manifest = keep(engines, tmp_path / "mount", FINGERPRINT)
    restore(tmp_path / "mount", tmp_path / "cache", ExpectedCache(FINGERPRINT, manifest))
    assert read(tmp_path / "cache") == {"tool": b"#!/bin/sh\n", "plain": b"3"}
    assert os.access(tmp_path / "cache" / "tool", os.X_OK)
    assert not (tmp_path / "cache" / "plain").stat().st_mode & 0o111


def test_there_is_nothing_to_keep_of_a_start_that_left_nothing(tmp_path: Path) -> None:
    with pytest.raises(CacheLeftAside, match="nothing lies in"):
        keep(tmp_path / "none", tmp_path / "mount", FINGERPRINT)
    assert not (tmp_path / "mount" / MANIFEST).exists()


def _missing(kept: Kept) -> None:
    (kept.source / MANIFEST).unlink()


def _gone(kept: Kept) -> None:
    (kept.source / PACK).unlink()


def _torn(kept: Kept) -> None:
    pack = kept.source / PACK
    pack.write_bytes(pack.read_bytes()[:-1])


def _changed(kept: Kept) -> None:
    pack = kept.source / PACK
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)


def _planted(kept: Kept) -> None:
    (kept.source / "canary.py").write_text("raise SystemExit('loaded')")


def _described_anew(kept: Kept) -> None:
    """Change a file, and the manifest with it: who can write the bucket can do both, and not the annotation."""
    pack = (kept.source / PACK).read_bytes()
    body = json.loads((kept.source / MANIFEST).read_bytes())
    body["files"].append({"path": "canary.py", "size": 1, "sha256": "0" * 64, "executable": False})
    (kept.source / MANIFEST).write_text(json.dumps(body))
    (kept.source / PACK).write_bytes(pack + b"x")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (_missing, "there is none"),
        (_gone, "No such file"),
        (_torn, "it is torn"),
        (_changed, "is not what was kept"),
        (_planted, "not its own: 'canary.py'"),
        (_described_anew, "manifest is another"),
    ],
)
def test_a_cache_that_is_not_what_was_kept_is_left_aside_whole(
    kept: Kept, fault: Callable[[Kept], None], why: str
) -> None:
    fault(kept)
    kept.is_left_aside(why)


def test_a_cache_of_another_start_is_left_aside(kept: Kept) -> None:
    kept.is_left_aside("another image, weights, GPU or flags", fingerprint="e" * 32)


def test_a_cache_too_large_or_for_a_full_disk_is_left_aside(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.is_left_aside("and may have 1000", most_bytes=1000)

    def full(path: Path, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "chmod", full)  # As if the disk were full once some files are written.
        kept.is_left_aside("No space left on device")
    assert kept.restore().size == sum(map(len, FILES.values()))


def test_what_the_engine_has_already_is_not_mixed_with_what_was_kept(kept: Kept) -> None:
    write(kept.target, {"vllm/modelinfos/mine.json": b"{}"})
    kept.is_left_aside("something lies in")
    assert read(kept.target) == {"vllm/modelinfos/mine.json": b"{}"}


def test_a_mount_that_hangs_holds_nobody_up(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(script, "_checked", lambda *_: released.wait(30))
    try:
        kept.is_left_aside("not there within 0.05 s", within_s=0.05)
    finally:
        released.set()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../outside", "a/../../b", "a//b", "./a", "a\\b", "a\nb", "a/\u202eb", ""]
)
def test_a_path_that_leads_elsewhere_is_no_path_of_a_cache(kept: Kept, path: str) -> None:
    """Even where the deployed digest names that manifest."""
    body = json.loads((kept.source / MANIFEST).read_bytes())
    body["files"][0]["path"] = path
    text = json.dumps(body).encode()
    (kept.source / MANIFEST).write_bytes(text)
    kept.is_left_aside("cannot be read", manifest=script.digest(text))


@given(st.binary(max_size=300) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_manifest_at_all_ends_in_one_line(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as at:
        (Path(at) / MANIFEST).write_bytes(text)
        wanted = ExpectedCache(FINGERPRINT, script.digest(text))
        with pytest.raises(CacheLeftAside) as left:
            restore(Path(at), Path(at, "to", "cache"), wanted)
        assert len(str(left.value).splitlines()) == 1
