"""An endpoint that the tests of a module share: what none of them changes need not be started for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import homeport
from user import User

NAME = "home"


class SharedEndpoint:
    """The endpoint `home`, in a home of its own; the first test that asks for it starts it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._up = False

    def user(self, monkeypatch: pytest.MonkeyPatch, text: str) -> User:
        """Return whoever it belongs to, for one test. Each module gives one `text` of its file."""
        monkeypatch.setenv("HOMEPORT_HOME", str(self._place / "homeport"))
        user = User(self._place / "work")
        if not self._up:
            user.write(text)
            user.run("up", "--yes", "--no-verify")
            self._up = True
        return user

    def end(self) -> None:
        """Take it down, where it was started or half of it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HOMEPORT_HOME", str(self._place / "homeport"))
            homeport.down(NAME)


@contextmanager
def shared_endpoint(place: Path) -> Iterator[SharedEndpoint]:
    """Give an endpoint that lies in the folder `place`, and take it down at the end."""
    shared = SharedEndpoint(place)
    try:
        yield shared
    finally:
        shared.end()
