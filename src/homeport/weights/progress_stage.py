"""One piece of work, told to the listener."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from homeport.progress import Progress


@contextmanager
def stage(progress: Progress, key: str, what: str, done: str) -> Iterator[None]:
    """Say that `what` began, and at the end either `done` or that it failed, however it was left."""
    progress.started(key, what)
    ended = False
    try:
        yield
        ended = True
    finally:
        if ended:
            progress.finished(key, done)
        else:
            progress.failed(key, what)


def megabytes(count: int) -> str:
    """Format bytes as `806 MB` or `12.3 GB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e10 else f"{count / 1e6:,.0f} MB"
