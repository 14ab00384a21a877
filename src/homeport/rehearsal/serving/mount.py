"""The volumes of a container: buckets, secrets and empty folders, as folders of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport.rehearsal.behaviours.run_state import segments
from homeport.rehearsal.behaviours.secrets_versions import read
from homeport.rehearsal.behaviours.storage_objects import content_of

if TYPE_CHECKING:
    from homeport.rehearsal.cloud import Cloud

HOW = (
    "a read-only folder, with the bucket's objects as they were when the instance started: "
    "nothing is mounted through FUSE here"
)


def mounts(
    cloud: Cloud, revision: Mapping[str, Any], container: Mapping[str, Any], at: Path
) -> dict[str, Path]:  # Any: JSON
    """The folders below `at` for a container's mounts, by their paths in the container."""
    volumes = {volume["name"]: volume for volume in revision.get("volumes", ())}
    found: dict[str, Path] = {}
    for mount in container.get("volumeMounts", ()):
        folder = at / mount["name"]
        if mount["name"] in volumes and not folder.exists():
            _fill(cloud, revision["name"], volumes[mount["name"]], folder)
        found[mount["mountPath"]] = folder / mount.get("subPath", "")
    return found


def remove(at: Path) -> None:
    """Take the folders away, read-only ones included."""
    for folder, _, _ in os.walk(at):
        Path(folder).chmod(0o700)
    shutil.rmtree(at, ignore_errors=True)


def _fill(cloud: Cloud, revision: str, volume: Mapping[str, Any], folder: Path) -> None:  # Any: JSON
    folder.mkdir(parents=True)
    if "gcs" in volume:
        _bucket(cloud, volume["gcs"], folder)
    elif "secret" in volume:
        _secret(cloud, revision, volume["secret"], folder)


def _bucket(cloud: Cloud, source: Mapping[str, Any], folder: Path) -> None:  # Any: JSON
    only = next(
        (o.partition("=")[2] for o in source.get("mountOptions", ()) if o.startswith("only-dir=")), ""
    )
    prefix = f"{only.strip('/')}/" if only.strip("/") else ""
    for kept in cloud.store.under("storage", f"b/{source['bucket'].rpartition('/')[2]}/o"):
        name = str(kept.body["name"])
        inside = name[len(prefix) :]
        if not name.startswith(prefix) or not inside or inside.endswith("/") or ".." in inside.split("/"):
            continue
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(content_of(kept).path, target)
        except OSError:
            shutil.copyfile(content_of(kept).path, target)
    for path in _all(folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _secret(cloud: Cloud, revision: str, source: Mapping[str, Any], folder: Path) -> None:  # Any: JSON
    for item in source.get("items") or [{"path": source["secret"].rpartition("/")[2]}]:
        target = folder / item["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read(cloud, secret_name(revision, source["secret"], item.get("version"))))
        target.chmod(0o400)


def secret_name(revision: str, secret: str, version: str | None) -> str:
    """The full name of a secret's version, as a revision names it."""
    project, _, _ = segments(revision)
    whole = secret if "/" in secret else f"projects/{project}/secrets/{secret}"
    return f"{whole}/versions/{version or 'latest'}"


def _all(folder: Path) -> Iterator[Path]:
    yield from sorted(folder.rglob("*"))
    yield folder
