"""Stopping in good order."""

from __future__ import annotations


class Cancellation:
    """
    Asks an apply or a destroy to begin nothing more.

    What is under way is finished, and then `Interrupted` says where things stand.
    """

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked = False

    @property
    def requested(self) -> bool:
        """Tell whether a stop was asked for."""
        return self._asked

    def ask(self) -> None:
        """Begin nothing more."""
        self._asked = True
