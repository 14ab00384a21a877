"""
Recorded traffic: a file with a line for each request, when it came and how many tokens went in and out.

A CSV with a head, or JSON lines; the names of the columns tell whose it is. Known are homeport's own
(`seconds,input,output`), those of Azure's LLM inference traces, of Mooncake's and of BurstGPT's.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from homeport.errors import SpecError
from homeport.own_path import reading

_MOST_DAYS, _MOST_TOKENS = 366, 10_000_000
"""No recording of an endpoint's traffic is longer, and no request: beyond, a cell has another unit or none."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: when it comes, and how long it is."""

    seconds: float
    """Since the first request of its trace."""
    input: int
    """Tokens of the prompt, 1 or more."""
    output: int
    """Tokens of the answer, 1 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The requests of a file, in the order of their time."""

    name: str
    """The name of the file."""
    arrivals: tuple[Arrival, ...]
    """At least one; the first at 0 seconds."""
    skipped: int = 0
    """Lines of requests that had no prompt or got no answer: requests that failed where they were recorded."""

    @property
    def seconds(self) -> float:
        """Return the time between the first request and the last."""
        return self.arrivals[-1].seconds

    @property
    def rate(self) -> float:
        """Return the mean requests a second; 0 where all came at once."""
        return len(self.arrivals) / self.seconds if self.seconds else 0.0

    def part(self, begin: float, end: float) -> Trace:
        """Return the requests from `begin` until before `end` seconds. Raises `SpecError` where there is none."""
        arrivals = [arrival for arrival in self.arrivals if begin <= arrival.seconds < end]
        if not arrivals:
            raise SpecError(
                f"{self.name} has no request from {begin:g} to {end:g} s", hint=f"it lasts {self.seconds:g} s"
            )
        return _build(self.name, arrivals, self.skipped)

    def faster(self, factor: float) -> Trace:
        """Return the trace with its time shortened: twice the requests a second for a `factor` of 2."""
        if not (factor > 0 and math.isfinite(factor)):
            raise SpecError(f"a trace cannot be made {factor!r} times as fast", hint="say a number above 0")
        arrivals = tuple(
            Arrival(arrival.seconds / factor, arrival.input, arrival.output) for arrival in self.arrivals
        )
        return Trace(name=self.name, arrivals=arrivals, skipped=self.skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How a kind of trace names what it records."""

    title: str
    time: str
    input: str
    output: str
    seconds: Callable[[Any], float]  # Any: a cell's text, or a value of JSON
    """Makes seconds of what stands in `time`. Raises `ValueError`."""


def _moment(cell: Any) -> float:  # Any: a cell's text, or a value of JSON
    return datetime.fromisoformat(str(cell)).timestamp()


def _milliseconds(cell: Any) -> float:  # Any: a cell's text, or a value of JSON
    return float(cell) / 1000


KINDS = (
    Columns(title="homeport's own", time="seconds", input="input", output="output", seconds=float),
    Columns(title="Azure's", time="TIMESTAMP", input="ContextTokens", output="GeneratedTokens", seconds=_moment),
    Columns(title="Mooncake's", time="timestamp", input="input_length", output="output_length", seconds=_milliseconds),
    Columns(title="BurstGPT's", time="Timestamp", input="Request tokens", output="Response tokens", seconds=float),
)  # fmt: skip


def read(path: Path) -> Trace:
    """Return the trace in a file. Raises `SpecError`, with the line, for what is none."""
    try:
        with reading(path, if_missing=_HINT), path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(_rows(path, file))
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is no text in UTF-8, and so no trace", hint=_HINT) from error
    arrivals = [arrival for arrival in rows if arrival.input and arrival.output]
    if not arrivals:
        raise SpecError(f"{path} has no request with a prompt and an answer", hint=_HINT)
    trace = _build(path.name, arrivals, len(rows) - len(arrivals))
    if trace.seconds > _MOST_DAYS * 86_400:
        raise SpecError(
            f"{path} has {trace.seconds:.3g} s between its first request and its last, and {_MOST_DAYS} days are the most",
            hint=f"is its time in seconds? {_HINT}",
        )
    return trace


_HINT = "a trace is a CSV with the head `" + "`, `".join(
    f"{kind.time},{kind.input},{kind.output}" for kind in KINDS
) + "`, or JSON lines with these names"  # fmt: skip


def _build(name: str, rows: Iterable[Arrival], skipped: int) -> Trace:
    ordered = sorted(rows, key=lambda arrival: arrival.seconds)
    first = ordered[0].seconds
    arrivals = tuple(Arrival(arrival.seconds - first, arrival.input, arrival.output) for arrival in ordered)
    return Trace(name=name, arrivals=arrivals, skipped=skipped)


def _rows(path: Path, lines: Iterable[str]) -> Iterator[Arrival]:
    """Yield the requests of a file as they stand there. Raises `SpecError`."""
    kind: Columns | None = None
    for number, row in _cells(path, lines):
        kind = kind or _kind(path, row)
        try:
            seconds = _finite(kind.seconds(row[kind.time]))
            tokens = [_tokens(row[column]) for column in (kind.input, kind.output)]
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SpecError(f"{path}, line {number}: {error}", hint=_HINT) from error
        yield Arrival(seconds, *tokens)


def _cells(path: Path, lines: Iterable[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:  # Any: JSON
    """Yield the number and the values of each line. Raises `SpecError`."""
    numbered = enumerate(lines, 1)
    first = next(((number, line) for number, line in numbered if line.strip()), None)
    if first is None:
        return
    if not first[1].lstrip().startswith("{"):
        head = [cell.strip() for cell in next(csv.reader([first[1]]))]
        for number, line in numbered:
            if line.strip():
                yield number, _row(head, next(csv.reader([line])))
        return
    for number, line in (first, *numbered):
        if line.strip():
            yield number, _object(path, number, line)


def _row(head: list[str], cells: list[str]) -> dict[str, str]:
    """Return the cells by column; those that a line lacks are empty."""
    return {**dict.fromkeys(head, ""), **dict(zip(head, cells, strict=False))}


def _object(path: Path, number: int, line: str) -> Mapping[str, Any]:  # Any: JSON
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise SpecError(f"{path}, line {number}: should be a JSON object", hint=_HINT)
    return value


def _kind(path: Path, row: Mapping[str, Any]) -> Columns:  # Any: JSON
    for kind in KINDS:
        if {kind.time, kind.input, kind.output} <= set(row):
            return kind
    raise SpecError(
        f"{path} has the columns {', '.join(map(str, row))[:200]}, which are no trace's", hint=_HINT
    )


def _finite(seconds: float) -> float:
    if not math.isfinite(seconds):
        raise ValueError(f"{seconds} is no time")
    return seconds


def _tokens(cell: Any) -> int:  # Any: a cell's text, or a value of JSON
    count = float(cell)
    if not (0 <= count <= _MOST_TOKENS and count == int(count)):
        raise ValueError(f"{cell!r} is no number of tokens")
    return int(count)
