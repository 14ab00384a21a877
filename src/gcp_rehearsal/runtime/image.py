"""What an image is here: the files that a build copied into it, and what it starts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.artifactregistry.repositories import find_image, upstream_of

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that can be run here."""

    root: Path
    """Holds the copied files, at their paths in the container. What the base image has is not there."""
    base: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def find(cloud: Cloud, reference: str) -> Image | None:
    """
    Return the image of that name, if a build of this rehearsal left what it takes to run it, or a remote repository
    fetched it; else None.
    """
    upstream = upstream_of(cloud, reference)
    if upstream is not None:
        name, tag = upstream
        root = cloud.folder / "images" / "upstream" / "root"
        root.mkdir(parents=True, exist_ok=True)
        return Image(root=root, base=f"{name}@{tag}" if ":" in tag else f"{name}:{tag}")
    digest = (find_image(cloud, reference) or "").removeprefix("sha256:")
    folder = cloud.folder / "images" / digest
    if not digest or not (folder / "image.json").is_file():
        return None
    document = json.loads((folder / "image.json").read_text(encoding="utf-8"))
    return Image(
        root=folder / "root",
        base=document.get("base", ""),
        env=document.get("env", {}),
        entrypoint=tuple(document.get("entrypoint", ())),
        cmd=tuple(document.get("cmd", ())),
        workdir=document.get("workdir", ""),
        labels=document.get("labels", {}),
    )
