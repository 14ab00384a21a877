"""The volumes of a container: buckets, secrets and empty folders, as folders of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.apis.secretmanager.versions import read
from gcp_rehearsal.apis.storage.objects import content_of, put_object
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.fuse import Fuse, Fuses

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_COPIED = "a read-only folder, with the bucket's objects as they were when the instance started"
_FUSE = "mounted through FUSE by rclone, read from the rehearsal's own storage API"
_WRITTEN = "a folder with the bucket's objects; what a task leaves in it are objects once the task has ended"
_WRITES = ["storage.objects.create", "storage.objects.delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBucket:
    """A bucket as a folder that a task may write to: what it finds there, and what becomes objects."""

    bucket: str
    prefix: str
    folder: Path
    before: Mapping[str, tuple[int, int]]
    """Size and time of the files that were there, by their paths in the folder."""

    def save(self, cloud: Cloud) -> None:
        """
        Make objects of the files that are new or changed, in the order in which they were written.

        Raises `ApiError` at the first that Cloud Storage refuses, such as of a bucket that is gone, or whose key is disabled, since the task began.
        """
        changed = [
            path
            for path in _all(self.folder)
            if path.is_file() and self.before.get(str(path.relative_to(self.folder))) != _state_of(path)
        ]
        for path in sorted(changed, key=lambda path: path.stat().st_mtime_ns):
            name = f"{self.prefix}{path.relative_to(self.folder).as_posix()}"
            put_object(cloud, self.bucket, name, path.read_bytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """What a container has mounted, as folders of this machine."""

    folders: Mapping[str, Path]
    """By their paths in the container."""
    read_only: frozenset[str]
    """Those of these paths below which nothing can be written."""
    how: str
    """In which way buckets are there; '' where none is."""
    fuse: tuple[Fuse, ...] = ()
    written: tuple[WrittenBucket, ...] = ()
    """Buckets that a task writes to."""

    def mount(self, started: Callable[[int], None]) -> None:
        """
        Mount what is to be mounted: it asks the rehearsal, so its own loop must not wait. Raises `NotMounted`.

        `started` is told of the process groups that do it.
        """
        for fuse in self.fuse:
            fuse.mount(started)

    def close(self) -> None:
        """Unmount it again."""
        for fuse in self.fuse:
            fuse.close()


def volumes(
    cloud: Cloud, revision: Mapping[str, Any], container: Mapping[str, Any], at: Path, fuses: Fuses
) -> Volumes:  # Any: JSON
    """
    Return the volumes of a container, below `at`; buckets are mounted by `fuses`, where FUSE is available.

    An empty folder is one for all containers of an instance, which have the same `at`.
    """
    known = {volume["name"]: volume for volume in revision.get("volumes", ())}
    mounts = [mount for mount in container.get("volumeMounts", ()) if mount["name"] in known]
    why_not = fuses.why_not() if any("gcs" in volume for volume in known.values()) else ""
    fuse: dict[str, Fuse] = {}
    folders: dict[str, Path] = {}
    written: dict[str, WrittenBucket] = {}
    for name in dict.fromkeys(mount["name"] for mount in mounts):
        volume = known[name]
        # A volume's name has no dot, so that a container's folder is no volume's.
        folders[name] = folder = (
            at if "emptyDir" in volume else at / f"of.{container.get('name', '')}"
        ) / name
        if _is_written(cloud, revision, volume):
            written[name] = _writable(cloud, volume["gcs"], folder)
        elif "gcs" in volume and not why_not:
            bucket, only = _bucket_of(volume["gcs"])
            token = cloud.token(str(revision["serviceAccount"]))
            fuse[name] = fuses.bucket(bucket, only, folder, token=token)
        else:
            _fill(cloud, revision["name"], volume, folder)
    how = ""
    if any("gcs" in known[mount["name"]] for mount in mounts):
        how = f"{_COPIED}: {why_not}" if why_not else _FUSE
        how += f"; {', '.join(written)}: {_WRITTEN}" if written else ""
    return Volumes(
        folders={mount["mountPath"]: folders[mount["name"]] / mount.get("subPath", "") for mount in mounts},
        read_only=frozenset(
            mount["mountPath"]
            for mount in mounts
            if mount["name"] not in written and _is_read_only(known[mount["name"]])
        ),
        how=how,
        fuse=tuple(fuse.values()),
        written=tuple(written.values()),
    )


def remove(at: Path) -> None:
    """Take the folders away, read-only ones included."""
    for folder, _, _ in os.walk(at):
        Path(folder).chmod(0o700)
    shutil.rmtree(at, ignore_errors=True)


def _is_read_only(volume: Mapping[str, Json]) -> bool:
    return "secret" in volume or "gcs" in volume


def _is_written(cloud: Cloud, task: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:  # Any: JSON
    """
    Return True for a bucket that a task may write to: one that it mounts so, as an account that has the right.

    Without the right the folder is read-only, and a write is refused at once; in the cloud it is refused when the file is closed.
    """
    if "execution" not in task or "gcs" not in volume or volume["gcs"].get("readOnly"):
        return False
    bucket = cloud.store.get("storage", f"b/{_bucket_of(volume['gcs'])[0]}")
    if bucket is None:
        return False
    held = cloud.access.held(Caller(task["serviceAccount"]), _WRITES, "storage", bucket.name, bucket.project)
    return set(_WRITES) <= set(held)


def _writable(cloud: Cloud, source: Mapping[str, Json], folder: Path) -> WrittenBucket:
    bucket, only = _bucket_of(source)
    folder.mkdir(parents=True)
    _bucket(cloud, source, folder)
    for path in _all(folder):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = {str(path.relative_to(folder)): _state_of(path) for path in _all(folder) if path.is_file()}
    return WrittenBucket(bucket=bucket, prefix=f"{only}/" if only else "", folder=folder, before=before)


def _state_of(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _bucket_of(source: Mapping[str, Json]) -> tuple[str, str]:
    """Return a bucket's name, and the only folder of it that is mounted: '' for all."""
    options = source.get("mountOptions", ())
    only = next((option.partition("=")[2] for option in options if option.startswith("only-dir=")), "")
    return source["bucket"].rpartition("/")[2], only.strip("/")


def _fill(cloud: Cloud, revision: str, volume: Mapping[str, Json], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok="emptyDir" in volume)
    if "gcs" in volume:
        _bucket(cloud, volume["gcs"], folder)
    elif "secret" in volume:
        _secret(cloud, revision, volume["secret"], folder)


def _bucket(cloud: Cloud, source: Mapping[str, Json], folder: Path) -> None:
    bucket, only = _bucket_of(source)
    prefix = f"{only}/" if only else ""
    for stored in cloud.store.under("storage", f"b/{bucket}/o"):
        name = str(stored.body["name"])
        inside = name[len(prefix) :]
        if not name.startswith(prefix) or not inside or inside.endswith("/") or ".." in inside.split("/"):
            continue
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        # No link: whatever a container does to it, the bucket's own bytes stay as they are.
        shutil.copyfile(content_of(stored).path, target)
    for path in _all(folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _secret(cloud: Cloud, revision: str, source: Mapping[str, Json], folder: Path) -> None:
    for item in source.get("items") or [{"path": source["secret"].rpartition("/")[2]}]:
        target = folder / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read(cloud, secret_name(revision, source["secret"], item.get("version"))))
        target.chmod(0o400)


def secret_name(revision: str, secret: str, version: str | None) -> str:
    """Return the full name of a secret's version, as a revision names it."""
    project, _, _ = segments(revision)
    full_name = secret if "/" in secret else f"projects/{project}/secrets/{secret}"
    return f"{full_name}/versions/{version or 'latest'}"


def _all(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*"))
    yield folder
