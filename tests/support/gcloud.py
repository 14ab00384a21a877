"""Google's own command line, driven against a rehearsal on a socket: a judge that we did not write."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest

from gcp_rehearsal import credentials
from gcp_rehearsal.cloud import OWNER

Test = TypeVar("Test", bound=Callable[..., object])
FOUND = shutil.which("gcloud")
NEEDS_GCLOUD = [
    pytest.mark.gcloud,
    pytest.mark.skipif(FOUND is None, reason="gcloud is not on the PATH of this machine"),
]
"""Marks of a test that types commands of the real gcloud: `make test-gcloud` runs it."""


def needs_gcloud(test: Test) -> Test:
    """Mark a test as one that types commands of the real gcloud."""
    for mark in NEEDS_GCLOUD:
        test = mark(test)
    return test


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: JSON
        """Its output, where it was asked for as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Served:
    """A rehearsal on a socket, and the commands of those who use it."""

    url: str
    folder: Path
    secret: str
    """What its tokens are made of."""
    inside: str = ""
    """The address of those who are within the project's networks, if one was asked for."""
    program: str = FOUND or ""
    """The gcloud that is run."""

    @property
    def within(self) -> Served:
        """The same, used from within the project's networks."""
        assert self.inside
        return replace(self, url=self.inside)

    @property
    def environment(self) -> dict[str, str]:
        """What `homeport rehearse env` tells, and a configuration of gcloud's own."""
        from homeport.cli.rehearse_environment import variables

        own = {"CLOUDSDK_CONFIG": str(self.folder / "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        # gcloud brings a Python of its own, which the guard of these tests cannot load into.
        return {
            **os.environ,
            **variables(self.url, "rehearsal", secret=self.secret, caller=OWNER, folder=self.folder),
            **own,
            "PYTHONPATH": "",
        }

    def token(self, caller: str = OWNER) -> str:
        """The token of a caller."""
        return credentials.token(self.secret, caller)

    def login(self, caller: str) -> dict[str, str]:
        """The variables by which another caller is logged in."""
        return credentials.log_in(self.folder, self.url, self.secret, caller)

    def id_token(self, caller: str = OWNER) -> str:
        """The ID token that gcloud has for a person."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self.token(caller),
            "client_id": credentials.GCLOUD,
        }
        asked = httpx2.post(
            f"{self.url}/token",
            data=form,
            headers={"host": "oauth2.googleapis.com"},
            trust_env=False,
            verify=False,  # Nothing is to be: and what this machine trusts takes long to read.
            timeout=60,
        )
        return str(asked.json()["id_token"])

    def gcloud(self, *arguments: str, code: int = 0, caller: str = "") -> Said:
        """What gcloud says to `caller`, the owner by default; it must exit with `code`."""
        another = {"CLOUDSDK_AUTH_ACCESS_TOKEN": self.token(caller)} if caller else {}
        ended = subprocess.run(
            [self.program, *arguments], cwd=self.folder, env={**self.environment, **another}, capture_output=True,
            text=True, timeout=300, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = Said(ended.returncode, ended.stdout, ended.stderr)
        assert said.code == code, f"gcloud {' '.join(arguments)}: exit {said.code}\n{said.out}\n{said.err}"
        return said


@contextmanager
def forked() -> Iterator[Path]:
    """
    A folder with a `gcloud` that is this machine's own, begun once for many commands, and hurried: see fork_server.py.

    Where it has no Python of its own, the folder that it is in.
    """
    assert FOUND
    root = Path(FOUND).resolve().parent.parent
    python, here = root / "platform" / "bundledpythonunix" / "bin" / "python3", Path(__file__).parent
    if not python.exists():
        yield Path(FOUND).parent
        return
    with tempfile.TemporaryDirectory(prefix="gcloud-") as name:
        folder, path = Path(name), f"{name}/socket"
        line = shlex.join([str(python), "-S", "-E", str(here / "fork_client.py"), path])
        (folder / "gcloud").write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        (folder / "gcloud").chmod(0o755)
        begun = [str(python), "-S", str(here / "fork_server.py"), "gcloud", str(root / "lib"), path]
        own = {"CLOUDSDK_ROOT_DIR": str(root), "PYTHONPATH": "", "PATH": os.environ["PATH"]}
        with subprocess.Popen(
            begun, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own
        ) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield folder
            finally:
                process.terminate()


@contextmanager
def served(folder: Path, *arguments: str) -> Iterator[Served]:
    """A rehearsal in a process of its own, on a free port, fast enough that nobody waits for it."""
    command = [
        sys.executable,
        "-m",
        "homeport",
        "rehearse",
        "serve",
        "--port",
        "0",
        "--speed",
        "600",
        *arguments,
    ]
    home = folder / "home-of-the-rehearsal"
    env = {**os.environ, "HOMEPORT_HOME": str(home)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder, env=env) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "Ctrl-C" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
            url, inside = re.search(r"http://[\d.]+:\d+", said), re.search(r"Clients of port (\d+)", said)
            assert url, said
            secret = credentials.read(home, int(url[0].rpartition(":")[2]))
            assert secret
            yield Served(url[0], folder, secret, f"http://127.0.0.1:{inside[1]}" if inside else "")
        finally:
            process.terminate()
            process.communicate(timeout=120)
