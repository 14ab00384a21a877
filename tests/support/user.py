"""Somebody who types commands."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

HOMEPORT = [sys.executable, "-m", "homeport"]
"""The program, begun from nothing: where a test sends signals, has a terminal of its own, or changes Python's own settings."""


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: JSON
        return json.loads(self.out)


class User:
    """Types commands in a folder of their own, on a machine without anything but the weights it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def write(self, text: str) -> None:
        (self.folder / "homeport.toml").write_text(text)

    def run(
        self, *arguments: str, code: int | None = 0, cwd: Path | None = None, timeout: float = 600, **env: str
    ) -> Ran:
        """
        `homeport` with these arguments. `code` is what it must exit with; None for any.

        It is a child of a process that has imported nearly all of it (fork_server.py), unless the environment tells
        Python itself something else than that process was told.
        """
        whole = {**os.environ, **env}
        as_ever = _of_python(whole) == _of_python(_server().env)
        ran = (_forked if as_ever else _begun)(list(arguments), cwd or self.folder, whole, timeout)
        assert code is None or ran.code == code, f"exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def begin(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """The same, left running."""
        return subprocess.Popen(
            [*HOMEPORT, *arguments],
            cwd=self.folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def home(self) -> Path:
        return Path(os.environ["HOMEPORT_HOME"])


def _of_python(env: Mapping[str, str]) -> dict[str, str]:
    """What Python itself reads of an environment, once, when it begins."""
    return {name: value for name, value in env.items() if name.startswith(("PYTHON", "LC_", "LANG"))}


def _begun(words: list[str], folder: Path, env: dict[str, str], timeout: float) -> Ran:
    ended = subprocess.run(
        [*HOMEPORT, *words],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


def _forked(words: list[str], folder: Path, env: dict[str, str], timeout: float) -> Ran:
    with socket.socket(socket.AF_UNIX) as asking, Path(os.devnull).open() as nothing:
        asking.settimeout(timeout)
        asking.connect(_server().path)
        readers = [_Reader(), _Reader()]
        wanted = {"words": words, "folder": str(folder), "env": env, "umask": _umask()}
        told = json.dumps(wanted).encode() + b"\n"
        first = told[: 1 << 16]
        socket.send_fds(asking, [first], [nothing.fileno(), *(one.theirs for one in readers)])
        asking.sendall(told[len(first) :])
        for one in readers:
            one.start()
        with asking.makefile() as answers:
            process = int(answers.readline())
            try:
                code = int(answers.readline())
            except TimeoutError:
                os.kill(process, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["homeport", *words], timeout) from None
        out, err = (one.text(timeout) for one in readers)
    return Ran(code, out, err)


def _umask() -> int:
    before = os.umask(0o077)
    os.umask(before)
    return before


class _Reader(Thread):
    """Reads one stream of a command to its end: until nobody holds it open any more."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._mine, self.theirs = os.pipe()
        self._said = ""

    def start(self) -> None:
        os.close(self.theirs)
        super().start()

    def run(self) -> None:
        with os.fdopen(self._mine, encoding="utf-8") as pipe:
            self._said = pipe.read()

    def text(self, timeout: float) -> str:
        self.join(timeout)
        assert not self.is_alive(), "the command has ended, and something that it began holds its output open"
        return self._said


@dataclass(frozen=True)
class _Server:
    """The program that was begun once for this process. It ends when this process does: with its standard input."""

    path: str
    env: Mapping[str, str]
    process: subprocess.Popen[str]


@cache
def _server() -> _Server:
    folder = tempfile.mkdtemp(prefix="homeport-forks-")
    path, env = f"{folder}/socket", dict(os.environ)
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "fork_server.py"), "homeport", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=env,
    )
    atexit.register(_end, process)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return _Server(path, env, process)


def _end(process: subprocess.Popen[str]) -> None:
    """End the program, which Python would else complain of at its own end, behind the last line of a run."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
