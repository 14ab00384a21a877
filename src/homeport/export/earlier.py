"""What an earlier export left in a folder, and what reads all that lies there would take for a part of this one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from homeport.errors import StateError
from homeport.export.text import MARK, listed
from homeport.own_path import looking_at

_BY_FOLDER = {"terraform": "*.tf"}
"""The kinds whose tool reads all files of a folder together, and which."""
_OF_REGION = re.compile(r"[a-z]+-[a-z]+\d+\.tf")
_EDGE = "edge.tf"


def ensure_none_left(kind: str, files: Mapping[str, str], folder: Path) -> None:
    """Raise `StateError` where a folder holds files of an earlier export that these would be read together with; somebody's own may stay."""
    if kind not in _BY_FOLDER:
        return
    head = f"# {MARK} {kind}`".encode()
    with looking_at(folder):
        left = sorted(
            path.name
            # A glob passes over a folder that is closed.
            for path in (folder.iterdir() if folder.exists() else ())
            if path.match(_BY_FOLDER[kind])
            and path.name not in files
            and path.is_file()
            and path.read_bytes().startswith(head)
        )
    if not left:
        return
    raise StateError(
        f"{listed(str(folder / name) for name in left)} {'is' if len(left) == 1 else 'are'} of an earlier export and not of this "
        f"homeport.toml any more; {kind} reads all files of a folder together, and nothing was written",
        hint="; ".join(_hints(left)),
    )


def _hints(left: list[str]) -> list[str]:
    regions = [name for name in left if _OF_REGION.fullmatch(name)]
    others = [name for name in left if name not in regions]
    hints = []
    if regions:
        words = listed(f"_{name.removesuffix('.tf').replace('-', '_')}" for name in regions)
        hints.append(
            "`homeport up --on cloudrun` takes a region away; Terraform would delete first what the load balancer still leads to, which Google "
            f"refuses. Then delete {listed(regions)}, and in image.auto.tfvars and edge.auto.tfvars the lines whose names end with {words}"
        )
    if _EDGE in others:
        hints.append(
            "remove edge.auto.tfvars and apply, so that the service is reached without the load balancer"
        )
    if others:
        hints.append(f"delete {listed(others)}: the next `terraform apply` takes away what it made")
    return [*hints, "then export again, or with -o to another folder"]


__all__ = ["ensure_none_left"]
