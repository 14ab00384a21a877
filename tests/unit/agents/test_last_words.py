"""The end of what a program writes, whoever holds its pipe."""

from __future__ import annotations

import os
import threading

from homeport.agents.last_words import LastWords


def test_the_end_is_told_however_much_was_written() -> None:
    with LastWords() as words:
        assert words.text() == ""
        for _ in range(100):
            os.write(
                words.file.fileno(), b"x" * 65536
            )  # More than a pipe holds: somebody reads it meanwhile.
        os.write(words.file.fileno(), "\nout of luck, \u00fc".encode())
        assert words.text().endswith("x\nout of luck, \u00fc")
        assert len(words.text()) == 400


def test_an_end_that_somebody_else_holds_is_not_waited_for() -> None:
    with LastWords() as words:
        others = os.dup(words.file.fileno())
    os.close(others)
    assert words.file.closed
    assert "homeport-last-words" not in {thread.name for thread in threading.enumerate()}
