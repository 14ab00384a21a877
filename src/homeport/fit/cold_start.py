"""The expected cold start of a model server on a Cloud Run GPU: a sum of terms, each with its arithmetic and source."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_GB = 1e9
_COMPILED = {"compile": "compile", "warm_up": "warm-up"}
_EAGER = {"eager": "warm-up"}
_KEPT = {"cached_compile": "compile", "warm_up": "warm-up"}
"""What an engine may do between its start and its first token, as the file and as a term calls it; not each does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStartTerm:
    """One thing that takes time before the first token."""

    name: str
    """`instance`, `image`, `restore`, `engine`, `fetch`, `load`, `compile`, `warm-up` or `first-token`."""
    low: float
    """Seconds, where all goes well."""
    likely: float
    high: float
    how: str
    """The arithmetic in words."""
    source: str
    """Where its figures were published."""
    checked: bool
    """Whether somebody measured it on Cloud Run with a GPU; homeport has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """How long it takes from nothing to the first token, in seconds."""

    terms: tuple[ColdStartTerm, ...]
    """In the order in which they pass, by published figures alone."""
    engine: str
    delivery: str
    factor: float = 1.0
    """By which starts of the user's own took longer than the terms say: see `homeport.fit.own_starts`."""
    own_starts: int = 0
    """How many starts the factor comes from."""

    @property
    def low(self) -> float:
        """Return the seconds where every term goes well."""
        # Python 3.12 adds more exactly than 3.11 does; this is the same in both.
        return math.fsum(term.low for term in self.terms) * self.factor

    @property
    def likely(self) -> float:
        """Return the seconds to expect."""
        return math.fsum(term.likely for term in self.terms) * self.factor

    @property
    def high(self) -> float:
        """Return the seconds where every term goes badly. Worse was seen: see docs/cold-start.md."""
        return math.fsum(term.high for term in self.terms) * self.factor

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Return the names of the terms that nobody is known to have measured on Cloud Run."""
        return tuple(term.name for term in self.terms if not term.checked)

    @property
    def text(self) -> str:
        """Describe the sum in words, such as `40 s (20 s to 2 min)`."""
        return f"{_duration(self.likely)} ({_duration(self.low)} to {_duration(self.high)})"

    @property
    def source(self) -> str:
        """Return what it rests on, in words."""
        if not self.own_starts:
            return "expected from published figures"
        starts = f"{self.own_starts} start{'s' if self.own_starts > 1 else ''}"
        return f"expected from published figures, times {self.factor:.2f} by {starts} of your own"

    def term(self, name: str) -> ColdStartTerm | None:
        """Return the term of this name, or None where it does not arise."""
        return next((term for term in self.terms if term.name == name), None)

    def as_json(self) -> dict[str, object]:
        """Return what `--json` shows of it."""
        return {
            "low_s": round(self.low, 1),
            "likely_s": round(self.likely, 1),
            "high_s": round(self.high, 1),
            "text": self.text,
            "engine": self.engine,
            "delivery": self.delivery,
            "factor": round(self.factor, 3),
            "own_starts": self.own_starts,
            "unconfirmed": list(self.unconfirmed),
            "terms": [
                {
                    "name": term.name,
                    "low_s": round(term.low, 1),
                    "likely_s": round(term.likely, 1),
                    "high_s": round(term.high, 1),
                    "how": term.how,
                    "source": term.source,
                    "checked": term.checked,
                }
                for term in self.terms
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySpeed:
    """How weights get to the engine, and how fast."""

    name: str
    """As `expected` takes it, such as `gcsfuse-cached`."""
    title: str
    slow: float
    """Bytes a second."""
    likely: float
    fast: float
    second_pass: bool
    """Whether the weights are whole on the instance first and go to the GPU from there."""
    engines: tuple[str, ...]
    """Those that can take their weights so, whether homeport brings them so or not."""
    options: tuple[str, ...]
    """Options of the mount or arguments of the engine that this is about."""
    source: str
    checked: bool


def expected(
    *,
    engine: str,
    delivery: str,
    weights_bytes: int,
    image_bytes: int | None = None,
    compiled: bool = True,
    kept: bool = False,
) -> ColdStart:
    """
    Return the cold start of `engine` that gets weights of this size by this delivery.

    `image_bytes` is the compressed image without weights, and defaults to what the engine's own image has.
    `compiled` is False where an engine that can compile and capture graphs is told not to (vLLM's `--enforce-eager`).
    `kept` is True where a startup cache of an earlier start is restored; an engine that compiles nothing keeps none.
    """
    chosen = _chosen(delivery, engine)
    if weights_bytes < 0 or (image_bytes is not None and image_bytes < 0):
        raise ValueError("a size in bytes is not negative")
    facts = _table()["engine"][engine]
    if kept and not (compiled and "restore" in facts):
        raise ValueError(f"{engine} keeps nothing of a start{'' if compiled else ' that compiles nothing'}")
    image = facts["image_bytes"] if image_bytes is None else image_bytes
    terms = [
        _fixed("instance", _table()["instance"]),
        _image(image),
        *([_fixed("restore", facts["restore"])] if kept else []),
        _fixed("engine", facts["start"]),
        _read("fetch", weights_bytes, chosen),
    ]
    if chosen.second_pass:
        terms.append(_load(weights_bytes))
    more = (_KEPT if kept else _COMPILED) if compiled else _EAGER
    terms += [_fixed(name, facts[key]) for key, name in more.items() if key in facts]
    last = _fixed("first-token", _table()["first_token"])
    return ColdStart(terms=(*terms, last), engine=engine, delivery=chosen.name)


def image_bytes(engine: str) -> int:
    """Return the compressed size of the engine's own image, without weights."""
    size: int = _table()["engine"][engine]["image_bytes"]
    return size


@cache
def deliveries() -> tuple[DeliverySpeed, ...]:
    """Return every delivery of weights whose speed is known, those that homeport does not use included."""
    return tuple(_parsed(name, entry) for name, entry in _table()["delivery"].items())


def _chosen(name: str, engine: str) -> DeliverySpeed:
    known = [delivery for delivery in deliveries() if engine in delivery.engines]
    chosen = next((delivery for delivery in known if delivery.name == name), None)
    if chosen is None:
        raise ValueError(
            f"{engine} has no delivery {name!r}; it has {', '.join(delivery.name for delivery in known)}"
        )
    return chosen


def _parsed(name: str, entry: dict[str, Any]) -> DeliverySpeed:  # Any: the values of a TOML table
    slow, likely, fast = entry["bytes_per_s"]
    return DeliverySpeed(
        name=name,
        title=entry["title"],
        slow=slow,
        likely=likely,
        fast=fast,
        second_pass=entry["second_pass"],
        engines=tuple(entry["engines"]),
        options=tuple(entry["options"]),
        source=entry["source"],
        checked=entry["checked"],
    )


def _fixed(name: str, entry: dict[str, Any]) -> ColdStartTerm:  # Any: the values of a TOML table
    low, likely, high = entry["seconds"]
    return ColdStartTerm(
        name=name,
        low=low,
        likely=likely,
        high=high,
        how=entry["how"],
        source=entry["source"],
        checked=entry["checked"],
    )


def _image(size: int) -> ColdStartTerm:
    entry = _table()["image"]
    fixed, rate = _fixed("image", entry), entry["high_bytes_per_s"]
    return ColdStartTerm(
        name=fixed.name,
        low=fixed.low,
        likely=fixed.likely,
        high=fixed.high + size / rate,
        how=f"{fixed.how}: {_gb(size)} GB at {_gb(rate)} GB/s",
        source=fixed.source,
        checked=fixed.checked,
    )


def _read(name: str, size: int, by: DeliverySpeed) -> ColdStartTerm:
    how = f"{_gb(size)} GB {by.title}: {_rates(by.slow, by.likely, by.fast)}"
    return ColdStartTerm(
        name=name,
        low=size / by.fast,
        likely=size / by.likely,
        high=size / by.slow,
        how=how,
        source=by.source,
        checked=by.checked,
    )


def _load(size: int) -> ColdStartTerm:
    entry = _table()["load"]
    slow, likely, fast = entry["bytes_per_s"]
    return ColdStartTerm(
        name="load",
        low=size / fast,
        likely=size / likely,
        high=size / slow,
        how=f"{_gb(size)} GB, {entry['how']}: {_rates(slow, likely, fast)}",
        source=entry["source"],
        checked=entry["checked"],
    )


def _rates(slow: float, likely: float, fast: float) -> str:
    return f"{_gb(likely)} GB/s ({_gb(slow)} to {_gb(fast)})"


def _gb(size: float) -> str:
    return f"{size / _GB:.2g}" if size < 100 * _GB else f"{size / _GB:.0f}"


def _duration(seconds: float) -> str:
    """Return a duration rounded as coarsely as it is known: seconds, fives of seconds, half minutes, minutes."""
    steps: tuple[tuple[float, float, float, str], ...] = (
        (20, 1, 1, "s"),
        (90, 5, 1, "s"),
        (600, 30, 60, "min"),
        (float("inf"), 60, 60, "min"),
    )
    step, unit, name = next((step, unit, name) for below, step, unit, name in steps if seconds < below)
    return f"{round(seconds / step) * step / unit:g} {name}"


@cache
def _table() -> dict[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads(
        (Path(__file__).parent.parent / "catalog" / "cold_start.toml").read_text(encoding="utf-8")
    )
