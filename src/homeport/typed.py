"""A line that a person types at a terminal, shown or hidden, with no Ctrl-C lost."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress


def typed_line() -> str:
    """
    Return the next line of stdin, without its end. Raises `EOFError` where there is none.

    At a terminal `input` alone would miss a signal that comes between the question and the first look at the keyboard:
    Python would have noted it, and act on it once a line is there. So the keyboard is waited for together with signals.
    Only the main thread may call this, as for everything that is about signals.
    """
    if _at_terminal():
        _wait_for_keys()
    return input()


def hidden_line(prompt: str) -> str:
    """
    Return the next line of a terminal without showing it, after `prompt` on stderr. Raises as `typed_line` does.

    What was typed before the prompt does not count, as with `getpass`, which loses signals as `input` does.
    """
    import termios

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, hidden)
        sys.stderr.write(prompt)
        sys.stderr.flush()
        return typed_line()
    finally:
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
        sys.stderr.write("\n")
        sys.stderr.flush()


def _at_terminal() -> bool:
    try:
        return os.isatty(sys.stdin.fileno())
    except (OSError, ValueError):  # No file, or a closed one: `input` says what it thinks of it.
        return False


def _wait_for_keys() -> None:
    """Wait until a line is typed. A signal's own handler runs meanwhile, and may raise."""
    ours, pythons = socket.socketpair()
    with ours, pythons:
        ours.setblocking(False)
        pythons.setblocking(False)
        before = signal.set_wakeup_fd(pythons.fileno(), warn_on_full_buffer=False)
        try:
            ready: list[object] = []
            while sys.stdin not in ready:
                ready = select.select([sys.stdin, ours], [], [])[0]
                if ours in ready:
                    _pass_on(ours.recv(4096), before)
        finally:
            signal.set_wakeup_fd(before)


def _pass_on(signals: bytes, to: int) -> None:
    """Tell an event loop, which has a descriptor of its own, of the signals that came here in its place."""
    if to >= 0:
        with suppress(OSError):
            os.write(to, signals)
