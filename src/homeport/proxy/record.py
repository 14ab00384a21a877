"""What a proxy that runs leaves for the same user's other programs: its port, its key, and for which service it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from homeport.home import private_folder, write_private, writing
from homeport.secret import Secret

_FOLDER = "proxies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A proxy that runs."""

    port: int
    service: str
    """The address of the service that it stands before."""
    key: Secret | None = field(repr=False)
    """What it wants to see; None where it asks for nothing."""


@contextmanager
def recorded(root: Path, proxy: Running) -> Iterator[None]:
    """Keep it in homeport's folder `root`, for its user alone, for as long as this lasts. Raises `StateError`."""
    import psutil

    path = root / _FOLDER / f"{proxy.port}.json"
    with writing(path):
        private_folder(path.parent)
    document = {
        "port": proxy.port,
        "service": proxy.service,
        "key": proxy.key.reveal() if proxy.key else "",
        "pid": os.getpid(),
        "created": psutil.Process().create_time(),
    }
    write_private(path, json.dumps(document))
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()


def find(root: Path, service: str) -> Running | None:
    """Return the proxy of this user's that stands before `service` and runs; None where there is none."""
    for path in sorted((root / _FOLDER).glob("*.json")):
        proxy = _read(path)
        if proxy is not None and proxy.service == service:
            return proxy
    return None


def _read(path: Path) -> Running | None:
    """Return what a file says, if the process that wrote it lives: one that was killed leaves its file."""
    import psutil

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        lives = psutil.Process(int(document["pid"])).create_time() == document["created"]
        key = Secret(str(document["key"])) if document["key"] else None
        running = Running(port=int(document["port"]), service=str(document["service"]), key=key)
    except (OSError, ValueError, TypeError, KeyError, psutil.Error):
        return None
    return running if lives else None
