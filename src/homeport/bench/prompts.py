"""
Prompts of an exact number of tokens, each of its own, without knowing the model's tokenizer.

They are made of common words that are one token each, in every order: the engine's own count of two short prompts tells
what the chat template adds, and of all words at once whether each is one token. Where it is not, halves tell which.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from homeport.errors import EndpointError
from homeport.json_types import Json

WORDS = (
    "the", "of", "and", "to", "in", "is", "that", "for", "it", "was", "on", "are", "as", "with", "at",
    "be", "this", "from", "have", "or", "by", "one", "had", "not", "but", "what", "all", "were", "when",
    "we", "there", "can", "an", "your", "which", "their", "said", "if", "do", "will", "each", "about",
    "how", "up", "out", "them", "then", "she", "many", "some", "so", "these", "would", "other", "into",
    "has", "more", "her", "two", "like", "him", "see", "time", "could", "no", "make", "than", "first",
    "been", "its", "who", "now", "people", "my", "made", "over", "did", "down", "only", "way", "find",
    "use", "may", "water", "long", "little", "very", "after", "words", "called", "just", "where",
    "most", "know",
)  # fmt: skip
Count = Callable[[str], Awaitable[int | None]]
"""Returns the tokens of a prompt as the engine counts them, template included; None where it does not count."""
_START = "Words:"
"""Before the words of every prompt: templates cut the space before a text, and a word without it may be other tokens."""
_FEWEST = 16
"""Words that are needed: orders of them, 16! of the first alone, are what makes prompts differ from their beginning on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is known of the tokenizer."""

    words: tuple[str, ...]
    """Words that are one token each, with the space before them."""
    template: int
    """Tokens that are there besides the words."""
    exact: bool
    """Whether the engine counted them; else the lengths of prompts are a guess: a word, a token."""


async def calibrated(count: Count) -> Calibration:
    """Return what makes prompts exact. Raises `EndpointError` where the engine counts so that none can be made."""
    few = await count(_joined(WORDS[:4]))
    if few is None:
        return Calibration(words=WORDS, template=0, exact=False)
    words = await _single(count, WORDS, few - 4)
    template = few - 4
    if len(words) < _FEWEST or await count(_joined(words[:8])) != template + 8:
        raise EndpointError(
            f"no prompt of an exact length can be made: of {len(WORDS)} words, {len(words)} are one token each",
            status=200, body="", hint="`--input` needs an engine that counts the tokens of prompts in `usage`",
        )  # fmt: skip
    return Calibration(words=tuple(words), template=template, exact=True)


async def _single(count: Count, words: Sequence[str], template: int) -> list[str]:
    """Return those of `words` that are one token each: all of them, or what is found in both halves."""
    if await count(_joined(words)) == template + len(words):
        return list(words)
    if len(words) == 1:
        return []
    half = len(words) // 2
    return [*await _single(count, words[:half], template), *await _single(count, words[half:], template)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """The bodies of a load's requests: chat completions, streamed, with usage, each prompt unlike all others."""

    calibration: Calibration
    request: Mapping[str, Json]
    """What all requests have: model, temperature and so on."""
    seed: int = 0
    shared: int = 0
    """Tokens at the beginning that all prompts share: for measuring what a prefix cache gains."""

    @property
    def fewest(self) -> int:
        """Return the least tokens that a prompt can have."""
        return self.calibration.template + 1

    def text(self, number: int, tokens: int) -> str:
        """Return the prompt `number` of so many tokens, those of the template included; the same for the same number."""
        words, length = self.calibration.words, max(1, tokens - self.calibration.template)
        shared = min(self.shared, length - 1)
        begin = random.Random(self.seed).choices(words, k=shared)  # noqa: S311 - no secret
        own = random.Random(f"{self.seed}:{number}").choices(words, k=length - shared)  # noqa: S311 - no secret
        return _joined([*begin, *own])

    def body(self, number: int, *, input: int, output: int) -> bytes:
        """Return the body of a request."""
        return body(self.request, self.text(number, input), output)


@dataclass(frozen=True, slots=True)
class OnePrompt:
    """The bodies of requests whose prompt is always this text."""

    request: Mapping[str, Json]
    prompt: str

    def body(self, number: int, *, input: int, output: int) -> bytes:
        """Return the body of a request."""
        return body(self.request, self.prompt, output)


def body(request: Mapping[str, Json], prompt: str, output: int) -> bytes:
    """Return the body of a chat completion that is streamed, with usage."""
    return json.dumps(
        {
            **request,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": output,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()


def _joined(words: Sequence[str]) -> str:
    """Return the words as the text of a prompt, each with a space before it."""
    return _START + "".join(f" {word}" for word in words)
