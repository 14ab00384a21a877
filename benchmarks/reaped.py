"""
Let a script keep count of what it started, also once that has detached itself and ended.

The time of a process goes to whoever waits for it, and one whose parent has ended is handed to init. On Linux a process may ask to be
handed such in init's place: here one above the script's own, since whoever waits for everything would take from a script what
it waits for itself. Elsewhere, and where it is refused, such times are lost, and count as others'.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_FROM_A_TERMINAL = 128
"""SI_KERNEL: such a signal went to all processes that the terminal runs, the script too."""
_HANDED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


def reaped() -> None:
    """Go on as a process of its own; the one before waits for all that ends below it, and ends as the script does."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return
    waited_for = {signal.SIGCHLD, *_HANDED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    above, script = os.getpid(), os.fork()
    if script:
        _wait(script, waited_for)
    # Whoever kills the process above means the script; nobody could reach it otherwise.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != above:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(script: int, waited_for: set[signal.Signals]) -> NoReturn:
    while True:
        told = signal.sigwaitinfo(waited_for)
        if told.si_signo == signal.SIGCHLD:
            _reap(script)
        elif told.si_code != _FROM_A_TERMINAL:
            os.kill(script, told.si_signo)


def _reap(script: int) -> None:
    """Wait for all that has ended; where the script has, end as it did."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        if pid == script:
            code = os.waitstatus_to_exitcode(status)
            # A signal's as a shell tells it.
            os._exit(code if code >= 0 else 128 - code)
