"""Warm hours: what a file may say, and that cron's moments say the same of every minute, whatever clocks do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from homeport import spec
from homeport.errors import SpecError
from homeport.spec.warm_hours import DAYS, parse

BERLIN = "Mon-Fri 08:00-18:00 Europe/Berlin"
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "UTC",
    "America/Santiago",
)


def scaling(*windows: str, **more: int) -> spec.Scaling:
    return spec.parse({"name": "home", "scaling": {"warm": list(windows), **more}}).scaling


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        (["Mon-Fri 8-18 Europe/Berlin"], "is no window of a week"),
        (["Mon-Fri 08:00-18:00"], "is no window of a week"),
        (["Moday 08:00-18:00 UTC"], "is no day and no range of days"),
        (["Mon 08:00-25:00 UTC"], "is no time of a day"),
        (["Mon 24:00-08:00 UTC"], "is no time of a day"),
        (["Mon 08:00-08:00 UTC"], "begins when it ends"),
        (["Mon 08:00-18:00 Europe/Berln"], "did you mean Europe/Berlin?"),
        ([BERLIN, "Mon-Fri 08:00-18:00 America/New_York"], "write all of them by one clock"),
        (["Mon-Sun 00:00-24:00 UTC"], "that is min = 1"),
    ],
)
def test_what_is_no_warm_hour_is_refused_with_what_to_write(windows: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words.replace("?", "[?]")):
        scaling(*windows)


def test_an_instance_that_always_runs_leaves_nothing_to_warm() -> None:
    with pytest.raises(SpecError, match="warm would change nothing"):
        scaling(BERLIN, min=1)


def test_windows_that_overlap_or_touch_have_no_edge_between_them() -> None:
    hours = parse(("Mon-Fri 08:00-12:00 UTC", "Mon-Wed 11:00-18:00 UTC", "Thu 12:00-13:30 UTC"))
    assert [(one.cron, one.warm) for one in hours.edges] == [
        ("0 8 * * 1,2,3,4,5", True),
        ("0 12 * * 5", False),
        ("30 13 * * 4", False),
        ("0 18 * * 1,2,3", False),
    ]


def test_a_window_may_go_past_midnight_and_past_the_week() -> None:
    hours = parse(("Sun 22:00-02:00 UTC", "Sat-Sun 10:00-11:00 UTC"))
    assert hours.hours_a_week == 6
    assert hours.is_warm(datetime(2026, 11, 30, 1, 59, tzinfo=UTC)), "Monday morning"
    assert not hours.is_warm(datetime(2026, 11, 30, 2, 0, tzinfo=UTC))
    assert [one.cron for one in hours.edges if not one.warm] == ["0 2 * * 1", "0 11 * * 0,6"]


def test_the_clock_on_the_wall_counts_on_both_sides_of_its_change() -> None:
    hours = parse((BERLIN,))
    summer, winter = datetime(2026, 10, 23, 6, 0, tzinfo=UTC), datetime(2026, 10, 26, 7, 0, tzinfo=UTC)
    for begins in (summer, winter):
        assert hours.is_warm(begins)
        assert not hours.is_warm(begins - timedelta(minutes=1))


def test_an_edge_that_clocks_skip_or_repeat_is_found_and_no_other() -> None:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    assert parse((BERLIN,)).doubtful(now) is None
    at = parse(("Sun 02:30-09:00 Europe/Berlin",)).doubtful(now)
    assert at is not None
    assert at.date().isoformat() == "2027-03-28"
    assert parse(("Sun 02:30-09:00 UTC",)).doubtful(now) is None


@st.composite
def _windows(draw: st.DrawFn) -> tuple[str, ...]:
    zone = draw(st.sampled_from(ZONES))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=3, unique=True))
        start = draw(st.integers(0, 95)) * 15
        end = draw(st.integers(1, 96)) * 15
        assume(end != start)
        made.append(f"{','.join(days)} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02} {zone}")
    return tuple(made)


@settings(max_examples=40, deadline=None)
@given(windows=_windows(), begin=st.integers(0, 365))
def test_what_cron_does_at_the_edges_is_what_the_hours_say_of_each_moment(
    windows: tuple[str, ...], begin: int
) -> None:
    """Cron's moments come from a program that is not ours; the hours of a fortnight from any day of a year with DST."""
    try:
        hours = parse(windows)
    except ValueError:
        reject()
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=begin)
    doubtful = hours.doubtful(start)
    assume(doubtful is None or doubtful > start + timedelta(days=25))
    zone = ZoneInfo(hours.zone)
    fires = sorted(
        (at.astimezone(UTC), edge.warm)
        for edge in hours.edges
        for at in islice(CronSim(edge.cron, start.astimezone(zone)), 2 * len(edge.days))
    )
    for place, (at, warm) in enumerate(fires):
        assert hours.is_warm(at) is warm
        assert hours.is_warm(at - timedelta(minutes=1)) is not warm
        if place:
            assert warm is not fires[place - 1][1], "each edge turns round the one before"
