"""After `homeport rollback`: it is said that the file stays as it is, and nothing is planned, looked up or asked for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from homeport import cli
from homeport.cli import session
from homeport.results import Rollback
from schemas import ensure_valid


class OnlyRolledBack:
    """A deployment that has no verb but `rollback`: whatever else is asked of it ends the test."""

    async def rollback(self, **_: object) -> Rollback:
        return Rollback(serving="taught")


@pytest.fixture(autouse=True)
def _rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*words: Any) -> Any:  # Any: what a command gives, and results
        work: Callable[[OnlyRolledBack], Awaitable[Any]] = words[-1]
        return asyncio.run(work(OnlyRolledBack()))  # type: ignore[arg-type] # a coroutine

    monkeypatch.setattr(session, "with_file", opened)
    monkeypatch.setattr(session, "with_endpoint", opened)


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("local", "`homeport plan` shows whether `homeport up` would change this"),
        ("cloudrun", "`homeport plan --on cloudrun` shows whether `homeport up --on cloudrun` would change this"),
    ],
)  # fmt: skip
def test_the_file_is_spoken_of_without_a_plan(on: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rollback", "--on", on]) == 0
    told = capsys.readouterr()
    assert told.out == "taught serves\n"
    assert " ".join(told.err.split()) == f"the file is as it was: {said}"


def test_for_programs_a_rollback_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rollback", "home", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    ensure_valid("rollback", told)
    assert told["serving"] == "taught"


def test_of_an_endpoint_by_its_name_no_file_is_spoken_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rollback", "home"]) == 0
    assert capsys.readouterr() == ("taught serves\n", "")
