"""A bench of engines does not take the name of an endpoint that is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from homeport import deployment, spec
from homeport.bench import BenchOptions
from homeport.bench.bench import Served
from homeport.bench.engines import _ensure_free, _of_engine, claimed
from homeport.errors import NotManaged, NotRunning, StateError
from homeport.home import Home
from homeport.progress import Silent


class Told:
    """A deployment of which its status is known."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def status(self, *, usage: bool) -> None:
        if self.error is not None:
            raise self.error


def asked(error: Exception | None) -> None:
    deployed: Any = Told(error)  # Any: of a deployment, only its status is asked
    asyncio.run(_ensure_free(deployed, "bench-llamacpp"))


def test_an_endpoint_of_that_name_stays() -> None:
    with pytest.raises(StateError, match="there is an endpoint bench-llamacpp already"):
        asked(None)


def test_a_free_name_is_taken() -> None:
    asked(NotRunning("nothing runs"))


class Asked(Told):
    """A deployment that remembers what was done with it, and whose `up` fails."""

    def __init__(self, failure: Exception) -> None:
        super().__init__(NotRunning("nothing runs"))
        self.failure = failure
        self.done: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def up(self, *_: object, **__: object) -> None:
        self.done.append("up")
        raise self.failure

    async def down(self, **_: object) -> None:
        self.done.append("down")


def benched(home: Home, failure: Exception, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done with the endpoint by a bench whose `up` fails."""
    deployed = Asked(failure)
    monkeypatch.setattr(deployment, "opened", lambda *_, **__: deployed)
    file = spec.parse({"name": "bench-llamacpp", "model": "gemma-3-270m"})
    opened: Any = SimpleNamespace(home=home)  # Any: of the options, only the home is asked
    with pytest.raises(type(failure)):
        asyncio.run(_of_engine(file, Served(), BenchOptions(users=(1,)), opened, Silent()))
    return deployed.done


def test_the_second_of_two_benches_at_once_is_refused_and_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, failure = Home(tmp_path), StateError("")
    with claimed(home, "bench-llamacpp"):
        assert benched(home, failure, monkeypatch) == []
        with pytest.raises(StateError, match="another `homeport bench engines` measures bench-llamacpp now"):
            claimed(home, "bench-llamacpp").__enter__()
    assert benched(home, failure, monkeypatch) == ["up", "down"]


def test_an_endpoint_that_another_file_made_meanwhile_is_not_taken_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert benched(Home(tmp_path), NotManaged("another file's"), monkeypatch) == ["up"]
