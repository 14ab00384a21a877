"""What the caller may do on the project, against what a deployment needs."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from homeport.google import Google
from homeport.google.grants import command, role_for
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem
from homeport.targets.cloudrun.preflight.request import PreflightInput

_AT_ONCE = 100
"""As many permissions as Google tests in one request."""


@dataclass(frozen=True, slots=True)
class PermissionNeed:
    """What some permissions are for."""

    what: str
    permissions: tuple[str, ...]


@cache
def needs() -> Mapping[str, PermissionNeed]:
    """Return the table of `permissions.toml`, by the name of what each is needed for."""
    text = (
        files("homeport.targets.cloudrun.preflight").joinpath("permissions.toml").read_text(encoding="utf-8")
    )
    table = tomllib.loads(text)
    del table["dated"]
    return {name: PermissionNeed(entry["what"], tuple(entry["permissions"])) for name, entry in table.items()}


async def permissions(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Return one finding for each role that is missing, with the command that grants it.

    A grant on a single thing, such as one service account, is not seen here: only the project is asked.
    """
    needed = {name: need for name, need in needs().items() if name in asked.needs}
    every = list(dict.fromkeys(permission for need in needed.values() for permission in need.permissions))
    parts = [every[begin : begin + _AT_ONCE] for begin in range(0, len(every), _AT_ONCE)]
    held = {
        permission
        for part in await asyncio.gather(*(_held(google, asked, part) for part in parts))
        for permission in part
    }
    missing = [permission for permission in every if permission not in held]
    if not missing:
        return [
            ok("permissions", f"you have all {len(every)} that are needed on {asked.project}", held=every)
        ]
    who = await google.credentials.who()
    by_role: dict[str, list[str]] = {}
    for permission in missing:
        by_role.setdefault(role_for(permission), []).append(permission)
    return [
        problem(
            f"permissions/{role.removeprefix('roles/')}",
            f"you lack {_some(lacking)} on {asked.project}, for {_purposes(needed, lacking)}",
            f"somebody who may do so can grant it: {command(lacking[0], principal=who, project=asked.project)}"
            "; a grant on the single things instead is not seen here",
            missing=lacking,
            role=role,
        )
        for role, lacking in by_role.items()
    ]


async def _held(google: Google, asked: PreflightInput, part: Sequence[str]) -> Sequence[str]:
    path = f"v3/projects/{asked.project}:testIamPermissions"
    answer = await google.post("cloudresourcemanager", path, {"permissions": list(part)}, repeatable=True)
    return tuple(answer.get("permissions", ()))


def _some(lacking: Sequence[str]) -> str:
    more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
    return ", ".join(lacking[:3]) + more


def _purposes(needed: Mapping[str, PermissionNeed], lacking: Sequence[str]) -> str:
    return "; ".join(need.what for need in needed.values() if set(need.permissions) & set(lacking))
