"""Asynchronous work from synchronous code, also where an event loop already runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def run(
    work: Coroutine[Any, Any, _T],
) -> _T:  # Any: what a coroutine yields and is sent is asyncio's business
    """
    Return the result of `work`; also inside a notebook, where an event loop already runs.

    Raises `KeyboardInterrupt` where the work was cancelled: by Ctrl-C, also at a question that it asked somebody.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        try:
            return asyncio.run(work)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
