"""Lessons as the model reads them: written by Gemma 4's own chat template, and laid out in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import jinja2
import torch
from tokenizers import Tokenizer

from attention import Row
from tool_language import QUOTE, SYSTEMS, Lesson, Speaker, TaughtTool

CATEGORIES = ("one_tool", "no_tool", "two_steps")
NOTHING = -100
"""A target that is not learned."""
_MOST_PIECES = 8
"""Of a lesson, those that are learned."""
_POOL = 8
"""So many batches are made at once, and rows of like length put together: a third of a batch would be padding, else."""
_STEP = 8
"""Lengths of slots are multiples of this."""
_MORE_ROOM = 96
"""Lessons are put one behind another up to the length of the longest and at most so much more."""
_COST_OF_TOKEN = 250
"""What a token costs by itself, in tokens that it looks at."""
_Branch = tuple[list[int], list[int], list[int], list[str]]
"""Ids, the target of each, the piece of each target, and the category and place of each piece."""


class Prompts:
    """Writes prompts as the model's own chat template does."""

    def __init__(self, template: str, tokenizer: Tokenizer) -> None:
        # Templates of chats are rendered with these two settings, by transformers and vLLM.
        environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - no HTML
        self._template = environment.from_string(template)
        self._tokenizer = tokenizer

    def render(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[TaughtTool], *, ask: bool = False
    ) -> str:  # Any: JSON
        """Return the prompt; with `ask`, up to where the model goes on."""
        schemas = [one.schema() for one in tools]
        text: str = self._template.render(
            bos_token="<bos>", messages=messages, tools=schemas, add_generation_prompt=ask
        )
        return text

    def head(self, system: str, tools: Sequence[TaughtTool]) -> str:
        """Return what stands before the question."""
        messages = [{"role": "system", "content": system}] if system else []
        text = self.render([*messages, {"role": "user", "content": "x"}], tools)
        return text[: text.index("<|turn>user\n")]

    def branch(self, lesson: Lesson, *, empty_thought: bool) -> list[tuple[str, bool]]:
        """Return what stands behind the head: in pieces, each with whether it is learned."""
        # The template writes an empty thought before an answer that begins, and none before one that goes on.
        lead = f"<|turn>user\n{lesson.question}<turn|>\n<|turn>model\n"
        return [(lead + "<|channel>thought\n<channel|>" * empty_thought, False), *lesson.pieces]

    def ids(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def ensure_as_templated(self, speaker: Speaker) -> None:
        """Raise `AssertionError` unless head and branches are what the template writes of a conversation."""
        tools = speaker.tools(3)
        lesson = speaker.lesson("one_tool", tools)
        user = {"role": "user", "content": lesson.question}
        mine = self.head("", tools) + self.branch(lesson, empty_thought=True)[0][0]
        assert self.render([user], tools, ask=True) == mine
        call, result = lesson.pieces[0][0], lesson.pieces[1][0]
        tool = next(one for one in tools if f"call:{one.name}{{" in call)
        given: Any = call.split(f"{{{tool.argument}:")[1].split("}<tool_call|>")[0].replace(QUOTE, "")
        function = {"name": tool.name, "arguments": {tool.argument: int(given) if tool.integer else given}}
        back = result.split("{value:")[1].split("}<tool_response|>")[0]
        content: Any = back.replace(QUOTE, "") if QUOTE in back else int(back)
        said: list[Mapping[str, Any]] = [
            user,
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": function}]},
            {"role": "tool", "tool_call_id": "1", "content": content},
        ]
        mine = self.head("", tools) + "".join(
            text for text, _ in self.branch(lesson, empty_thought=False)[:-1]
        )
        assert self.render(said, tools, ask=True) == mine


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBatch:
    """Lessons, laid out as `reading` reads them: tokens of all rows, one behind another."""

    rows: Sequence[Row]
    ids: torch.Tensor
    positions: torch.Tensor
    where: torch.Tensor
    """The tokens that something is learned from."""
    targets: torch.Tensor
    """What is learned from each."""
    pieces: torch.Tensor
    """The piece that each is part of, counted in its row."""
    names: Sequence[Mapping[int, str]]
    """Of each row's pieces, the category and place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How hard lessons are."""

    heads: int
    lessons: int
    """Behind each head."""
    tools: int
    """At most, in a head."""
    two_steps: float
    """Weight of lessons of two steps; those of one tool have 0.5, those of none 0.25."""
    choices_only: bool = False
    """Whether each ends with its last choice, a call or the answer that none helps: so many more of them go into a batch."""


def batches(prompts: Prompts, speaker: Speaker, random: Random, level: Level) -> Iterator[LessonBatch]:
    """Yield batches of a level, without end."""
    # Alike in all processes, so that they have batches of like length at once, and none waits for another.
    order = Random(0)
    while True:
        rows = [_row(prompts, speaker, random, level) for _ in range(_POOL * level.heads)]
        rows.sort(key=lambda one: len(one[0]))
        groups = [rows[at : at + level.heads] for at in range(0, len(rows), level.heads)]
        order.shuffle(groups)
        for group in groups:
            yield _laid_out(group)


def _row(prompts: Prompts, speaker: Speaker, random: Random, level: Level) -> tuple[list[int], list[_Branch]]:
    count = max(random.randint(1, level.tools), random.randint(1, level.tools))
    tools = speaker.tools(count)
    head = prompts.ids(prompts.head(random.choice(SYSTEMS), tools))
    weights = (0.5, 0.25, level.two_steps if count > 1 else 0.0)
    branches = []
    for _ in range(level.lessons):
        category = random.choices(CATEGORIES, weights)[0]
        lesson = speaker.lesson(category, tools)
        branches.append(
            _branch(prompts, lesson, empty_thought=random.random() < 0.5, choices_only=level.choices_only)
        )
    return head, branches


def _branch(prompts: Prompts, lesson: Lesson, *, empty_thought: bool, choices_only: bool) -> _Branch:
    ids: list[int] = []
    targets: list[int] = []
    pieces: list[int] = []
    names: list[str] = []
    said = prompts.branch(lesson, empty_thought=empty_thought)
    # Behind the last call stand its result and the answer.
    for text, learned in said[:-2] if choices_only and lesson.calls else said:
        tokens = prompts.ids(text)
        ids += tokens
        targets += tokens if learned else [NOTHING] * len(tokens)
        pieces += [len(names) if learned else -1] * len(tokens)
        if learned:
            names.append(f"{lesson.category}.{len(names)}")
    # What it would read behind its last target teaches nothing.
    return ids[:-1], targets[1:], pieces[1:], names


def _packed(branches: Sequence[_Branch], length: int) -> list[list[int]]:
    """Return slots of `length`, each with the numbers of the lessons that it holds: the longest first."""
    slots: list[list[int]] = []
    room: list[int] = []
    for number in sorted(range(len(branches)), key=lambda one: -len(branches[one][0])):
        size = len(branches[number][0])
        fitting = next((at for at, left in enumerate(room) if left >= size), None)
        if fitting is None:
            slots.append([])
            room.append(length)
            fitting = len(slots) - 1
        slots[fitting].append(number)
        room[fitting] -= size
    return slots


def _best_packed(branches: Sequence[_Branch], head: int) -> tuple[int, list[list[int]]]:
    """Return the length of slots by which a row takes least time, and what is in each."""
    longest = _rounded(max(len(one[0]) for one in branches))
    tried = [
        (length, _packed(branches, length)) for length in range(longest, longest + _MORE_ROOM + 1, _STEP)
    ]
    return min(tried, key=lambda one: len(one[1]) * one[0] * (_COST_OF_TOKEN + head + one[0]))


def _rounded(size: int) -> int:
    return -(-size // _STEP) * _STEP


def _laid_out(written: Sequence[tuple[list[int], list[_Branch]]]) -> LessonBatch:
    rows: list[Row] = []
    ids: list[int] = []
    positions: list[int] = []
    where: list[int] = []
    targets: list[int] = []
    pieces: list[int] = []
    names: list[dict[int, str]] = []
    for head, branches in written:
        begin, first = len(ids), len(where)
        length, packed = _best_packed(branches, len(head))
        lesson = torch.full((len(packed), length), -1)
        ids += head
        positions += range(len(head))
        names.append({})
        for slot, numbers in enumerate(packed):
            at = 0
            for number in numbers:
                tokens, wanted, of, said = branches[number]
                lesson[slot, at : at + len(tokens)] = number
                at += len(tokens)
                learned = [place for place, target in enumerate(wanted) if target != NOTHING]
                where += [len(ids) + place for place in learned]
                targets += [wanted[place] for place in learned]
                pieces += [of[place] + _MOST_PIECES * number for place in learned]
                ids += tokens
                positions += range(len(head), len(head) + len(tokens))
                names[-1] |= {_MOST_PIECES * number + place: name for place, name in enumerate(said)}
            ids += [0] * (length - at)
            positions += [0] * (length - at)
        here = torch.tensor(where[first:]) - begin
        rows.append(Row.laid_out(begin, len(head), lesson, here, first))
    return LessonBatch(
        rows=rows,
        ids=torch.tensor(ids),
        positions=torch.tensor(positions),
        where=torch.tensor(where),
        targets=torch.tensor(targets),
        pieces=torch.tensor(pieces),
        names=names,
    )
