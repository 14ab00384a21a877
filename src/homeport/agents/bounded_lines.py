"""
Lines of MCP servers over stdio, counted as their bytes are decoded: the SDK keeps a line without an end until memory is
full, and the encoding is what it lets a client choose.
"""

from __future__ import annotations

import codecs
from contextvars import ContextVar
from typing import Any

from homeport.agents.bounded_answers import AnswerBound

COUNTED = "homeport_counted_utf_8"
"""The name of the encoding: UTF-8, within the bound that `BOUND` holds where the reading begins."""
BOUND: ContextVar[AnswerBound] = ContextVar("the bound of the server that is begun")


class CountedLines(codecs.BufferedIncrementalDecoder):
    """
    Decodes lines. Of one that is too long, and of what follows it, nothing more is given on: the bound then says so.

    Text is given on with the end of its line, as the SDK looks through all that it keeps of a line with each piece of it. What is no
    UTF-8 is U+FFFD: an error here would end the SDK's reading, with a traceback at the end of the run, for a byte in what a program
    wrote beside its messages, or within a text.
    """

    def __init__(self, errors: str = "strict") -> None:
        super().__init__(errors)
        self._bound, self._length = BOUND.get(), 0
        self._pieces: list[str] = []

    def _buffer_decode(  # Any: as below
        self, input: Any, errors: str, final: bool
    ) -> tuple[str, int]:
        return codecs.utf_8_decode(input, "replace", final)

    def decode(self, input: Any, final: bool = False) -> str:  # Any: the standard library's kind of bytes
        """Return the text of the next bytes."""
        first, *others = bytes(input).split(b"\n")
        longest = max([self._length + len(first), *map(len, others)])
        self._length = len(others[-1]) if others else longest
        if not self._bound.holds(longest) or self._bound.passed:
            self._pieces.clear()
            return ""
        self._pieces.append(super().decode(input, final))
        if not others and not final:
            return ""
        text = "".join(self._pieces)
        self._pieces.clear()
        return text


def _found(name: str) -> codecs.CodecInfo | None:
    if name != COUNTED:
        return None
    return codecs.CodecInfo(
        name=COUNTED,
        encode=codecs.utf_8_encode,
        decode=codecs.utf_8_decode,
        incrementaldecoder=CountedLines,
    )


codecs.register(_found)
