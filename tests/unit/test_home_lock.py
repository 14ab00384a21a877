"""One homeport at a time changes an endpoint: the second waits, and is let in when the first has left, however it left."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeport.home import Home, held_if_free, is_held
from homeport.progress import Silent


class Heard(Silent):
    """Notes, with an event for the first."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.noted = asyncio.Event()

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.noted.set()


async def second_behind(home: Home, failure: type[Exception] | None) -> tuple[list[str], list[str]]:
    """Who was in, in order, and what the second was told, where the first leaves once the second waits."""
    inside: list[str] = []
    heard = Heard()

    async def come(name: str) -> None:
        async with home.lock("mine", heard):
            inside.append(f"{name} in")
            if name == "first":
                await heard.noted.wait()
                inside.append("first out")
                if failure is not None:
                    raise failure

    first = asyncio.create_task(come("first"))
    await asyncio.sleep(0)  # The first goes in, up to where it waits.
    await asyncio.gather(first, asyncio.create_task(come("second")), return_exceptions=True)
    return inside, heard.notes


@pytest.mark.parametrize("failure", [None, ValueError])
def test_the_second_waits_for_the_first_is_told_so_once_and_is_let_in(
    failure: type[Exception] | None, tmp_path: Path
) -> None:
    inside, notes = asyncio.run(second_behind(Home(tmp_path), failure))
    assert inside == ["first in", "first out", "second in"]
    assert notes == ["another homeport is working on mine; waiting for it"]


def test_a_lock_that_somebody_holds_is_told_at_once_and_is_free_behind_them(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held_if_free(path) as first:
        with held_if_free(path) as second:
            assert (first, second) == (True, False)
        with held_if_free(path) as third:
            assert not third, "whoever was refused took nothing from the holder"
    with held_if_free(path) as later:
        assert later
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_look_at_a_lock_makes_no_file_takes_nothing_and_tells_whether_somebody_holds_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    assert not path.exists()
    with held_if_free(path):
        assert is_held(path)
    assert not is_held(path)
    with held_if_free(path) as free:
        assert free, "who looked holds nothing"
