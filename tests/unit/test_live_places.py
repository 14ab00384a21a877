"""A place that cannot be read is told with its reason, and stops no other: in `top`, on its screen and in the console."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from homeport import cli
from homeport.cli.top_text import TopScreen
from homeport.console.views import Views
from homeport.errors import PermissionDenied
from homeport.home import Home
from homeport.listing import ListedEndpoint, Listing
from homeport.live_places import LivePlace, look_at
from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.targets import registry
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun import live as cloudrun_live

HERE = LiveEndpoint(name="home", on="local", state="running", model="m")
REASON = "Cloud Run: not known, could not be read: no run.services.list; ask for it"


class Here:
    async def endpoints(self, file: Path, options: OpenOptions) -> LiveListing:
        return LiveListing(endpoints=(HERE,))


class Shut:
    async def endpoints(self, file: Path, options: OpenOptions) -> LiveListing:
        raise PermissionDenied("no run.services.list", hint="ask for it")


@pytest.fixture
def _shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "live", lambda on: Here() if on == "local" else Shut())


@pytest.mark.usefixtures("_shut")
def test_top_prints_this_machines_endpoints_and_why_google_s_are_not_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["top", "--json", "--on", "cloudrun", "--on", "local"]) == 27
    told = capsys.readouterr()
    assert [one["name"] for one in json.loads(told.out)] == ["home"]
    assert REASON in told.err
    assert cli.run(["top", "--json", "--on", "cloudrun"]) == PermissionDenied.exit_code, (
        "nothing is left to print"
    )


@pytest.mark.usefixtures("_shut")
def test_the_screen_shows_what_is_known_beside_the_reason() -> None:
    options = OpenOptions(env={}, home=Home(Path("/nowhere")))
    screen = TopScreen(2.0)
    for place in asyncio.run(look_at(("local", "cloudrun"), Path("homeport.toml"), options)):
        screen.show(place, at=0.0)
    console = Console(width=100, height=20, record=True)
    with console.capture() as drawn:
        console.print(screen)
    assert "home" in drawn.get()
    assert REASON in drawn.get()
    screen.show(LivePlace(on="local"), at=0.0)
    with console.capture() as drawn:
        console.print(screen)
    assert "no endpoint runs" not in drawn.get(), "that is not known"


@pytest.mark.usefixtures("_shut")
def test_the_console_lists_both_places(tmp_path: Path) -> None:
    options = OpenOptions(env={}, home=Home(tmp_path))
    views = Views(file=tmp_path / "homeport.toml", places=("cloudrun", "local"), options=options)

    async def two() -> dict[str, Any]:  # Any: JSON
        events = views.live()
        found = {one["on"]: one for one in [await anext(events), await anext(events)]}
        await events.aclose()  # type: ignore[attr-defined]
        return found

    found = asyncio.run(two())
    assert found["cloudrun"]["error"]["message"] == "no run.services.list"
    assert [one["name"] for one in found["local"]["endpoints"]] == ["home"]


def test_what_a_project_lets_nobody_read_is_told_beside_its_endpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def listing(file: Path, options: OpenOptions) -> Listing:
        return Listing(
            endpoints=(ListedEndpoint(name="far", on="cloudrun", state="ready"),),
            unread=("services in us-east4",),
        )

    monkeypatch.setattr(cloudrun_live, "listing", listing)
    options = OpenOptions(env={}, home=Home(Path("/nowhere")))
    (place,) = asyncio.run(look_at(("cloudrun",), Path("homeport.toml"), options))
    assert [one.name for one in place.endpoints] == ["far"]
    assert place.lines() == ["Cloud Run: not known, could not be read: services in us-east4"]
