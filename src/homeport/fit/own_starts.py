"""
Starts from zero that the user measured: by how much they took longer than published figures say corrects what is expected.

One factor for each engine and way of its weights: the geometric mean of measured over expected, since starts are off by
factors and not by seconds. Terms are not corrected one by one: logs do not tell all of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pydantic import TypeAdapter, ValidationError

from homeport.errors import SpecError, StateError
from homeport.fit.cold_start import ColdStart
from homeport.home import Home, find_home, private_folder, write_private
from homeport.own_path import content_of

_FILE = "cold-starts.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStart:
    """A start from zero that was measured."""

    endpoint: str
    started_at: str
    """When its verification began, ISO 8601."""
    engine: str
    delivery: str
    seconds: float
    """From the request to the first token."""
    published_s: float
    """What published figures alone said of it."""

    @property
    def ratio(self) -> float:
        """Return measured over expected."""
        return self.seconds / self.published_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What starts of one's own change for one engine and way of its weights."""

    engine: str
    delivery: str
    starts: int
    factor_before: float
    factor: float
    error_before: float
    """The median of how far off what was expected is, as a share of it: with the factor until now, over all starts."""
    error: float


def corrected(start: ColdStart, home: Home | None = None) -> ColdStart:
    """Return what is expected, corrected by the user's own starts of this engine and way; as it is where there are none."""
    mine = [
        own.ratio
        for own in folded_starts(home)
        if (own.engine, own.delivery) == (start.engine, start.delivery)
    ]
    return replace(start, factor=_factor(mine), own_starts=len(mine)) if mine else start


def folded_starts(home: Home | None = None) -> tuple[OwnStart, ...]:
    """Return the starts that were folded in. Raises `StateError` where their file cannot be read."""
    path = _path(home)
    try:
        document = path.read_bytes()  # Most users have none, and need none of pydantic's.
        return TypeAdapter(tuple[OwnStart, ...]).validate_json(document)
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError) as error:
        raise StateError(
            f"{path} cannot be read", hint="`homeport cold-start forget` begins it anew"
        ) from error


def fold_in(found: Sequence[OwnStart], home: Home | None = None) -> list[Correction]:
    """
    Keep measured starts, each once, and return what they change, by engine and way.

    Raises `StateError` where they cannot be kept.
    """
    before = folded_starts(home)
    after = tuple(dict.fromkeys((*before, *found)))
    _write(after, home)
    return [
        _correction(before, after, engine, delivery)
        for engine, delivery in dict.fromkeys((start.engine, start.delivery) for start in found)
    ]


def forget(home: Home | None = None) -> bool:
    """Forget all starts; returns whether there were any. Raises `StateError` where their file cannot be removed."""
    path = _path(home)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StateError(f"{path} cannot be removed: {error.strerror}", hint="look who owns it") from error
    return True


def read_report(path: Path) -> OwnStart:
    """Return the start in a file with a report of `verify --cold --json`. Raises `SpecError` where there is none."""
    hint = "`homeport verify --on cloudrun --cold --json > FILE.json` writes one, and says why where nothing was measured"
    content = content_of(path, if_missing=hint)
    try:
        report: Any = json.loads(content)  # Any: JSON
        (cold,) = [result for result in report["results"] if result["name"] == "cold"]
        evidence: Mapping[str, Any] = cold["evidence"]  # Any: JSON
    except (ValueError, TypeError, KeyError) as error:
        raise SpecError(f"{path} is no report with a start from zero", hint=hint) from error
    if evidence.get("measured") is not True:
        raise SpecError(
            f"{path}: nothing was measured: {evidence.get('why') or cold.get('detail')}", hint=hint
        )
    if evidence.get("rehearsed"):
        raise SpecError(f"{path} was measured in a rehearsal: its seconds are this machine's", hint=hint)
    try:
        budget = evidence["budget"]
        start = TypeAdapter(OwnStart).validate_python(
            {
                "endpoint": report["endpoint"],
                "started_at": report["started_at"],
                "engine": budget["engine"],
                "delivery": budget["delivery"],
                "seconds": evidence["seconds"],
                "published_s": math.fsum(term["likely_s"] for term in budget["terms"]),
            }
        )
    except (ValidationError, KeyError, TypeError) as error:
        raise SpecError(f"{path} is a report of another version of homeport", hint=hint) from error
    if not (0 < start.seconds < math.inf and 0 < start.published_s < math.inf):
        raise SpecError(f"{path}: {start.seconds} s is no time that a start takes", hint=hint)
    return start


def _correction(
    before: Sequence[OwnStart], after: Sequence[OwnStart], engine: str, delivery: str
) -> Correction:
    old, new = (
        [start.ratio for start in starts if (start.engine, start.delivery) == (engine, delivery)]
        for starts in (before, after)
    )
    was, now = _factor(old) if old else 1.0, _factor(new)
    return Correction(
        engine=engine, delivery=delivery, starts=len(new), factor_before=round(was, 3), factor=round(now, 3),
        error_before=round(_error(new, was), 3), error=round(_error(new, now), 3),
    )  # fmt: skip


def _factor(ratios: Sequence[float]) -> float:
    return math.exp(fmean(math.log(ratio) for ratio in ratios))


def _error(ratios: Sequence[float], factor: float) -> float:
    return median(abs(ratio / factor - 1) for ratio in ratios)


def _path(home: Home | None) -> Path:
    return (find_home() if home is None else home).root / _FILE


def _write(starts: Sequence[OwnStart], home: Home | None) -> None:
    path = _path(home)
    try:
        private_folder(path.parent)
        write_private(path, TypeAdapter(list[OwnStart]).dump_json([*starts], indent=1).decode() + "\n")
    except OSError as error:
        raise StateError(f"{path} cannot be written: {error.strerror}", hint="look at its folder") from error
