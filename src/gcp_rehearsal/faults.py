"""Faults on demand: the n-th call of a method fails, is late, or loses its answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from string import ascii_lowercase, digits
from typing import Any

from gcp_rehearsal import discovery
from gcp_rehearsal.errors import FaultError
from gcp_rehearsal.regions import ZONES

REQUESTS = "run.requests"
"""What requests to services count as, followed by region and service: `run.requests.us-central1.home`."""
REGISTRY = "docker.manifests"
"""What requests to a registry of images count as, followed by their verb."""
_REGISTRY_METHODS = (f"{REGISTRY}.get", f"{REGISTRY}.head")
_HOW = (
    "METHOD:WHAT[:after][:nth=N][:times=N], WHAT being 429, 500, 503, drop, twin, delay=SECONDS or "
    "jump=SECONDS, such as 'storage.buckets.insert:500:after'"
)
_SERVICE = re.compile(r"[a-z]([-a-z0-9]{0,47}[a-z0-9])?")
_LETTERS = f"{ascii_lowercase}{digits}-"
_WILD = re.compile(r"\*|\?|\[!?.[^]]*\]")


@dataclass(slots=True, kw_only=True)
class Fault:
    """
    What goes wrong, and when.

    Before the commit nothing has been done when it strikes; `after` it, all has been done, and only the answer
    is lost. Raises `FaultError` for one that no call could ever bring about.
    """

    method: str = "*"
    """
    The method's id, or a pattern such as `run.*.create`; `run.requests.REGION.*` is every request to a service of a region.

    What is of both, such as `run.*`, is methods alone.
    """
    nth: int = 1
    """At which of its calls, counted from one."""
    times: int = 1
    """At how many calls in a row."""
    status: int = 0
    """An HTTP status to answer with."""
    drop: bool = False
    """Whether the connection is dropped instead."""
    delay: float = 0.0
    """Seconds by which the answer is late."""
    jump: float = 0.0
    """Seconds by which the clock jumps."""
    twin: bool = False
    """Whether another caller's very same request is done just before, so that this one comes second."""
    after: bool = False
    """Whether it strikes after the commit."""
    seen: int = field(default=0, compare=False)
    of_requests: bool = field(default=False, init=False, compare=False)
    """Whether it strikes requests to services, and no method."""

    def __post_init__(self) -> None:
        if _is_method(self.method):
            return
        if not _is_request(self.method):
            raise _never(self.method)
        self.of_requests = True
        _ensure_strikes_requests(self)

    def strikes(self, method: str) -> bool:
        """Return True if it strikes this call, which is counted."""
        if not fnmatchcase(method, self.method):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def parse(text: str) -> Fault:
    """
    Return the fault of a text such as `storage.buckets.insert:500:after` or
    `run.*.create:delay=30:nth=2:times=3`.

    Raises `FaultError` for anything else.
    """
    method, *parts = text.split(":")
    try:
        what = dict(_part(part) for part in parts)
    except ValueError:
        what = {}
    if not method or not what.keys() - {"after", "nth", "times"}:
        raise FaultError(f"{text!r} is no fault", hint=_HOW)
    return Fault(method=method, **what)


def _part(text: str) -> tuple[str, Any]:  # Any: of each field its own
    key, _, value = text.partition("=")
    if key in {"after", "drop", "twin"} and not value:
        return key, True
    if key in {"nth", "times"}:
        return key, _positive(int(value))
    if key in {"delay", "jump"}:
        return key, float(_positive(float(value)))
    if not 400 <= int(text) < 600:
        raise ValueError(text)
    return "status", int(text)


def _positive(number: float) -> float:
    if not (math.isfinite(number) and number > 0):
        raise ValueError(number)
    return number


def _ensure_strikes_requests(fault: Fault) -> None:
    """Raise `FaultError` for what never strikes a request to a service."""
    never = next((word for word in ("after", "jump", "twin") if getattr(fault, word)), "")
    if never:
        raise FaultError(
            f"{never!r} never strikes a request to a service",
            hint=f"{REQUESTS}.REGION.SERVICE takes an HTTP status, drop or delay=SECONDS, before the request is served",
        )


def _never(pattern: str) -> FaultError:
    """Return the error of a pattern that neither a method nor a request is of, with what to write instead."""
    if pattern.startswith(REQUESTS):
        return FaultError(
            f"{pattern!r} names no request to a service",
            hint=f"{REQUESTS}.REGION.SERVICE, such as '{REQUESTS}.us-central1.*'; regions are {', '.join(sorted(ZONES))}",
        )
    return FaultError(f"{pattern!r} is no method that is rehearsed", hint=_instead_of(pattern))


def _is_request(pattern: str) -> bool:
    """Return True if a request to some service of some region is of that pattern."""
    # What a service is called is the end of the pattern, from wherever its region ends.
    ends = {_WILD.sub(_one_of, pattern[start:]) for start in range(len(pattern))}
    return any(
        fnmatchcase(f"{REQUESTS}.{region}.{name}", pattern)
        for name in ends
        if _SERVICE.fullmatch(name)
        for region in ZONES
    )


def _one_of(wild: re.Match[str]) -> str:
    """Return a letter of a service's name that a wildcard stands for; '' where it stands for none."""
    return next((letter for letter in _LETTERS if fnmatchcase(letter, wild[0])), "")


@cache
def _is_method(pattern: str) -> bool:
    """Return True if a method's id is of that pattern, looked for in documents of its own API alone where it names one."""
    if pattern == "*" or any(fnmatchcase(name, pattern) for name in _REGISTRY_METHODS):
        return True
    api = pattern.partition(".")[0]
    names = [name for name in discovery.NAMES if fnmatchcase(name.partition(".")[0], api)]
    # A star takes dots, too: the first word of a pattern may stand for more than an API.
    names = names if "*" not in api else list(discovery.NAMES)
    return any(fnmatchcase(method, pattern) for name in names for method in discovery.load(name).methods)


def _instead_of(pattern: str) -> str:
    """Return what to write instead of a method that is none: the nearest of its API, or else the APIs."""
    apis = sorted({name.partition(".")[0] for name in discovery.NAMES} | {REGISTRY.partition(".")[0]})
    meant = get_close_matches(pattern.partition(".")[0], apis, n=1, cutoff=0.75)
    ids = {
        method for name in discovery.NAMES if name.partition(".")[0] in meant
        for method in discovery.load(name).methods
    }  # fmt: skip
    ids.update(name for name in _REGISTRY_METHODS if name.partition(".")[0] in meant)
    near = get_close_matches(pattern, sorted(ids), n=3)
    if near:
        return f"the nearest: {', '.join(near)}"
    known = f"methods of {meant[0]} are" if meant else f"APIs are {', '.join(apis)}; methods are"
    return f"{known} named as in Google's reference, such as storage.buckets.insert, with * for anything"
