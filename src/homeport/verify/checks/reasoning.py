"""Does it answer what a model of its kind should be able to answer?"""

from __future__ import annotations

import asyncio
import re
import tomllib
from importlib.resources import files
from math import sqrt

from homeport.verify.checks.answers import user
from homeport.verify.checks.load import together
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

_Z = 1.96
"""Of the normal distribution, for 95 %."""


async def score(subject: VerificationSubject) -> Finding:
    """
    Judge the share of right answers to the set of `reasoning.toml`, k samples each, with its 95 % interval.

    It fails only where the whole interval lies below the floor that the catalog states for this model.
    """
    table = tomllib.loads(
        files("homeport.verify.checks").joinpath("reasoning.toml").read_text(encoding="utf-8")
    )
    questions, samples = table["question"], table["samples"]
    slots = asyncio.Semaphore(subject.parallel)

    async def one(question: dict[str, str], seed: int) -> bool:
        async with slots:
            completion = await subject.endpoint.answer(user(question["ask"]), max_tokens=48, seed=seed)
        return is_right(completion["choices"][0]["message"].get("content") or "", question["answer"])

    grades = await together(one(question, seed) for question in questions for seed in range(samples))
    right, count = sum(grades), len(grades)
    low, high = wilson(right, count)
    by_question = {
        question["ask"]: sum(grades[number * samples : (number + 1) * samples])
        for number, question in enumerate(questions)
    }
    floor = subject.model.reasoning_floor
    evidence = {
        "right": right,
        "asked": count,
        "interval": [low, high],
        "floor": floor,
        "by_question": by_question,
    }
    result = f"{right} of {count} right ({right / count:.0%}, 95 % interval {low:.0%} to {high:.0%})"
    if floor is None:
        return skipped(f"{result}; not judged: no floor is stated for this model", **evidence)
    if high < floor:
        return failed(f"{result}, below this model's floor of {floor:.0%}", **evidence)
    return passed(f"{result}; floor {floor:.0%}", **evidence)


def is_right(answer: str, pattern: str) -> bool:
    """Return True if the answer contains what `pattern` describes, as words of their own."""
    return re.search(rf"(?<![\w.])(?:{pattern})(?![\w]|\.\d)", answer, re.IGNORECASE) is not None


def wilson(right: int, count: int) -> tuple[float, float]:
    """
    Return the 95 % confidence interval of a share.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927): unlike
    the textbook's interval it holds for few samples and for shares near 0 and 1.
    """
    share = right / count
    spread = _Z * sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    middle = share + _Z**2 / (2 * count)
    scale = 1 + _Z**2 / count
    # Rounding must not push a limit past the share itself, nor out of 0 to 1.
    return max(0.0, min(share, (middle - spread) / scale)), min(1.0, max(share, (middle + spread) / scale))
