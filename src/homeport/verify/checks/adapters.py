"""Does an adapter change what the base model says? One that changes nothing is untrained, or left out by the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_LIKELY = 5
_LEAST = 0.02
"""Of a logarithm of a likelihood: what bfloat16 loses between two orders of adding up is less in what was seen."""


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    likelihoods: tuple[float, ...]
    """Logarithms, of the first tokens; empty where the engine tells none."""


async def difference(subject: VerificationSubject) -> Finding:
    """Check that each adapter says something else than the base model, or finds something else likely, of the same prompts."""
    named, applied = subject.adapters, subject.applied_adapters
    if not named and not applied:
        return skipped("no LoRA adapter is served")
    without = dict(module(subject.engine).WITHOUT_ADAPTERS)
    base = [await _said(subject, subject.endpoint.model, prompt, without) for prompt in PROMPTS]
    again = await _said(subject, subject.endpoint.model, PROMPTS[0], without)
    if base[0].text != again.text:
        return skipped(
            "the base model continues one prompt otherwise each time, so no difference tells anything"
        )
    noise = max(_LEAST, 3 * _apart(base[0], again))
    asked = {name: name for name in named} if named else {" and ".join(applied): subject.endpoint.model}
    changed, dead = {}, []
    for name, model in asked.items():
        said = [await _said(subject, model, prompt, {}) for prompt in PROMPTS]
        apart = max(_apart(one, other) for one, other in zip(base, said, strict=True))
        texts = sum(one.text != other.text for one, other in zip(base, said, strict=True))
        changed[name] = {"texts": texts, "likelihood": round(apart, 4)}
        if apart <= noise and not texts:
            dead.append(name)
    if dead:
        return failed(
            f"{' and '.join(dead)} changes nothing: {len(PROMPTS)} prompts are continued as by the base model, down to how "
            "likely each token is: it is untrained (its lora_B is all zeros), or the engine leaves it out",
            adapters=changed,
        )
    told = "; ".join(
        f"{name}: {of['texts']} of {len(PROMPTS)} texts are others" for name, of in changed.items()
    )
    return passed(f"{told}; what is likely changes with each", adapters=changed)


async def _said(subject: VerificationSubject, model: str, prompt: str, fields: Mapping[str, Json]) -> _Said:
    completion = await replace(subject.endpoint, model=model).complete(
        prompt, max_tokens=_TOKENS, temperature=0, logprobs=_LIKELY, **fields
    )
    choice = completion["choices"][0]
    return _Said(choice["text"], tuple(_numbers(choice.get("logprobs"))))


def _numbers(told: Any) -> Iterator[float]:  # Any: JSON, in the shape of one engine or another
    """Yield every logarithm of a likelihood in what an engine tells: whole numbers there are places and bytes."""
    if isinstance(told, float):
        yield told
    elif isinstance(told, Mapping):
        for value in told.values():
            yield from _numbers(value)
    elif isinstance(told, list):
        for value in told:
            yield from _numbers(value)


def _apart(one: _Said, other: _Said) -> float:
    """Return how far the likelihoods of two continuations are apart at most; 0 where neither tells any."""
    if len(one.likelihoods) != len(other.likelihoods):
        return float(one.text != other.text)
    return max(
        (abs(a - b) for a, b in zip(sorted(one.likelihoods), sorted(other.likelihoods), strict=True)),
        default=0.0,
    )
