"""What a command line ends with where it ends badly, and a standard error that shows no secret, whatever writes to it."""

from __future__ import annotations

import io
import sys
import traceback
from typing import Any, TextIO, cast

import click

from homeport.printable import json_text, printable
from homeport.redaction import redacted


def show_usage(error: click.ClickException, code: int, *, json_output: bool) -> None:
    """Print what click says of wrong usage, which ends with `code`; names and values in it are whatever was typed."""
    if json_output:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"{context.command_path} --help" if context is not None else ""
        said = {"error": "UsageError", "message": error.format_message(), "hint": hint, "url": ""}
        print(json_text({**said, "exit_code": code}))
    buffer = io.StringIO()
    error.show(file=buffer)
    say(buffer.getvalue().rstrip("\n"))


def show_traceback(error: BaseException) -> None:
    """Print the traceback of `error`, those of its causes with it."""
    say("".join(traceback.format_exception(error)).rstrip("\n"))


def say(text: str) -> None:
    """Print `text` on standard error as a terminal can be given it."""
    print(printable(text), file=sys.stderr)


def guard_standard_error() -> None:
    """
    Let nothing be written to standard error with a secret in it that this process has revealed.

    `Terminal` sees to that itself; this is for all that writes there by itself: warnings, logging, a server's
    library, a thread's or the interpreter's own traceback.
    """
    if not isinstance(sys.stderr, _Guarded):
        sys.stderr = cast("TextIO", _Guarded(sys.stderr))


class _Guarded:
    """A stream that replaces secrets in what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redacted(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # Any: whatever the stream has
        return getattr(self._stream, name)
