"""Lessons as the model reads them: written by Gemma 4's own chat template, and laid out in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import jinja2
import torch
from tokenizers import Tokenizer

from tool_language import QUOTE, SYSTEMS, Lesson, Speaker, TaughtTool
from tree_attention import LAYOUT

CATEGORIES = ("one_tool", "no_tool", "two_steps")
NOTHING = -100
"""A target that is not learned."""
_MOST_PIECES = 8
"""Of a lesson, those that are learned."""
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
    """Lessons in the layout of `tree_attention`."""

    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    pieces: torch.Tensor
    """Of each target, the piece that it belongs to."""
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
    """Whether each ends with its first call or answer: so many more choices of tools go into a batch."""


def batch(prompts: Prompts, speaker: Speaker, random: Random, level: Level) -> LessonBatch:
    """Return lessons of a level."""
    rows = []
    for _ in range(level.heads):
        count = max(random.randint(1, level.tools), random.randint(1, level.tools))
        tools = speaker.tools(count)
        head = prompts.ids(prompts.head(random.choice(SYSTEMS), tools))
        weights = (0.5, 0.25, level.two_steps if count > 1 else 0.0)
        branches = []
        for _ in range(level.lessons):
            category = random.choices(CATEGORIES, weights)[0]
            lesson = speaker.lesson(category, tools)
            branches.append(
                _branch(prompts, lesson, empty_thought=random.random() < 0.5, first_only=level.choices_only)
            )
        rows.append((head, branches))
    return _laid_out(rows, level.lessons)


def _branch(prompts: Prompts, lesson: Lesson, *, empty_thought: bool, first_only: bool) -> _Branch:
    ids: list[int] = []
    targets: list[int] = []
    pieces: list[int] = []
    names: list[str] = []
    said = prompts.branch(lesson, empty_thought=empty_thought)
    for text, learned in said[:2] if first_only else said:
        tokens = prompts.ids(text)
        ids += tokens
        targets += tokens if learned else [NOTHING] * len(tokens)
        pieces += [len(names) if learned else -1] * len(tokens)
        if learned:
            names.append(f"{lesson.category}.{len(names)}")
    return ids, [*targets[1:], NOTHING], [*pieces[1:], -1], names


def _laid_out(rows: Sequence[tuple[list[int], list[_Branch]]], lessons: int) -> LessonBatch:
    head = max(len(ids) for ids, _ in rows)
    length = max(len(one[0]) for _, branches in rows for one in branches)

    def padded(values: Sequence[int], size: int, filler: int) -> list[int]:
        return [*values, *[filler] * (size - len(values))]

    ids, positions, targets, pieces = [], [], [], []
    for of_head, branches in rows:
        ids.append(padded(of_head, head, 0))
        positions.append(list(range(head)))
        targets.append([NOTHING] * head)
        pieces.append([-1] * head)
        for number, (tokens, wanted, of, _) in enumerate(branches):
            ids[-1] += padded(tokens, length, 0)
            positions[-1] += range(len(of_head), len(of_head) + length)
            targets[-1] += padded(wanted, length, NOTHING)
            pieces[-1] += padded([one if one < 0 else one + _MOST_PIECES * number for one in of], length, -1)
    LAYOUT.head, LAYOUT.lessons, LAYOUT.length = head, lessons, length
    LAYOUT.real = torch.tensor([[one < len(of_head) for one in range(head)] for of_head, _ in rows])
    names = [
        {
            _MOST_PIECES * number + place: name
            for number, one in enumerate(branches)
            for place, name in enumerate(one[3])
        }
        for _, branches in rows
    ]
    return LessonBatch(
        ids=torch.tensor(ids),
        positions=torch.tensor(positions),
        targets=torch.tensor(targets),
        pieces=torch.tensor(pieces),
        names=names,
    )
