"""After `homeport rollback`: what the file asks for is told where it is not what serves, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from homeport import cli
from homeport.cli import session
from homeport.errors import NetworkError
from homeport.results import Rollback


@dataclass
class RolledBack:
    """A deployment that was rolled back, and what a plan of its file says then."""

    pending: tuple[str, ...] | NetworkError

    async def rollback(self, **_: object) -> Rollback:
        return Rollback(serving="taught")

    async def plan(self) -> RolledBack:
        if isinstance(self.pending, NetworkError):
            raise self.pending
        return self


@pytest.mark.parametrize(
    ("on", "pending", "said"),
    [
        ("local", (), ""),
        ("cloudrun", (), ""),
        (
            "local",
            ("update",),
            "asks for something else: `homeport plan` shows what `homeport up` would change",
        ),
        (
            "cloudrun",
            ("update",),
            "asks for something else: `homeport plan --on cloudrun` shows what `homeport up --on cloudrun` would change",
        ),
        (
            "local",
            NetworkError("no way"),
            "whether `homeport up` would change this again is not known: no way",
        ),
    ],
)
def test_the_file_is_spoken_of_where_it_asks_for_another(
    on: str,
    pending: tuple[str, ...] | NetworkError,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def with_file(
        _: object, __: Path, ___: str, work: Callable[[Any], Awaitable[Any]]
    ) -> Any:  # Any: results
        return asyncio.run(work(RolledBack(pending)))  # type: ignore[arg-type] # a coroutine

    monkeypatch.setattr(session, "with_file", with_file)
    assert cli.run(["rollback", "--on", on]) == 0
    told = capsys.readouterr()
    assert told.out == "taught serves\n"
    assert " ".join(told.err.split()).endswith(said) if said else told.err == ""
