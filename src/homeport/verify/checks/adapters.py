"""Does an adapter change what the base model says? One that changes nothing is untrained, or left out by the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeport.engines.registry import module
from homeport.json_types import Json
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

PROMPTS = (
    "One, two, three, four,",
    "The capital of France is",
    "Dear Sir or Madam,",
    "def add(a, b):\n    return",
)
_TOKENS = 8
_TOKENS_OF_TEXT = 24
"""Where nothing but the text can tell two models apart."""
_LIKELY = 5
_LEAST = 0.02
"""Of a logarithm of a likelihood: what bfloat16 loses between two orders of adding up is less in what was seen."""
_WITHHELD = "content_filter"
_UNLOOKED = "how likely tokens are was not looked at, since the screen before the engine refuses to tell it"


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str
    likelihoods: tuple[float, ...]
    """Logarithms, of the first tokens; empty where the engine tells none."""
    withheld: bool
    """Whether a screen put nothing in the place of what was said."""


async def difference(subject: VerificationSubject) -> Finding:
    """Check that each adapter says something else than the base model, or finds something else likely, of the same prompts."""
    named, applied = subject.adapters, subject.applied_adapters
    if not named and not applied:
        return skipped("no LoRA adapter is served")
    without = dict(module(subject.engine).WITHOUT_ADAPTERS)
    base = [await _continue_prompt(subject, subject.endpoint.model, prompt, without) for prompt in PROMPTS]
    # Where texts alone are compared, each must be known to be the same again.
    twice = PROMPTS if subject.behind_gateway else PROMPTS[:1]
    again = [await _continue_prompt(subject, subject.endpoint.model, prompt, without) for prompt in twice]
    if any(first.text != other.text for first, other in zip(base, again, strict=False)):
        return skipped(
            "the base model continues one prompt otherwise each time, so no difference tells anything"
        )
    models = {name: name for name in named} if named else {" and ".join(applied): subject.endpoint.model}
    continuations = {
        name: [await _continue_prompt(subject, model, prompt, {}) for prompt in PROMPTS]
        for name, model in models.items()
    }
    if subject.behind_gateway:
        return _by_text_alone(base, continuations)
    return _judged(base, continuations, max(_LEAST, 3 * _apart(base[0], again[0])))


def _judged(base: Sequence[_Reply], continuations: Mapping[str, Sequence[_Reply]], noise: float) -> Finding:
    changed, dead = {}, []
    for name, others in continuations.items():
        distance = max(_apart(plain, other) for plain, other in zip(base, others, strict=True))
        texts = sum(plain.text != other.text for plain, other in zip(base, others, strict=True))
        changed[name] = {"texts": texts, "likelihood": round(distance, 4)}
        if distance <= noise and not texts:
            dead.append(name)
    if dead:
        return failed(
            f"{' and '.join(dead)} changes nothing: {len(PROMPTS)} prompts are continued as by the base model, down to how "
            "likely each token is: it is untrained (its lora_B is all zeros), or the engine leaves it out",
            adapters=changed,
        )
    summary = "; ".join(
        f"{name}: {change['texts']} of {len(PROMPTS)} texts are others" for name, change in changed.items()
    )
    return passed(f"{summary}; what is likely changes with each", adapters=changed)


def _by_text_alone(base: Sequence[_Reply], continuations: Mapping[str, Sequence[_Reply]]) -> Finding:
    """Judge where likelihoods are not told: another text is a difference, and the same ones show nothing either way."""
    differences = {
        name: [plain.text != other.text for plain, other in zip(base, others, strict=True)
               if not (plain.withheld or other.withheld)]
        for name, others in continuations.items()
    }  # fmt: skip
    changed: dict[str, Json] = {
        name: {"texts": sum(texts), "compared": len(texts)} for name, texts in differences.items()
    }
    unshown = [name for name, texts in differences.items() if not any(texts)]
    summary = "; ".join(
        f"{name}: {sum(texts)} of {len(texts)} texts are others" for name, texts in differences.items()
    )
    if unshown:
        return skipped(f"not shown of {' and '.join(unshown)}: {summary}; {_UNLOOKED}", adapters=changed)
    return passed(f"{summary}; {_UNLOOKED}", adapters=changed)


async def _continue_prompt(
    subject: VerificationSubject, model: str, prompt: str, fields: Mapping[str, Json]
) -> _Reply:
    likely: dict[str, Json] = {} if subject.behind_gateway else {"logprobs": _LIKELY}
    completion = await replace(subject.endpoint, model=model).complete(
        prompt,
        max_tokens=_TOKENS_OF_TEXT if subject.behind_gateway else _TOKENS,
        temperature=0,
        **likely,
        **fields,
    )
    choice = completion["choices"][0]
    return _Reply(
        choice["text"],
        tuple(_numbers(choice.get("logprobs"))),
        withheld=choice.get("finish_reason") == _WITHHELD,
    )


def _numbers(logprobs: Any) -> Iterator[float]:  # Any: JSON, in the shape of one engine or another
    """Yield every logarithm of a likelihood in what an engine tells: whole numbers there are places and bytes."""
    if isinstance(logprobs, float):
        yield logprobs
    elif isinstance(logprobs, Mapping):
        for value in logprobs.values():
            yield from _numbers(value)
    elif isinstance(logprobs, list):
        for value in logprobs:
            yield from _numbers(value)


def _apart(first: _Reply, other: _Reply) -> float:
    """Return how far the likelihoods of two continuations are apart at most; 0 where neither tells any."""
    if len(first.likelihoods) != len(other.likelihoods):
        return float(first.text != other.text)
    return max(
        (abs(a - b) for a, b in zip(sorted(first.likelihoods), sorted(other.likelihoods), strict=True)),
        default=0.0,
    )
