"""
Keeps and restores an engine's startup cache: a script of the standard library alone, for the engine's container.

`keep` writes what lies in a folder as one pack and, last, a manifest that names each file's size and sha256. `restore`
puts it back before the engine starts, and then becomes the engine's command. A cache is code: nothing of it lies where
the engine looks before all of it was found to be what the manifest says, and the manifest to be the one that the caller
names. Whatever is wrong with it, it is left aside with one line, and the command runs without it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as settle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

MANIFEST, PACK = "manifest.json", "files.pack"
VERSION = 1
WITHIN_S = 30.0
"""Seconds after which a start goes on without its cache: reads of a mount may hang, and a start must not."""
MOST_BYTES = 2 * 2**30
"""What is kept lies in the instance's memory; more than this is no cache of compiled code."""
_MOST_MANIFEST_BYTES = 16 * 2**20
_PIECE = 2**20
_READERS = 8
_SETTLE_S = 1.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PASSING = re.compile(r".*\.(?:lock|tmp|pid)|\.nfs.*|tmp.*|__pycache__")
"""Names of what an engine leaves beside its cache and does not read again."""


class CacheLeftAside(Exception):
    """Why a cache is not used, in words that end a line of a log."""


@dataclass(frozen=True)
class CachedFile:
    """One file of a cache."""

    path: str
    """Relative to the cache's folder, with slashes."""
    size: int
    sha256: str
    executable: bool


@dataclass(frozen=True)
class CacheManifest:
    """What a cache holds, in the order of its pack."""

    fingerprint: str
    keys: tuple[str, ...]
    """Folders that the engine named by a hash of its own, which is known only after a start."""
    files: tuple[CachedFile, ...]

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)

    def text(self) -> bytes:
        """Return it as it is written."""
        body = {
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "keys": list(self.keys),
            "files": [asdict(file) for file in self.files],
        }
        return json.dumps(body, indent=1, sort_keys=True).encode()


@dataclass(frozen=True)
class ExpectedCache:
    """Which cache is to be used, and what it may cost."""

    fingerprint: str
    manifest: str
    """`sha256:HEX` of the manifest, as the one who deployed the engine knows it."""
    within_s: float = WITHIN_S
    most_bytes: int = MOST_BYTES


def digest(manifest: bytes) -> str:
    """Return what a manifest is called by."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def keep(folder: Path, target: Path, fingerprint: str, key_globs: Sequence[str] = ()) -> str:
    """
    Write what lies in `folder` to `target`, the manifest last, and return the manifest's digest.

    The same files give the same bytes. Raises `CacheLeftAside` where there is nothing to keep.
    """
    target.mkdir(parents=True, exist_ok=True)
    (target / MANIFEST).unlink(missing_ok=True)  # What is there no longer fits, whatever happens next.
    files: list[CachedFile] = []
    with (target / PACK).open("wb") as pack:
        for path in _regular_files(folder):
            try:
                source = path.open("rb")
            except FileNotFoundError:
                continue
            with source:
                files.append(_append(source, path.relative_to(folder).as_posix(), pack))
        pack.flush()
        os.fsync(pack.fileno())
    if not files:
        raise CacheLeftAside(f"nothing lies in {folder}")
    manifest = CacheManifest(fingerprint, keys_of(folder, key_globs), tuple(files)).text()
    written = target / f"{MANIFEST}.part"
    written.write_bytes(manifest)
    written.replace(target / MANIFEST)
    return digest(manifest)


def keys_of(folder: Path, key_globs: Sequence[str]) -> tuple[str, ...]:
    """Return the folders that the engine named by a hash of its own: those that match the patterns."""
    folders = (path for pattern in key_globs for path in folder.glob(pattern) if path.is_dir())
    return tuple(sorted({path.relative_to(folder).as_posix() for path in folders}))


def restore(source: Path, target: Path, wanted: ExpectedCache) -> CacheManifest:
    """
    Put the cache in `source` to `target`, all of it or nothing, and return what it holds.

    Raises `CacheLeftAside` for one that is missing, torn, foreign, changed, too large or too slow, and where there is no
    room for it; then nothing of it lies in `target`.
    """
    deadline = time.monotonic() + wanted.within_s
    staging = target.with_name(f".{target.name}.part")
    try:
        return _restored(source, target, staging, wanted, deadline)
    except OSError as error:
        raise CacheLeftAside(f"{error.strerror or error} ({error.filename or source})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def read_manifest(source: Path, wanted: ExpectedCache) -> CacheManifest:
    """Return the manifest in `source`. Raises `CacheLeftAside` for another than the wanted one, and for one that no cache has."""
    try:
        with (source / MANIFEST).open("rb") as file:
            text = file.read(_MOST_MANIFEST_BYTES + 1)
    except FileNotFoundError:
        raise CacheLeftAside("there is none, or its writing never ended") from None
    if digest(text) != wanted.manifest:
        raise CacheLeftAside("its manifest is another than the one that was deployed")
    try:
        manifest = _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise CacheLeftAside(f"its manifest cannot be read: {error!r:.100}") from error
    if manifest.fingerprint != wanted.fingerprint:
        raise CacheLeftAside("it was made with another image, weights, GPU or flags")
    return manifest


def main(arguments: Sequence[str]) -> None:
    """Run `keep`, or `restore` and then the command behind `--`."""
    parser = argparse.ArgumentParser(prog="homeport-startup-cache")
    verbs = parser.add_subparsers(dest="verb", required=True)
    keeping, restoring = verbs.add_parser("keep"), verbs.add_parser("restore")
    for verb in (keeping, restoring):
        verb.add_argument("--from", dest="source", type=Path, required=True)
        verb.add_argument("--to", dest="target", type=Path, required=True)
        verb.add_argument("--fingerprint", required=True)
    keeping.add_argument("--key", action="append", default=[])
    restoring.add_argument("--manifest", required=True)
    restoring.add_argument("--within", type=float, default=WITHIN_S)
    restoring.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    if options.verb == "keep":
        try:
            checksum = keep(options.source, options.target, options.fingerprint, options.key)
        except (CacheLeftAside, OSError) as why:
            _say(f"no startup cache: {why}")
            sys.exit(1)
        sys.stdout.write(f"{checksum}\n")
        return
    _restore_and_say(
        options.source,
        options.target,
        ExpectedCache(options.fingerprint, options.manifest, within_s=options.within),
    )
    try:
        os.execvp(options.command[0], options.command)  # noqa: S606 - the engine takes this process's place and its signals
    except OSError as error:
        _say(f"{options.command[0]} cannot be started: {error}")
        os._exit(127)  # Leaving in the usual way would wait for a reader that hangs.


def _restore_and_say(source: Path, target: Path, wanted: ExpectedCache) -> None:
    begun = time.monotonic()
    try:
        manifest = restore(source, target, wanted)
        message = f"{len(manifest.files)} files, {manifest.size / 1e6:.1f} MB, checked and in place after {time.monotonic() - begun:.1f} s"
    except CacheLeftAside as why:
        message = f"left aside, and the start goes on without it: {why}"
    except Exception as error:  # noqa: BLE001 - a cache is never the reason of a start that fails
        message = f"left aside, and the start goes on without it: {error!r:.200}"
    _say(f"startup cache: {message}")


def _say(line: str) -> None:
    sys.stderr.write(f"homeport: {line}\n")
    sys.stderr.flush()


def _restored(
    source: Path, target: Path, staging: Path, wanted: ExpectedCache, deadline: float
) -> CacheManifest:
    """Copy to `staging` first. Everything that touches the mount runs in other threads than the one that waits."""
    stop = threading.Event()
    readers = ThreadPoolExecutor(_READERS)
    parts: list[Future[None]] = []
    try:
        first = readers.submit(_checked, source, target, wanted)
        manifest = first.result(_seconds_left(deadline))
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        parts = [readers.submit(_copy, source / PACK, staging, part, stop) for part in _parts(manifest.files)]
        for part in parts:
            part.result(_seconds_left(deadline))
    except TimeoutError:
        raise CacheLeftAside(f"it was not there within {wanted.within_s:g} s") from None
    finally:
        stop.set()
        readers.shutdown(wait=False, cancel_futures=True)
        settle(
            parts, _SETTLE_S
        )  # What still writes would leave its file behind; what hangs is left to itself.
    if target.exists():
        target.rmdir()  # It is empty, or this is an OSError.
    staging.rename(target)
    return manifest


def _checked(source: Path, target: Path, wanted: ExpectedCache) -> CacheManifest:
    """Return the manifest of a cache that is whole as far as names and sizes tell, and has room."""
    manifest = read_manifest(source, wanted)
    names = {path.name for path in source.iterdir()}
    if strays := sorted(names - {MANIFEST, PACK}):
        raise CacheLeftAside(f"a file lies beside it that is not its own: {strays[0]!r:.80}")
    if (size := (source / PACK).stat().st_size) != manifest.size:
        raise CacheLeftAside(f"it is torn: {size} of {manifest.size} bytes")
    if manifest.size > wanted.most_bytes:
        raise CacheLeftAside(f"it has {manifest.size} bytes, and may have {wanted.most_bytes}")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise CacheLeftAside(f"something lies in {target} already")
    target.parent.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(target.parent).free) < manifest.size:
        raise CacheLeftAside(f"there is no room for {manifest.size} bytes: {free} are free")
    return manifest


def _seconds_left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.0)


def _parts(files: Sequence[CachedFile]) -> list[list[tuple[int, CachedFile]]]:
    """Return the files with their offsets, in runs of about the same size: one for each reader."""
    share = sum(file.size for file in files) // _READERS + 1
    parts: list[list[tuple[int, CachedFile]]] = [[]]
    offset = begun = 0
    for file in files:
        if offset - begun >= share:
            parts.append([])
            begun = offset
        parts[-1].append((offset, file))
        offset += file.size
    return parts


def _copy(pack: Path, staging: Path, part: Sequence[tuple[int, CachedFile]], stop: threading.Event) -> None:
    with pack.open("rb") as source:
        source.seek(part[0][0])
        for _, file in part:
            goal = staging / file.path
            goal.parent.mkdir(parents=True, exist_ok=True)
            hashed, remaining = hashlib.sha256(), file.size
            with goal.open("xb") as output:
                while remaining and not stop.is_set():
                    piece = source.read(min(remaining, _PIECE))
                    if not piece:
                        break
                    hashed.update(piece)
                    output.write(piece)
                    remaining -= len(piece)
            if stop.is_set():
                return
            if remaining or hashed.hexdigest() != file.sha256:
                raise CacheLeftAside(f"{file.path!r:.120} is not what was kept")
            goal.chmod(0o755 if file.executable else 0o644)


def _append(source: BinaryIO, path: str, pack: BinaryIO) -> CachedFile:
    hashed, size = hashlib.sha256(), 0
    executable = bool(os.fstat(source.fileno()).st_mode & 0o100)
    while piece := source.read(_PIECE):
        hashed.update(piece)
        pack.write(piece)
        size += len(piece)
    return CachedFile(path, size, hashed.hexdigest(), executable)


def _regular_files(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in an order that is always the same; no links, and nothing that passes."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _PASSING.fullmatch(name))
        for name in sorted(names):
            path = Path(at, name)
            if (
                not _PASSING.fullmatch(name)
                and stat.S_ISREG(path.lstat().st_mode)
                and _is_safe(path.relative_to(folder).as_posix())
            ):
                yield path


def _parsed(body: Any) -> CacheManifest:  # Any: JSON
    if body["version"] != VERSION:
        raise ValueError(f"version {body['version']!r:.20}")
    files = tuple(CachedFile(**fields) for fields in body["files"])
    for file in files:
        if type(file.size) is not int or file.size < 0 or not _SHA256.fullmatch(file.sha256):
            raise ValueError(f"no size or checksum of {file.path!r:.80}")
        if not _is_safe(file.path):
            raise ValueError(f"no path of a cache: {file.path!r:.80}")
    return CacheManifest(str(body["fingerprint"]), tuple(str(key) for key in body["keys"]), files)


def _is_safe(path: str) -> bool:
    """Tell whether `path` stays below the folder that it is put to, and is one line."""
    parts = path.split("/")
    return path.isprintable() and "\\" not in path and not {"", ".", ".."} & set(parts)


if __name__ == "__main__":
    main(sys.argv[1:])
