"""What of a stream may go on: never the end of a text whose rest has come, or may come, and was not screened yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.gateway.framing import Event, ServerSentEvents
from homeport.gateway.holding import BEHIND, CONTEXT, TAIL, Holding
from homeport.gateway.texts import Path, TextKind, TextPiece, of_answer, over_with
from parrot_engine import Parrot

TEXT: Path = ("choices", 0, "delta", "content")
THOUGHT: Path = ("choices", 0, "delta", "reasoning_content")
CALL: Path = ("choices", 0, "delta", "tool_calls", 0, "function", "arguments")
SECOND: Path = ("choices", 1, "delta", "content")
DELTA: Path = ("response.output_text.delta", "0", "0", "delta")
DONE: Path = ("response.output_text.done", "0", "0", "text")
SCREENED, REST = "a" * 200, "b" * 50


def hold(holding: Holding, text: str, path: Path = TEXT, *, ends: bool = False) -> None:
    """Hold one event for each character."""
    for place, letter in enumerate(text):
        over = [path[:2]] if ends and place == len(text) - 1 else []
        holding.add(Event({"at": letter}), [TextPiece(path, letter, TextKind.ASSISTANT)], over)


def gone(holding: Holding) -> str:
    """Screen, and return what goes on then."""
    holding.mark_screened()
    return "".join(event.body["at"] for event in holding.release() if event.body is not None)


@pytest.mark.parametrize("ends", ["by its end", "by another text"])
def test_the_rest_of_a_text_that_comes_at_once_with_its_end_is_screened_before_the_end_of_what_was_screened_goes_on(
    ends: str,
) -> None:
    holding = Holding()
    hold(holding, SCREENED)
    assert len(gone(holding)) == len(SCREENED) - TAIL
    hold(holding, REST, ends=ends == "by its end")
    if ends == "by another text":
        hold(holding, "c" * BEHIND, THOUGHT)
    assert holding.release() == [], "what comes next may belong to it"
    assert gone(holding)[: TAIL + len(REST)] == "a" * TAIL + REST


@pytest.mark.parametrize("other", [THOUGHT, CALL])
def test_another_text_sets_the_end_of_one_free_only_when_much_of_it_was_screened(other: Path) -> None:
    holding = Holding()
    hold(holding, SCREENED)
    hold(holding, "c" * (BEHIND - 1), other)
    assert gone(holding) == SCREENED[:-TAIL]
    hold(holding, "c", other)
    assert holding.release() == [], "the last one was not screened"
    assert gone(holding).startswith(SCREENED[-TAIL:] + "c")


def test_an_answer_waits_for_no_more_than_its_own_end_behind_thoughts() -> None:
    holding = Holding()
    hold(holding, SCREENED, THOUGHT)
    hold(holding, "c" * (TAIL - 1))
    assert gone(holding) == SCREENED[:-TAIL]
    hold(holding, "cc")
    assert gone(holding) == SCREENED[-TAIL:] + "c"


def test_a_text_that_goes_on_behind_another_is_one_text_with_what_it_said_before() -> None:
    holding = Holding()
    hold(holding, "4111 1111 ")
    hold(holding, "f()", CALL)
    assert gone(holding) == ""
    hold(holding, "1111 1111")
    assert holding.to_screen() == ["4111 1111 1111 1111"]


def test_what_another_choice_says_sets_nothing_free() -> None:
    holding = Holding()
    hold(holding, SCREENED)
    hold(holding, "c" * 2 * BEHIND, SECOND)
    assert gone(holding) == SCREENED[:-TAIL]


@pytest.mark.parametrize(
    ("api", "last"),
    [
        ("/v1/responses", "response.output_text.done"),
        ("/v1/messages", "content_block_stop"),
        ("/v1/chat/completions", ""),
    ],
)
def test_where_an_api_says_that_a_text_is_over_its_end_goes_on_before_the_answers(
    api: str, last: str
) -> None:
    says, parser, holding, seen = "Rome is wide. " * 30, ServerSentEvents(), Holding(), 0
    for event in (one for data in Parrot(says=says).events(api) for one in parser.feed(data)):
        assert event.body is not None
        if api.endswith("responses") or event.name != "message_start":
            holding.add(event, of_answer(event.body), over := over_with(event.body))
            seen += 1
        if event.name == last and (last or over):
            break
    holding.mark_screened()
    assert len(holding.release()) == seen


@pytest.mark.parametrize(
    "body",
    [
        {"type": "chat", "choices": [{"index": 0, "delta": {"content": "4111"}}]},
        {"type": "text", "delta": "4111"},
        {"type": ["response.x"], "delta": "4111"},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "4111"},
        {"message": {"content": "4111"}, "done": False},
        {"choices": {"finish_reason": "stop"}},
    ],
)
def test_of_an_event_that_is_not_known_no_text_is_over(body: dict[str, object]) -> None:
    assert over_with(body) == []


@dataclass
class Watched:
    """A stream that is held, and what is known of it by its pieces alone."""

    holding: Holding = field(default_factory=Holding)
    texts: defaultdict[Path, str] = field(default_factory=lambda: defaultdict(str))
    clean: set[str] = field(default_factory=set)
    """Beginnings of texts that were put before the screen from their first character on."""
    sent: defaultdict[Path, str] = field(default_factory=lambda: defaultdict(str))
    over: set[Path] = field(default_factory=set)
    others: defaultdict[Path, int] = field(default_factory=lambda: defaultdict(int))
    """Characters that have come beside a text, of its choice, since it last grew."""
    free: defaultdict[Path, int] = field(default_factory=lambda: defaultdict(int))
    """Characters of a text that have been free to go on at some time."""

    def come(self, path: Path, text: str, over: Iterable[Path]) -> None:
        self.texts[path] += text
        self.holding.add(Event({"path": path, "text": text}), [TextPiece(path, text)], list(over))
        self.over.discard(path)
        self.over |= {one for one in self.texts for top in over if one[: len(top)] == top}
        for one in self.texts:
            if one != path and _speaker(one) == _speaker(path):
                self.others[one] += len(text)
        self.others[path] = 0

    def screen(self) -> None:
        passages = self.holding.to_screen()
        for text in self.texts.values():
            known = max((len(one) for one in self.clean if text.startswith(one)), default=0)
            if known == len(text) or any(text[max(0, known - CONTEXT) :] in one for one in passages):
                self.clean.add(text)
        assert all(text in self.clean for text in self.texts.values()), "all of it was put before the screen"
        self.holding.mark_screened()

    def send(self, *, end: bool = False) -> None:
        for event in self.holding.release(end=end):
            assert event.body is not None
            self.sent[event.body["path"]] += event.body["text"]
        for path, sent in self.sent.items():
            text = self.texts[path]
            assert text.startswith(sent)
            screened = max((len(one) for one in self.clean if text.startswith(one)), default=0)
            patience = TAIL if path == THOUGHT else BEHIND
            whole = screened == len(text) and (path in self.over or self.others[path] >= patience)
            self.free[path] = max(self.free[path], screened if end or whole else screened - TAIL)
            assert len(sent) <= self.free[path]


def _speaker(path: Path) -> Path:
    return path[:2] if path[0] == "choices" else ()


PATHS = (TEXT, THOUGHT, CALL, SECOND, DELTA, DONE)
PIECES = ("4111 1111 ", "the number of my card is ", "x" * 30, "y" * (TAIL + 1), "z" * BEHIND)


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[Path, str | Path, bool, bool]]:
    """Pieces of a few kinds, some of them all that a text has said so far; with whether a text is over, and is screened."""
    said = st.one_of(st.sampled_from(PIECES), st.sampled_from(PATHS))
    one = st.tuples(st.sampled_from(PATHS), said, st.booleans(), st.booleans())
    return draw(st.lists(one, max_size=14))


@given(_steps())
def test_what_goes_on_of_a_text_was_put_before_the_screen_as_one_text_whatever_came_when(
    steps: list[tuple[Path, str | Path, bool, bool]],
) -> None:
    watched = Watched()
    for path, piece, ends, screens in steps:
        text = piece if isinstance(piece, str) else watched.texts[piece]
        if 0 < len(text) <= 4 * BEHIND:
            tops = (
                [path[:2]] if path[0] == "choices" else [path[:3], ("response.output_text.delta", "0", "0")]
            )
            watched.come(path, text, tops if ends else [])
        if screens:
            watched.screen()
        watched.send()
    watched.screen()
    watched.send(end=True)
    assert {path: text for path, text in watched.texts.items() if text} == dict(watched.sent)
