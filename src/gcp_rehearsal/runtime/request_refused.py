"""A request to a service that is not answered by it."""

from __future__ import annotations


class RequestRefused(Exception):
    """An answer of the front end's own."""

    def __init__(
        self,
        status: int,
        title: str,
        text: str,
        *,
        challenge: str = "",
        own: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(text)
        self.status, self.title, self.text, self.challenge = status, title, text, challenge
        self.own = own
        """Headers of an answer in words alone, as Identity-Aware Proxy gives it; () for a page."""
