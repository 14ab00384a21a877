"""Lines of MCP servers over stdio: cut anywhere, they are the same text, and each is given on with its end."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from homeport.agents.bounded_answers import AnswerBound
from homeport.agents.bounded_lines import BOUND, CountedLines


@given(st.text(max_size=60), st.lists(st.integers(0, 240), max_size=8))
def test_text_that_is_cut_anywhere_is_the_same_and_comes_in_whole_lines(text: str, cuts: list[int]) -> None:
    BOUND.set(AnswerBound())
    decoder, raw = CountedLines(), text.encode()
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    told = [decoder.decode(raw[begin:end]) for begin, end in pairwise(places) if begin < end]
    assert all("\n" in piece for piece in told if piece)
    assert "".join(told) + decoder.decode(b"", final=True) == text
