"""Hours of the week in which an instance is kept warm, such as `Mon-Fri 08:00-18:00 Europe/Berlin`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = "Mon-Fri 08:00-18:00 Europe/Berlin"
_DAY = 24 * 60
_WEEK = 7 * _DAY
_WINDOW = re.compile(r"(?P<days>\S+)\s+(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)\s+(?P<zone>\S+)")
_YEARS_AHEAD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmEdge:
    """A time of the day, and the days on which it begins or ends warm hours."""

    minute: int
    """Since midnight, by the clock on the wall."""
    days: tuple[int, ...]
    """0 is Monday."""
    warm: bool
    """Whether warm hours begin; else they end."""

    @property
    def time(self) -> time:
        """Return the time on the wall."""
        return time(self.minute // 60, self.minute % 60)

    @property
    def cron(self) -> str:
        """Return it as cron writes it, where Sunday is 0."""
        days = ",".join(str(day) for day in sorted((day + 1) % 7 for day in self.days))
        return f"{self.minute % 60} {self.minute // 60} * * {days}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmHours:
    """The union of some windows of the week, all of one time zone."""

    zone: str
    minutes: bytes
    """A byte for each minute of the week since Monday's first: 1 where it is warm."""

    @property
    def hours_a_week(self) -> float:
        """Return how many hours of a week without a change of clocks are warm."""
        return sum(self.minutes) / 60

    @property
    def edges(self) -> tuple[WarmEdge, ...]:
        """Return when warm hours begin and end: one for each time of the day, by time."""
        days: dict[tuple[int, bool], list[int]] = {}
        for place, (before, now) in enumerate(pairwise(self.minutes[-1:] + self.minutes)):
            if before != now:
                days.setdefault((place % _DAY, bool(now)), []).append(place // _DAY)
        return tuple(
            WarmEdge(minute=minute, days=tuple(weekdays), warm=warm)
            for (minute, warm), weekdays in sorted(days.items())
        )

    def is_warm(self, moment: datetime) -> bool:
        """Return True if `moment`, which knows its time zone, is within warm hours by the clock on their wall."""
        here = moment.astimezone(ZoneInfo(self.zone))
        return bool(self.minutes[here.weekday() * _DAY + here.hour * 60 + here.minute])

    def doubtful(self, moment: datetime) -> datetime | None:
        """
        Return the first edge after `moment` at a time that a change of clocks skips or repeats; None for the next years.

        What a schedule does then is up to who keeps it.
        """
        today, zone = moment.astimezone(ZoneInfo(self.zone)).date(), ZoneInfo(self.zone)
        edges = self.edges
        for ahead in range(_YEARS_AHEAD * 366):
            day = today + timedelta(days=ahead)
            for edge in edges:
                at = datetime.combine(day, edge.time, zone)
                if day.weekday() in edge.days and at.utcoffset() != at.replace(fold=1).utcoffset():
                    return at
        return None


@cache
def parse(windows: tuple[str, ...]) -> WarmHours:
    """Return the union of windows as they stand in the file. Raises `ValueError` for what is none."""
    minutes = bytearray(_WEEK)
    zones: list[str] = []
    for window in windows:
        match = _WINDOW.fullmatch(window.strip())
        if match is None:
            raise ValueError(f"{window!r} is no window of a week: say {EXAMPLE!r}")
        start, end = _minute(match["start"], window, last=_DAY - 1), _minute(match["end"], window, last=_DAY)
        if start == end:
            raise ValueError(f"{window!r} begins when it ends: a whole day is 00:00-24:00")
        length = (end - start) if end > start else end - start + _DAY
        for day in _days(match["days"], window):
            for minute in range(length):
                minutes[(day * _DAY + start + minute) % _WEEK] = 1
        zones.append(_zone(match["zone"]))
    if len(set(zones)) > 1:
        raise ValueError(
            f"windows of {' and '.join(dict.fromkeys(zones))}: write all of them by one clock, since clocks change on"
            " different days"
        )
    if all(minutes):
        raise ValueError("the whole week is warm: that is min = 1")
    return WarmHours(zone=zones[0], minutes=bytes(minutes))


def _minute(text: str, window: str, *, last: int) -> int:
    hour, minute = (int(part) for part in text.split(":"))
    if minute > 59 or hour * 60 + minute > last:
        raise ValueError(
            f"{text} in {window!r} is no time of a day: 00:00 to {'24:00' if last == _DAY else '23:59'}"
        )
    return hour * 60 + minute


def _days(text: str, window: str) -> Iterable[int]:
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                f"{part!r} in {window!r} is no day and no range of days: {', '.join(DAYS)}, Mon-Fri"
            )
        begin, end = DAYS.index(first), DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, end + 1 + (7 if end < begin else 0)))


def _zone(name: str) -> str:
    zones = available_timezones()
    if name in zones:
        return name
    close = get_close_matches(name, zones, n=1)
    suggestion = f", did you mean {close[0]}?" if close else ": say one such as Europe/Berlin or UTC"
    raise ValueError(f"{name} is no time zone of this machine's database{suggestion}")
