"""
What several resources are read from, such as the policy that a dozen grants are in: those that are read together ask once.

Nothing is kept beyond that. Whatever is read before it is touched, or after, is read anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from contextvars import ContextVar
from typing import Any, TypeVar

_T = TypeVar("_T")
_Asked = dict[Hashable, asyncio.Task[Any]]  # Any: each key has answers of its own
_asked: ContextVar[_Asked | None] = ContextVar("_asked", default=None)


async def read_together(reads: Iterable[Coroutine[object, object, _T]]) -> list[_T | BaseException]:
    """Return what each of `reads` comes to, or raises, in their order. All begin at once, and share what they ask by `shared`."""
    asked: _Asked = {}
    token = _asked.set(asked)
    try:
        return await asyncio.gather(*reads, return_exceptions=True)
    finally:
        _asked.reset(token)
        for unwanted in asked.values():
            unwanted.cancel()


async def shared(key: Hashable, ask: Callable[[], Coroutine[object, object, _T]]) -> _T:
    """
    Return what `ask` comes to, asked once for `key` by all that are read together. It is not to be changed: others have it, too.

    Who gives up takes it from nobody: it is asked for until all that are read together are done.
    """
    asked = _asked.get()
    if asked is None:
        return await ask()
    if key not in asked:
        asked[key] = asyncio.create_task(ask())
    answer: _T = await asyncio.shield(asked[key])
    return answer
