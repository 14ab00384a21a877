"""A line that a person types: `homeport.typed`."""

from __future__ import annotations

import os
import pty
import signal
import socket
import termios
import threading
from collections.abc import Callable, Iterator

import pytest

from homeport.typed import hidden_line, typed_line
from patience import until


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The person's end of a terminal that is stdin."""
    person, program = pty.openpty()
    with os.fdopen(program) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield person
    os.close(person)


def test_what_is_typed_is_returned_without_its_end(keyboard: int) -> None:
    os.write(keyboard, b"Paris\nBerlin\n")
    assert [typed_line(), typed_line()] == ["Paris", "Berlin"]


def test_the_end_of_what_is_typed_is_said(keyboard: int) -> None:
    os.write(keyboard, b"\x04")
    with pytest.raises(EOFError):
        typed_line()


@pytest.mark.parametrize("line", [typed_line, lambda: hidden_line("token: ")], ids=["shown", "hidden"])
def test_a_signal_that_interrupts_no_call_is_seen_before_a_line_is_typed(
    keyboard: int, line: Callable[[], str]
) -> None:
    """As one that comes between the question and the first look at the keyboard: here another thread takes it."""
    seen, typed = threading.Event(), threading.Event()

    def somebody() -> None:
        seen.wait(0.1)  # Until the line is waited for, mostly: earlier the signal is seen in any case.
        os.kill(os.getpid(), signal.SIGINT)
        if not seen.wait(20):
            typed.set()
            os.write(keyboard, b"\n")

    other = threading.Thread(target=somebody)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    other.start()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            line()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, before)
        seen.set()
        other.join()
    assert not typed.is_set(), "it was seen only once a line was typed"


def test_a_hidden_line_is_not_shown_and_the_next_one_is(
    keyboard: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def types() -> None:
        def hides() -> bool:
            return not termios.tcgetattr(keyboard)[3] & termios.ECHO

        until(hides)  # What is typed before does not count.
        os.write(keyboard, b"hidden\n")

    person = threading.Thread(target=types)
    person.start()
    assert hidden_line("token: ") == "hidden"
    person.join()
    assert capsys.readouterr().err == "token: \n"
    os.write(keyboard, b"shown\n")
    assert typed_line() == "shown"
    assert os.read(keyboard, 100) == b"shown\r\n"


def test_an_event_loop_is_told_of_the_signals_that_came_meanwhile(keyboard: int) -> None:
    loops, told = socket.socketpair()
    with loops, told:
        loops.setblocking(False)
        told.setblocking(False)
        signals = signal.set_wakeup_fd(told.fileno())
        before = signal.signal(signal.SIGUSR1, lambda *_: os.write(keyboard, b"on\n") and None)
        try:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert typed_line() == "on"
            assert signal.set_wakeup_fd(signals) == told.fileno()
        finally:
            signal.set_wakeup_fd(signals)
            signal.signal(signal.SIGUSR1, before)
        assert loops.recv(10) == bytes([signal.SIGUSR1])
