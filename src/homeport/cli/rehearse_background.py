"""A rehearsal that goes on in the background: started when it is wanted, found again, ended with all that runs in it."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from gcp_rehearsal import credentials
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.runtime.launch_adaptation import HOST
from gcp_rehearsal.runtime.processes import INSTANCES
from homeport.backoff import Backoff
from homeport.child_environment import without_secrets
from homeport.errors import HomeportError, NotRunning
from homeport.extras import missing
from homeport.home import private_folder, private_opener, write_private, writing

_ANSWERS_WITHIN_S = 10.0
_STARTS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """One that was started."""

    pid: int
    created: float
    """When its process began, so that another process of that number is not taken for it."""
    port: int
    project: str
    """The one that is there."""

    @property
    def url(self) -> str:
        """Return the address where the rehearsal answers."""
        return f"http://{HOST}:{self.port}"

    def speed(self, shown: str) -> float:
        """Return how many of its seconds pass in one of ours, asked with a token."""
        import httpx2

        headers = {"authorization": f"Bearer {shown}"}
        response = httpx2.get(f"{self.url}{INSTANCES}", headers=headers, trust_env=False, timeout=10)
        return float(response.json()["speed"])


def secret_of(folder: Path, port: int) -> str:
    """Return the secret of the rehearsal on `port`, which is kept in `folder`. Raises `NotRunning`."""
    secret = credentials.read(folder, port)
    if not secret or not answers(port, secret):
        raise NotRunning(
            f"no rehearsal of yours answers on port {port}",
            hint=f"`homeport rehearse serve --port {port}` starts one; another port: --port",
        )
    return secret


def answers(port: int, secret: str) -> bool:
    """Return whether a rehearsal with that secret answers on `port`."""
    connection = http.client.HTTPConnection(HOST, port, timeout=_ANSWERS_WITHIN_S)
    try:
        shown = credentials.token(secret, OWNER)
        connection.request("GET", INSTANCES, headers={"authorization": f"Bearer {shown}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def ports(folder: Path) -> list[int]:
    """Return the ports of those that were started from this home and not ended."""
    matches = (re.fullmatch(r"rehearsal-(\d+)\.json", path.name) for path in folder.glob("rehearsal-*.json"))
    return sorted(int(match[1]) for match in matches if match)


def find(folder: Path, port: int) -> Background | None:
    """Return the rehearsal that was started from this home on `port` and lives; None where there is none."""
    import psutil

    try:
        known = Background(**json.loads(_record(folder, port).read_text(encoding="utf-8")))
        lives = psutil.Process(known.pid).create_time() == known.created
    except (OSError, ValueError, TypeError, psutil.NoSuchProcess):
        return None
    return known if lives else None


def ensure_installed() -> None:
    """Raise `ExtraMissing` where homeport was installed without its extra `rehearse`."""
    lacking = [name for name in ("uvicorn", "cronsim", "googleapiclient") if find_spec(name) is None]
    if lacking:
        raise missing(f"the rehearsal needs {', '.join(lacking)}", "rehearse")


def start(folder: Path, port: int, project: str) -> Background:
    """
    Start one on `port`, and wait until it answers.

    Raises `HomeportError` with its last words where it does not, `StateError` or `DiskFull` where nothing can be kept of it.
    """
    import psutil

    ensure_installed()
    log = folder / f"rehearsal-{port}.log"
    with writing(folder):
        if not folder.exists():
            private_folder(folder)
        # A full disk would take a log of nothing, and nobody would know why it did not start.
        write_private(log, "\n")
    with open(log, "w", encoding="utf-8", opener=private_opener) as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "homeport", "rehearse", "serve", "--port", str(port), "--project", project],
            env=without_secrets(os.environ, own=("HOMEPORT_*",)),
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    wait = Backoff(what="the rehearsal to answer", within=_STARTS_WITHIN_S, first=0.1)
    while process.poll() is None:
        secret = credentials.read(folder, port)
        if not secret or not answers(port, secret):
            if not wait.sleep():
                break
            continue
        began = psutil.Process(process.pid).create_time()
        background = Background(pid=process.pid, created=began, port=port, project=project)
        write_private(_record(folder, port), json.dumps(asdict(background)))
        return background
    process.terminate()
    raise HomeportError(
        f"the rehearsal did not start: {log.read_text(encoding='utf-8', errors='replace').strip()[-500:]}",
        hint=f"its log is {log}; another port: homeport rehearse --port 8700 …",
    )


def stop(folder: Path, port: int) -> bool:
    """End the one of this home on `port`, with all that runs in it; whether there was one."""
    import psutil

    background = find(folder, port)
    if background is not None:
        process = psutil.Process(background.pid)
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except psutil.TimeoutExpired:
            process.kill()
    _record(folder, port).unlink(missing_ok=True)
    return background is not None


def _record(folder: Path, port: int) -> Path:
    return folder / f"rehearsal-{port}.json"
