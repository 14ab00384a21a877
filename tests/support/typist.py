"""Somebody who types commands in the test's own process: for what a command says, where its process is not the point."""

from __future__ import annotations

import io
import os
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from homeport import cli
from user import Ran


class Typist:
    """
    Types commands in a folder of their own. What they type starts no process and no engine.

    Exit code and both streams are the program's; what `main` does around `cli.run` is left to tests with a process:
    how streams are written to and guarded, and how Python ends.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def write(self, text: str) -> None:
        """Write homeport.toml."""
        (self.folder / "homeport.toml").write_text(text)

    def run(self, *arguments: str, code: int | None = 0, **env: str) -> Ran:
        """`homeport` with these arguments. `code` is what it must exit with; None for any."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with (
            pytest.MonkeyPatch.context() as patched,
            patch.dict(os.environ, env),
            chdir(self.folder),
            Path(os.devnull).open() as nothing,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            patched.setattr("sys.stdin", nothing)
            # Another process would know no secret of the command before.
            patched.setattr("homeport.redaction._revealed", {})
            patched.setattr("homeport.redaction._pattern", None)
            came = cli.run(list(arguments))
        ran = Ran(came, *(one.buffer.getvalue().decode() for one in (out, err)))
        assert code is None or ran.code == code, f"exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    @property
    def home(self) -> Path:
        """Where homeport keeps what is this user's."""
        return Path(os.environ["HOMEPORT_HOME"])
