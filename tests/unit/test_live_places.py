"""A place that cannot be read is told with its reason, and stops no other: in `top`, on its screen and in the console."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from homeport import cli
from homeport.cli.top_text import TopScreen, unknown
from homeport.console.views import Views
from homeport.errors import PermissionDenied
from homeport.google import Google
from homeport.home import Home
from homeport.listing import ListedEndpoint
from homeport.live_places import LivePlace, look_at
from homeport.metrics.live import LiveEndpoint, LiveListing
from homeport.spec import CloudRun
from homeport.targets import registry
from homeport.targets.base import OpenOptions
from homeport.targets.cloudrun import live as cloudrun_live
from homeport.targets.cloudrun.inventory import Unread

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


FAR = ListedEndpoint(name="far", on="cloudrun", state="ready", engine="vllm", region="europe-west4")


def far(
    monkeypatch: pytest.MonkeyPatch, cloud: Cloud, *unread: Unread, caller: str = OWNER,
    listed: tuple[ListedEndpoint, ...] = (FAR,),
) -> LivePlace:  # fmt: skip
    """What is found of endpoints on Cloud Run, in a cloud that measures what a test says."""

    async def all_listed(google: Google) -> tuple[tuple[ListedEndpoint, ...], tuple[Unread, ...]]:
        return listed, unread

    async def door(settings: CloudRun | None, options: OpenOptions) -> Google:
        return google_for(cloud, caller=caller)

    monkeypatch.setattr(cloudrun_live, "list_endpoints", all_listed)
    monkeypatch.setattr(cloudrun_live, "door_for", door)
    options = OpenOptions(env={}, home=Home(Path("/nowhere")))
    (place,) = act(look_at(("cloudrun",), Path("/nowhere/homeport.toml"), options))
    assert {one.name for one in place.endpoints} == {"far"}
    return place


class Measured:
    """What answers in a Prometheus' place: of each endpoint everything is 2, and it has 3 instances; one of us-central1 ten times that."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        counts = "instance_count" in form["query"]
        label, value = ("service_name", 3) if counts else ("namespace", 2)
        result = []
        for name, _, region in (one.partition(" in ") for one in self.names):
            labels = {label: name, "location": region or FAR.region}
            kept = {one: text for one, text in labels.items() if one in form["query"].partition("by (")[2]}
            told = value * 10 if region == "us-central1" else value
            result.append({"metric": kept, "value": [0, f"{told}"]})
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def test_what_a_project_lets_nobody_read_is_told_beside_its_endpoints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shut = Unread(
        kind="service", region="us-east4", what="services in us-east4", error=PermissionDenied("no")
    )
    place = far(monkeypatch, Cloud(delays=AT_ONCE, metrics=Measured()), shut)
    assert place.lines() == ["Cloud Run: not known, could not be read: services in us-east4: no"]


def test_figures_of_an_endpoint_on_cloud_run_come_from_cloud_monitoring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (one,) = far(monkeypatch, Cloud(delays=AT_ONCE, metrics=Measured("far", "other"))).endpoints
    assert one.snapshot is not None
    assert one.rates is not None
    assert (one.snapshot.running, one.snapshot.kv_cache, one.rates.ttft_s, one.instances) == (2, 2, 2, 3)
    assert one.unknown == ""


def test_endpoints_of_one_name_in_two_regions_have_figures_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near = replace(FAR, region="us-central1")
    cloud = Cloud(delays=AT_ONCE, metrics=Measured("far", "far in us-central1"))
    found = far(monkeypatch, cloud, listed=(FAR, near)).endpoints
    running = {one.region: (one.snapshot.running, one.instances) for one in found if one.snapshot is not None}
    assert running == {"europe-west4": (2, 3), "us-central1": (20, 30)}
    alone = far(monkeypatch, Cloud(delays=AT_ONCE, metrics=Measured("far")), listed=(FAR, near)).endpoints
    assert [(one.region, one.snapshot is None, one.instances) for one in alone] == [
        ("europe-west4", False, 3), ("us-central1", True, None),
    ]  # fmt: skip
    lines = unknown(alone)
    assert [line.partition(":")[0] for line in lines] == ["far in us-central1"]


@pytest.mark.parametrize(
    ("metrics", "caller", "told"),
    [
        (Measured("other"), OWNER, "no instance runs, or its file has no"),
        (Measured("far"), "friend@example.com", "cannot be read from Cloud Monitoring"),
        (None, OWNER, "cannot be read from Cloud Monitoring"),
    ],
)  # fmt: skip
def test_why_there_are_no_figures_is_told_and_the_endpoint_is_there_all_the_same(
    monkeypatch: pytest.MonkeyPatch, metrics: Measured | None, caller: str, told: str
) -> None:
    (one,) = far(monkeypatch, Cloud(delays=AT_ONCE, metrics=metrics), caller=caller).endpoints
    assert one.snapshot is None
    assert told in one.unknown
