"""A step that is a process of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gcp_rehearsal.apis.cloudbuild.step import Ran


class Process:
    """A command, alone with the environment that it is given. What it says goes to `log`."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> None:
        self._log, self._read, self._begun = log, 0, time.monotonic()
        with log.open("wb") as out:
            # A session of its own: Ctrl-C at the rehearsal's terminal ends the build in order, not in the middle.
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def seconds(self) -> float:
        """Return how long it has run, in seconds of this machine."""
        return time.monotonic() - self._begun

    @property
    def runs(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    def fresh(self) -> Sequence[str]:
        """Return the lines that it has written since this was last asked; one that is not whole yet comes later."""
        if not self._log.exists():
            return ()
        with self._log.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        complete = new if self._process.returncode is not None else new[: new.rfind(b"\n") + 1]
        self._read += len(complete)
        return complete.decode(errors="replace").splitlines()

    def poll(self) -> Ran | None:
        """Return what came of it, with the lines that are not told yet; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        return Ran(code=code if code >= 0 else 128 - code, lines=self.fresh(), seconds=self.seconds)

    def stop(self) -> None:
        """Kill it, and whatever it has started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
