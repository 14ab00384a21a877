"""Commands typed in this process: hundreds of them, where a process each would take minutes."""

from __future__ import annotations

import contextlib
import io
import os
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What a command came to."""

    code: int
    text: str
    """What it printed, to both its streams, the traceback of `--debug` included."""
    seconds: float


@contextlib.contextmanager
def within(folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """This process's folder and environment, for a while; alone in it."""
    before, at = dict(os.environ), Path.cwd()
    os.environ.clear()
    os.environ.update({name: value for name, value in env.items() if "\0" not in value})
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(at)
        os.environ.clear()
        os.environ.update(before)


def typed(*arguments: str, folder: Path, env: Mapping[str, str]) -> Typed:
    """What `homeport` with these arguments prints and comes to."""
    from homeport.cli import run

    printed = io.StringIO()
    begun = time.monotonic()
    with (
        within(folder, env),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        try:
            code = run(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Exception:  # noqa: BLE001 - what `--debug` lets through is printed by Python
            traceback.print_exc()
            code = 1
    return Typed(code=code, text=printed.getvalue(), seconds=time.monotonic() - begun)
