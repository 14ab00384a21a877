"""A bench of engines does not take the name of an endpoint that is there."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest

from homeport import deployment, spec
from homeport.bench import BenchOptions, engines
from homeport.bench.bench import Served
from homeport.bench.engines import _ensure_free, _of_engine, bench_engines, claimed
from homeport.errors import NotManaged, NotRunning, StateError
from homeport.home import Home
from homeport.progress import Silent
from typist import Typist


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


def test_why_an_engine_was_not_measured_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Asked(StateError(""))
    there.error = None
    monkeypatch.setattr(deployment, "opened", lambda *_, **__: there)
    file = spec.parse({"model": "gemma-3-270m"})
    opened: Any = SimpleNamespace(home=Home(tmp_path))  # Any: of the options, only the home is asked
    found = asyncio.run(bench_engines(file, {"llamacpp": None}, BenchOptions(users=(1,)), opened, Silent()))
    assert found.engines[0].why.endswith("; end it: `homeport down bench-llamacpp`")


class Terminated(Asked):
    """A deployment whose `up` is ended by SIGTERM."""

    async def up(self, *_: object, **__: object) -> None:
        self.done.append("up")
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()


def test_a_bench_that_sigterm_ends_takes_its_endpoint_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = Terminated(StateError(""))
    monkeypatch.setattr(deployment, "opened", lambda *_, **__: deployed)
    monkeypatch.setattr(engines, "here", lambda _: ("llamacpp",))
    typist = Typist(tmp_path / "project")
    typist.write("model = 'gemma-3-270m'\n")
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("SIGTERM ended the process at once"))
    try:
        typist.run("bench", "engines", code=130)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert deployed.done == ["up", "down"]
