"""A command that somebody has begun at a terminal of their own: they see what it writes there, type, and press Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from user import HOMEPORT, User

CTRL_C = "\x03"
_SAID_NOTHING_FOR_S = 120.0


class AtTerminal:
    """The command, and what its terminal has shown."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self._process, self._terminal = process, terminal
        self._seen, self._looked_at = b"", 0

    @property
    def seen(self) -> str:
        """All that was shown."""
        return self._seen.decode(errors="replace").replace("\r\n", "\n")

    def until(self, text: str) -> None:
        """Read until `text` is shown, after what was waited for before."""
        while (at := self.seen.find(text, self._looked_at)) < 0:
            assert self._read(), self.seen
        self._looked_at = at + len(text)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._terminal, text.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self._process.wait(timeout=_SAID_NOTHING_FOR_S)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], _SAID_NOTHING_FOR_S)[0]:
            return False
        try:
            block = os.read(self._terminal, 65536)
        except OSError:  # Linux's way to say that nobody has the other end any more.
            return False
        self._seen += block
        return bool(block)


@contextmanager
def at_terminal(user: User, *arguments: str) -> Iterator[AtTerminal]:
    """`homeport` with these arguments, at a terminal that is its own, so that Ctrl-C there is its."""
    with program_at_terminal([*HOMEPORT, *arguments], user.folder) as terminal:
        yield terminal


@contextmanager
def program_at_terminal(command: Sequence[str], folder: Path) -> Iterator[AtTerminal]:
    """Any program, in the same way."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"},
        stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_own_terminal,  # noqa: PLW1509 - tests that need it have no threads
    )  # fmt: skip
    os.close(theirs)
    try:
        yield AtTerminal(process, ours)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(ours)


def _own_terminal() -> None:
    import fcntl
    import termios

    # A shell that has begun the tests behind it has Ctrl-C ignored, which is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
