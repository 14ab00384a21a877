"""How the core tells what it is doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """
    Listens to work being done. `key` names one piece of work (such as "weights" or "process") from its
    start to its end; several may be under way at once, and calls may come from any thread.
    """

    def started(self, key: str, what: str) -> None:
        """Work began; `what` says it in a few words."""

    def advanced(self, key: str, done: int, total: int) -> None:
        """Tell that `done` of `total` bytes are there."""

    def finished(self, key: str, what: str) -> None:
        """Work ended well; `what` says what came of it."""

    def failed(self, key: str, what: str) -> None:
        """Work ended badly."""

    def note(self, text: str) -> None:
        """Tell something that the reader should know."""


class Silent:
    """Listens to nothing."""

    def started(self, key: str, what: str) -> None: ...
    def advanced(self, key: str, done: int, total: int) -> None: ...
    def finished(self, key: str, what: str) -> None: ...
    def failed(self, key: str, what: str) -> None: ...
    def note(self, text: str) -> None: ...
