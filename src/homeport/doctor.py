"""What this machine has and lacks for serving models."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from homeport.engines import names, registry
from homeport.errors import SpecError, StateError
from homeport.extras import install
from homeport.free_ports import free_port_near, port_is_free
from homeport.hardware import free_disk, this_machine
from homeport.home import find_home, private_folder
from homeport.json_types import JsonObject
from homeport.resources.local.process_tree import listener
from homeport.spec import Local
from homeport.weights import hub_token
from homeport.weights.progress_stage import megabytes
from homeport.weights.store import HEADROOM


class DoctorVerdict(StrEnum):
    """How one finding stands."""

    GOOD = "good"
    OPTIONAL = "optional"
    """Not here, and only some want it."""
    LACKING = "lacking"
    """Not here, and nothing can be served without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFinding:
    """One thing that was looked at."""

    what: str
    verdict: DoctorVerdict
    detail: str
    hint: str = ""

    def as_json(self) -> JsonObject:
        """Return the finding as `--json` prints it."""
        return {"what": self.what, "verdict": self.verdict, "detail": self.detail, "hint": self.hint}


def examine() -> list[DoctorFinding]:
    """Return everything that was looked at: engines first, then the machine, then what the cloud will want."""
    return [*_engines(), *_machine(), *_home(), *_port(), *_hub(), *_cloud()]


def _engines() -> Iterator[DoctorFinding]:
    installations = {name: registry.module(name).find() for name in names.NAMES}
    none_found = not any(installations.values())
    for name, installation in installations.items():
        if installation is not None:
            yield DoctorFinding(
                what=name,
                verdict=DoctorVerdict.GOOD,
                detail=f"{installation.version} ({installation.executable})",
            )
            continue
        worst = DoctorVerdict.LACKING if none_found and name == names.NAMES[0] else DoctorVerdict.OPTIONAL
        yield DoctorFinding(
            what=name,
            verdict=worst,
            detail="not installed",
            hint=registry.module(name).INSTALL_HINT.split(": ", 1)[1],
        )


def _machine() -> Iterator[DoctorFinding]:
    machine = this_machine()
    yield DoctorFinding(
        what="python", verdict=DoctorVerdict.GOOD, detail=f"{sys.version.split()[0]} ({sys.executable})"
    )
    yield DoctorFinding(what="cores", verdict=DoctorVerdict.GOOD, detail=str(machine.cores))
    gib = 2**30
    yield DoctorFinding(
        what="memory",
        verdict=DoctorVerdict.GOOD,
        detail=f"{machine.memory / gib:.1f} GiB, {machine.memory_available / gib:.1f} GiB free",
    )
    gpus = ", ".join(f"{gpu.name} ({gpu.memory / gib:.0f} GiB)" for gpu in machine.gpus)
    verdict = DoctorVerdict.GOOD if gpus else DoctorVerdict.OPTIONAL
    yield DoctorFinding(what="gpu", verdict=verdict, detail=gpus or "none found; models run on the CPU")


def _home() -> Iterator[DoctorFinding]:
    try:
        home = find_home()
    except (SpecError, StateError) as error:
        yield DoctorFinding(what="folder", verdict=DoctorVerdict.LACKING, detail=str(error), hint=error.hint)
        return
    free = free_disk(home.root)
    try:
        if not home.root.exists():
            private_folder(home.root)
        writable = os.access(home.root, os.W_OK)
    except OSError:
        writable = False
    if writable and free < HEADROOM:
        yield DoctorFinding(
            what="folder",
            verdict=DoctorVerdict.LACKING,
            detail=f"{home.root}, {megabytes(free)} free: no weights are fetched where less than {megabytes(HEADROOM)} would stay free",
            hint="free some space, or set HOMEPORT_HOME to a folder on a larger disk",
        )
        return
    yield DoctorFinding(
        what="folder",
        verdict=DoctorVerdict.GOOD if writable else DoctorVerdict.LACKING,
        detail=f"{home.root}, {megabytes(free)} free" if writable else f"{home.root} cannot be written",
        hint="" if writable else "set HOMEPORT_HOME to a folder that you may write to",
    )


def _port() -> Iterator[DoctorFinding]:
    default = Local()
    if port_is_free(default.host, default.port):
        yield DoctorFinding(what="port", verdict=DoctorVerdict.GOOD, detail=f"{default.port} is free")
        return
    offer = free_port_near(default.host, default.port)
    yield DoctorFinding(
        what="port",
        verdict=DoctorVerdict.OPTIONAL,
        detail=f"{default.port} is taken by {listener(default.port)}",
        hint=f"unless that is the endpoint you want: homeport up --port {offer}",
    )


def _hub() -> Iterator[DoctorFinding]:
    try:
        import huggingface_hub  # noqa: F401 - whether it is here
    except ImportError:
        yield DoctorFinding(
            what="hub",
            verdict=DoctorVerdict.OPTIONAL,
            detail="no hf: sources",
            hint=install("local"),
        )
        return
    offline = os.environ.get("HF_HUB_OFFLINE", "") in {"1", "true", "TRUE"}
    try:
        token = (
            "a token is there"
            if hub_token.find(None)
            else "no token; gated models want one (`hf auth login`)"
        )
    except (SpecError, StateError) as error:
        yield DoctorFinding(what="hub", verdict=DoctorVerdict.LACKING, detail=str(error), hint=error.hint)
        return
    where = os.environ.get("HF_ENDPOINT", "the default hub")
    yield DoctorFinding(
        what="hub", verdict=DoctorVerdict.GOOD, detail=f"{where}{', offline' if offline else ''}; {token}"
    )


def _cloud() -> Iterator[DoctorFinding]:
    gcloud = shutil.which("gcloud")
    yield DoctorFinding(
        what="gcloud",
        verdict=DoctorVerdict.GOOD if gcloud else DoctorVerdict.OPTIONAL,
        detail=gcloud or "not installed; only a cloud target will want it",
    )
    configured = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    folder = Path(os.environ.get("CLOUDSDK_CONFIG", Path.home() / ".config" / "gcloud"))
    default = Path(configured) if configured else folder / "application_default_credentials.json"
    exists = default.is_file()
    yield DoctorFinding(
        what="credentials",
        verdict=DoctorVerdict.GOOD if exists else DoctorVerdict.OPTIONAL,
        detail=str(default)
        if exists
        else "no application default credentials; only a cloud target will want them",
    )


__all__ = ["DoctorFinding", "DoctorVerdict", "examine"]
