"""What of a stream may go on: never the end of a text whose rest has come and was not screened yet."""

from __future__ import annotations

import pytest

from homeport.gateway.framing import Event
from homeport.gateway.holding import TAIL, Holding
from homeport.gateway.texts import TextKind, TextPiece

TEXT = ("choices", 0, "delta", "content")
OTHER = ("choices", 0, "delta", "reasoning_content")
SCREENED, REST = "a" * 200, "b" * 50


def hold(holding: Holding, text: str, path: tuple[str | int, ...] = TEXT, *, ends: bool = False) -> None:
    """Hold one event for each character."""
    for place, letter in enumerate(text):
        finished = [0] if ends and place == len(text) - 1 else []
        holding.add(Event({"at": letter}), [TextPiece(path, letter, TextKind.ASSISTANT)], finished)


@pytest.mark.parametrize("ends", ["by its end", "by another text"])
def test_the_rest_of_a_text_that_comes_at_once_with_its_end_is_screened_before_the_end_of_what_was_screened_goes_on(
    ends: str,
) -> None:
    holding = Holding()
    hold(holding, SCREENED)
    holding.mark_screened()
    assert len(holding.release()) == len(SCREENED) - TAIL
    hold(holding, REST, ends=ends == "by its end")
    if ends == "by another text":
        hold(holding, "c", OTHER)
    assert holding.release() == [], "what comes next may belong to it"
    holding.mark_screened()
    assert len(holding.release()) == TAIL + len(REST)
