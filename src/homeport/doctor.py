"""What this machine has and lacks for serving models."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from homeport import engines
from homeport.hardware import free_disk, this_machine
from homeport.home import find_home, private_folder
from homeport.resources.processes import free_port, listener, port_is_free
from homeport.spec import Local


class Verdict(StrEnum):
    """How one finding stands."""

    GOOD = "good"
    OPTIONAL = "optional"
    """Not here, and only some want it."""
    LACKING = "lacking"
    """Not here, and nothing can be served without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    detail: str
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as `--json` prints it."""
        return {"what": self.what, "verdict": self.verdict, "detail": self.detail, "hint": self.hint}


def examine() -> list[Finding]:
    """Everything that was looked at: engines first, then the machine, then what the cloud will want."""
    return [*_engines(), *_machine(), *_home(), *_port(), *_hub(), *_cloud()]


def _engines() -> Iterator[Finding]:
    found = {name: engines.module(name).find() for name in engines.NAMES}
    none_found = not any(found.values())
    for name, installation in found.items():
        if installation is not None:
            yield Finding(
                what=name, verdict=Verdict.GOOD, detail=f"{installation.version} ({installation.executable})"
            )
            continue
        worst = Verdict.LACKING if none_found and name == "llamacpp" else Verdict.OPTIONAL
        yield Finding(
            what=name,
            verdict=worst,
            detail="not installed",
            hint=engines.module(name).INSTALL_HINT.split(": ", 1)[1],
        )


def _machine() -> Iterator[Finding]:
    machine = this_machine()
    yield Finding(what="python", verdict=Verdict.GOOD, detail=f"{sys.version.split()[0]} ({sys.executable})")
    yield Finding(what="cores", verdict=Verdict.GOOD, detail=str(machine.cores))
    gib = 2**30
    yield Finding(
        what="memory",
        verdict=Verdict.GOOD,
        detail=f"{machine.memory / gib:.1f} GiB, {machine.memory_available / gib:.1f} GiB free",
    )
    gpus = ", ".join(f"{gpu.name} ({gpu.memory / gib:.0f} GiB)" for gpu in machine.gpus)
    verdict = Verdict.GOOD if gpus else Verdict.OPTIONAL
    yield Finding(what="gpu", verdict=verdict, detail=gpus or "none found; models run on the CPU")


def _home() -> Iterator[Finding]:
    home = find_home()
    free = free_disk(home.root) / 2**30
    try:
        if not home.root.exists():
            private_folder(home.root)
        writable = os.access(home.root, os.W_OK)
    except OSError:
        writable = False
    yield Finding(
        what="folder",
        verdict=Verdict.GOOD if writable else Verdict.LACKING,
        detail=f"{home.root}, {free:.0f} GiB free" if writable else f"{home.root} cannot be written",
        hint="" if writable else "set HOMEPORT_HOME to a folder that you may write to",
    )


def _port() -> Iterator[Finding]:
    default = Local()
    if port_is_free(default.host, default.port):
        yield Finding(what="port", verdict=Verdict.GOOD, detail=f"{default.port} is free")
        return
    offer = free_port(default.host, near=default.port)
    yield Finding(
        what="port",
        verdict=Verdict.OPTIONAL,
        detail=f"{default.port} is taken by {listener(default.port)}",
        hint=f"unless that is the endpoint you want: homeport up --port {offer}",
    )


def _hub() -> Iterator[Finding]:
    try:
        from huggingface_hub import get_token
    except ImportError:
        yield Finding(
            what="hub",
            verdict=Verdict.OPTIONAL,
            detail="no hf: sources",
            hint="pip install 'homeport[local]'",
        )
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "") in {"1", "true", "TRUE"}
    token = "a token is there" if get_token() else "no token; gated models want one (`hf auth login`)"
    where = os.environ.get("HF_ENDPOINT", "the default hub")
    yield Finding(
        what="hub", verdict=Verdict.GOOD, detail=f"{where}{', offline' if offline else ''}; {token}"
    )


def _cloud() -> Iterator[Finding]:
    gcloud = shutil.which("gcloud")
    yield Finding(
        what="gcloud",
        verdict=Verdict.GOOD if gcloud else Verdict.OPTIONAL,
        detail=gcloud or "not installed; only a cloud target will want it",
    )
    configured = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = Path(os.environ.get("CLOUDSDK_CONFIG", Path.home() / ".config" / "gcloud"))
    default = Path(configured) if configured else folder / "application_default_credentials.json"
    there = default.is_file()
    yield Finding(
        what="credentials",
        verdict=Verdict.GOOD if there else Verdict.OPTIONAL,
        detail=str(default)
        if there
        else "no application default credentials; only a cloud target will want them",
    )


__all__ = ["Finding", "Verdict", "examine"]
