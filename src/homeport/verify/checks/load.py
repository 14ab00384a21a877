"""Do requests at once all finish?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from homeport.errors import HomeportError
from homeport.verify.checks.answers import user
from homeport.verify.report import Finding, VerificationSubject, failed, passed

T = TypeVar("T")
_MOST = 16
_SUBJECTS = ("bread", "rain", "ships", "trees", "songs", "salt", "stars", "bridges")


async def at_once(subject: VerificationSubject) -> Finding:
    """Check that twice as many requests as are served at once, of different prompts, all get an answer."""
    count = min(2 * subject.parallel, _MOST)

    async def one(number: int) -> str:
        text = f"Write a sentence about {_SUBJECTS[number % len(_SUBJECTS)]}, number {number}."
        try:
            completion = await subject.endpoint.answer(user(text), max_tokens=16)
        except HomeportError as error:
            return str(error)
        return "" if completion["usage"]["completion_tokens"] > 0 else "an answer without a token"

    problems = [problem for problem in await together(one(number) for number in range(count)) if problem]
    if problems:
        return failed(f"{len(problems)} of {count} requests did not finish: {problems[0]}", problems=problems)
    return passed(f"{count} requests, {subject.parallel} at a time, all finished", requests=count)


async def together(requests: Iterable[Awaitable[T]]) -> list[T]:
    """
    Return what they come to, awaited at once. Where one raises, so does this, when all have ended: none is
    left behind.
    """
    ended = await asyncio.gather(*requests, return_exceptions=True)
    results: list[T] = []
    for result in ended:
        if isinstance(result, BaseException):
            raise result
        results.append(result)
    return results
