"""The lines of a service on Cloud Run: in order, and none twice."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.apis.logging.entries import write_log
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport import spec
from homeport.targets.cloudrun.lifecycle import CloudRunLifecycle
from homeport.targets.cloudrun.logs import last_lines, logs, starts
from homeport.targets.cloudrun.regions.several_regions import SeveralRegions

SINCE = "2026-11-25T10:00:00Z"


def say(
    cloud: Cloud, line: str, *, at: str = "", revision: str = "home-1", log: str = "stderr", **labels: str
) -> None:
    named = {"service_name": "home", "revision_name": revision, "location": "us-central1", **labels}
    also = {"timestamp": at} if at else None
    write_log(
        cloud,
        "rehearsal",
        f"run.googleapis.com/{log}",
        {"type": "cloud_run_revision", "labels": named},
        line,
        also=also,
    )


def moment(cloud: Cloud, seconds: float) -> str:
    now = datetime.fromisoformat(cloud.clock.text())
    return (now + timedelta(seconds=seconds)).astimezone(UTC).isoformat().replace("+00:00", "Z")


async def first(cloud: Cloud, count: int, *, lines: int = 50) -> list[str]:
    found: list[str] = []
    async for line in logs(google_for(cloud), "us-central1", "home", lines=lines, follow=True):
        found.append(line.partition("Z ")[2])
        if len(found) == count:
            break
    return found


def test_the_last_lines_come_oldest_first_and_of_that_revision_only() -> None:
    cloud = Cloud(delays=AT_ONCE)
    for number in range(30):
        say(cloud, f"line {number}")
    say(cloud, "of another revision", revision="home-2")
    say(cloud, "of another service", service_name="other")
    say(cloud, "GET /v1/models 200", log="requests")
    assert act(last_lines(google_for(cloud), "home", "home-1", n=3)) == (
        ["line 27", "line 28", "line 29"],
        True,
    )
    assert act(last_lines(google_for(cloud), "home", "absent")) == ([], True)


def test_lines_with_few_digits_are_in_order_with_those_with_many() -> None:
    cloud = Cloud(delays=AT_ONCE)
    say(cloud, "second", at="2026-11-25T10:00:00.5Z")
    say(cloud, "first", at="2026-11-25T10:00:00.123456789Z")
    assert act(last_lines(google_for(cloud), "home", "home-1")) == (["first", "second"], True)


def test_without_following_the_lines_end() -> None:
    cloud = Cloud(delays=AT_ONCE)
    say(cloud, "one", at="2026-11-25T10:00:00Z")

    async def work() -> list[str]:
        return [line async for line in logs(google_for(cloud), "us-central1", "home", lines=10, follow=False)]

    assert act(work()) == ["2026-11-25T10:00:00Z one"]


def test_following_shows_new_lines_in_order_and_none_twice() -> None:
    cloud = Cloud(delays=AT_ONCE)
    say(cloud, "before", at=moment(cloud, -5))

    async def work() -> list[str]:
        reading = asyncio.create_task(first(cloud, 4))
        await asyncio.sleep(3)
        older = moment(cloud, 0.1)
        say(cloud, "b", at=moment(cloud, 0.2))
        await asyncio.sleep(2)  # b has been seen, and a comes after it.
        say(cloud, "a", at=older)
        await asyncio.sleep(9)
        say(cloud, "c", at=moment(cloud, 0))
        return await reading

    assert act(work()) == ["before", "a", "b", "c"]


def test_a_line_that_comes_late_is_shown_all_the_same() -> None:
    cloud = Cloud(delays=AT_ONCE)
    say(cloud, "before", at=moment(cloud, -5))

    async def work() -> list[str]:
        reading = asyncio.create_task(first(cloud, 3))
        await asyncio.sleep(3)
        say(cloud, "new", at=moment(cloud, 0))
        await asyncio.sleep(7)
        say(cloud, "late", at=moment(cloud, -8))
        return await reading

    assert act(work()) == ["before", "new", "late"]


def test_lines_that_were_not_asked_for_do_not_come_with_the_new_ones() -> None:
    cloud = Cloud(delays=AT_ONCE)
    for number in range(9):
        say(cloud, f"old {number}", at=moment(cloud, number - 10))

    async def work() -> list[str]:
        reading = asyncio.create_task(first(cloud, 2, lines=1))
        await asyncio.sleep(3)
        say(cloud, "new", at=moment(cloud, 0))
        return await reading

    assert act(work()) == ["old 8", "new"]


def test_each_start_of_an_instance_is_known_by_its_probe() -> None:
    cloud = Cloud(delays=AT_ONCE)
    line = (
        'STARTUP HTTP probe succeeded after 3 attempts for container "serving-1" on port 8080 path "/health".'
    )

    async def work() -> list[frozenset[str]]:
        google = google_for(cloud)
        seen = [await starts(google, "us-central1", "home")]
        for seconds in (-10, 10):
            say(cloud, line, at=moment(cloud, seconds), log="varlog/system")
            say(cloud, "the STARTUP probe succeeded, a container says", at=moment(cloud, seconds))
            seen.append(await starts(google, "us-central1", "home"))
        return seen

    none, one, two = act(work())
    assert (len(none), len(one), len(two)) == (0, 1, 2)
    assert one < two


def test_lines_behind_an_empty_page_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging says that its search is not over by an empty page with a token."""
    cloud = Cloud(delays=AT_ONCE)
    say(cloud, "behind it")
    google = google_for(cloud)
    asked = google.post

    async def post(api: str, path: str, body: dict[str, Any], **how: Any) -> Any:
        if "pageToken" not in body:
            return {"nextPageToken": "on"}
        return await asked(api, path, {name: body[name] for name in body if name != "pageToken"}, **how)

    monkeypatch.setattr(google, "post", post)
    assert act(last_lines(google, "home", "home-1")) == (["behind it"], True)


def test_a_search_that_does_not_end_is_given_up_with_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud(delays=AT_ONCE)
    google = google_for(cloud)
    filters = set()

    async def post(_: str, __: str, body: dict[str, Any], **___: Any) -> Any:
        filters.add(body["filter"].rpartition(" AND ")[2])
        await asyncio.sleep(1.0)
        found = [] if "pageToken" in body else [{"textPayload": "found", "timestamp": SINCE}]
        return {"entries": found, "nextPageToken": "on"}

    monkeypatch.setattr(google, "post", post)
    assert act(last_lines(google, "home", "home-1", since=SINCE)) == (["found"], False)
    assert filters == {f'timestamp>="{SINCE}"'}


@pytest.mark.parametrize("kind", [CloudRunLifecycle, SeveralRegions])
@pytest.mark.parametrize(("asked", "shown"), [(None, 1100), (0, 0), (1050, 1050), (7, 7)])
def test_as_many_lines_are_shown_as_are_asked_for(
    kind: type[CloudRunLifecycle], asked: int | None, shown: int
) -> None:
    cloud = Cloud(delays=AT_ONCE)
    for number in range(1100):
        say(cloud, f"line {number}")
    further = [] if kind is CloudRunLifecycle else ["europe-west4"]
    file = spec.parse(
        {
            "name": "home",
            "model": "gemma-4-e2b",
            "cloudrun": {"region": "us-central1"},
            **({"edge": {"domain": "llm.example.com", "regions": further}} if further else {}),
        }
    )

    async def work() -> list[str]:
        service = kind(google=google_for(cloud), spec=file, spec_file=Path("/x/homeport.toml"), via="")
        return [line.split()[-1] async for line in service.logs(lines=asked, follow=False)]

    assert act(work()) == [str(number) for number in range(1100 - shown, 1100)]
