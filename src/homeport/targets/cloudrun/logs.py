"""What a service on Cloud Run has written: its last lines, and those to come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from homeport.backoff import UNTIL_STOPPED, Backoff
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.log_lines import entries, newest_entries, searched

_POLL_S = 2.0
_LATE = timedelta(seconds=60)
"""How much later than its time a line may come to be seen."""
_PAGE = 1000
_STARTS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry of a log."""

    at: str
    """RFC 3339, UTC, with as many digits as Google gives."""
    text: str
    key: tuple[str, str, str]
    """What makes it one: its log, time and id."""
    region: str = ""

    @property
    def order(self) -> tuple[str, str]:
        """Return a key that sorts by time, whatever the number of digits."""
        return _order(self.at)

    def dated(self, *, placed: bool = False) -> str:
        """Return the line with its time, to the second, and where `placed` with its region."""
        return f"{self.at[:19]}Z {f'{self.region} ' if placed else ''}{self.text}"


async def last_lines(
    google: Google, service: str, revision: str, n: int = 20, *, since: str = ""
) -> tuple[list[str], bool]:
    """
    Return the last `n` lines of a revision, oldest first, and whether the log was searched to the end, for which it has some seconds.

    They are what its containers said, and Cloud Run about them, behind the time `since`.
    """
    search = await searched(google, _filter(service, revision=revision), n, since=since)
    return [line.text for line in _in_order(search.found)], search.finished


async def logs(  # noqa: PLR0913 - which lines, and how they are shown
    google: Google,
    region: str,
    service: str,
    *,
    lines: int | None = 50,
    follow: bool = False,
    revision: str = "",
    besides: Sequence[str] = (),
) -> AsyncIterator[str]:
    """
    Yield the last `lines` lines of a service, or all where it is None, oldest first, and with `follow` those to come, for ever.

    With further regions `besides` each line says whence it is.

    New lines are held back until the next look, so that those of two instances come in the order of their times;
    one that comes later than that is shown late, and none is shown twice.
    """
    query = _filter(service, region=region, revision=revision, besides=besides)
    placed = bool(besides)
    first: list[Line] = []
    async for line in _so_far(google, query, lines):
        yield line.dated(placed=placed)
        if follow:
            first.append(line)
    if not follow:
        return
    now = datetime.now(UTC)
    since = _moment(first[-1].at) if first else now
    held = _Held(
        seen={line.key: line.at for line in first},
        floor=first[0].order if first else _order(_text(now)),
        mark=first[-1].order if first else ("", ""),
    )
    wait = Backoff(what="new lines", within=UNTIL_STOPPED, first=_POLL_S)
    while await wait.pause():
        begin = f'{query} AND timestamp>="{_text(since - _LATE)}"'
        new_lines = [_line(entry) async for entry in entries(google, begin, "timestamp asc", _PAGE)]
        for line in held.ready(new_lines):
            yield line.dated(placed=placed)
        if new_lines:
            since = max(since, _moment(new_lines[-1].at))
            held.forget(_text(since - 2 * _LATE))


async def starts(google: Google, region: str, service: str) -> frozenset[str]:
    """
    Return the newest starts of a service's instances in the last hour, each by a key of its own.

    They are what Cloud Run says of startup probes. Told apart by keys, they need no clock that agrees with Google's.
    """
    since = _text(datetime.now(UTC) - timedelta(hours=1))
    query = (
        f'{_filter(service, region=region)} AND log_id("run.googleapis.com/varlog/system") AND timestamp>="{since}" '
        'AND textPayload:"probe succeeded"'
    )
    lines = await _newest(google, query, _STARTS)
    return frozenset(" ".join(line.key) for line in lines if "STARTUP" in line.text)


async def lines_after(google: Google, region: str, service: str, after: str) -> list[Line]:
    """
    Return the newest lines of a service behind the time `after`, one of Google's own; of the last hour where it is ''.

    Oldest first, a page of them at most.
    """
    since = after or _text(datetime.now(UTC) - timedelta(hours=1))
    return await _newest(google, f'{_filter(service, region=region)} AND timestamp>"{since}"', _PAGE)


@dataclass(slots=True, kw_only=True)
class _Held:
    """Lines that were seen, and those that wait for the next look."""

    seen: dict[tuple[str, str, str], str]
    floor: tuple[str, str]
    """Older lines were left out on purpose."""
    mark: tuple[str, str]
    """The newest time of the look before."""
    waiting: list[Line] = field(default_factory=list)

    def ready(self, lines: list[Line]) -> list[Line]:
        """Return those to show now, in order."""
        for line in lines:
            if line.key not in self.seen:
                self.seen[line.key] = line.at
                if line.order >= self.floor:
                    self.waiting.append(line)
        self.waiting.sort(key=lambda line: line.order)
        now = [line for line in self.waiting if line.order <= self.mark]
        self.waiting = self.waiting[len(now) :]
        self.mark = max([self.mark, *(line.order for line in lines)])
        return now

    def forget(self, before: str) -> None:
        """Return those that are so old that they are not asked for again."""
        self.seen = {key: at for key, at in self.seen.items() if at >= before}


def _filter(service: str, *, region: str = "", revision: str = "", besides: Sequence[str] = ()) -> str:
    labels = {"service_name": service, "location": "" if besides else region, "revision_name": revision}
    parts = ['resource.type="cloud_run_revision"', 'NOT log_id("run.googleapis.com/requests")']
    parts += [f'resource.labels.{key}="{value}"' for key, value in labels.items() if value]
    if besides:
        anywhere = " OR ".join(f'resource.labels.location="{place}"' for place in (region, *besides))
        parts.append(f"({anywhere})")
    return " AND ".join(parts)


async def _so_far(google: Google, query: str, n: int | None) -> AsyncIterator[Line]:
    if n is None:
        async for entry in entries(google, query, "timestamp asc", _PAGE):
            yield _line(entry)
        return
    for line in await _newest(google, query, n):
        yield line


async def _newest(google: Google, query: str, n: int) -> list[Line]:
    if n <= 0:
        return []
    return _in_order(await newest_entries(google, query, n))


def _in_order(found: Iterable[Mapping[str, Json]]) -> list[Line]:
    return sorted((_line(entry) for entry in found), key=lambda line: line.order)


def _line(entry: Mapping[str, Json]) -> Line:
    text = entry.get("textPayload")
    if text is None:
        payload = entry.get("jsonPayload") or entry.get("protoPayload", {}).get("status") or {}
        text = payload.get("message") or str(payload)
    at = str(entry.get("timestamp", ""))
    return Line(
        at=at,
        text=str(text).rstrip("\n"),
        key=(entry.get("logName", ""), at, entry.get("insertId", "")),
        region=str(entry.get("resource", {}).get("labels", {}).get("location", "")),
    )


def _order(at: str) -> tuple[str, str]:
    seconds, _, fraction = at.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
