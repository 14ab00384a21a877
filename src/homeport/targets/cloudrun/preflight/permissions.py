"""What the caller may do on the project, against what a deployment needs."""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from homeport.google import Google
from homeport.google.grants import command, role_for
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem, warning
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

    One that is for what the file wants no more is a warning where the right to look is missing, too: that stays where it is, and nothing
    else waits for it. Who may look would find it, and be refused after everything else, so that is a problem.
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
    left = {name for name, look in asked.spared.items() if look not in held}
    strict = {
        permission for name, need in needed.items() if name not in left for permission in need.permissions
    }
    lacking = [permission for permission in missing if permission in strict]
    found = await _lacked(google, asked, needed, lacking, problem)
    if not found:
        have = [permission for permission in every if permission in strict]
        found = [ok("permissions", f"you have all {len(have)} that are needed on {asked.project}", held=have)]
    spared = [permission for permission in missing if permission not in strict]
    return [*found, *await _lacked(google, asked, needed, spared, warning)]


async def _lacked(
    google: Google,
    asked: PreflightInput,
    needed: Mapping[str, PermissionNeed],
    missing: Sequence[str],
    say: Callable[..., PreflightFinding],
) -> list[PreflightFinding]:
    """Return what is said of each role of those that are `missing`; nothing where none is."""
    if not missing:
        return []
    who = await google.credentials.who()
    by_role: dict[str, list[str]] = {}
    for permission in missing:
        by_role.setdefault(role_for(permission), []).append(permission)
    return [
        say(
            f"permissions/{role.removeprefix('roles/')}",
            f"you lack {_some(lacking)} on {asked.project}, for {_purposes(asked, needed, lacking)}",
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


def _purposes(asked: PreflightInput, needed: Mapping[str, PermissionNeed], lacking: Sequence[str]) -> str:
    return "; ".join(
        f"{need.what}{', which the file wants no more' if name in asked.unwanted else ''}"
        for name, need in needed.items()
        if set(need.permissions) & set(lacking)
    )
