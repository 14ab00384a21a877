"""Is everyone refused who does not hold the key?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from homeport.endpoint import Endpoint
from homeport.engines.registry import served_paths
from homeport.secret import Secret
from homeport.verify.checks.load import together
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

if TYPE_CHECKING:
    import httpx2

_REFUSED = frozenset({401, 403})
_ABSENT = frozenset({404, 405, 415})
"""Nothing is there for that method. (llama.cpp answers 415 at `/` to those who do not take gzip.)"""
_PAGES = ("/", "/index.html", "/docs", "/redoc", "/openapi.json", "/favicon.ico", "/static/index.html")
"""Pages for people; other paths are those of engines, and each engine says its own."""
_SHORT = 200
"""Characters in which a server can say that it lives, and not much else."""
_AT_ONCE = 8
"""Requests; a refusal costs an engine nothing, and one that is let in but waits must not keep the others from it."""
_BODY = {
    "prompt": "hi",
    "messages": [{"role": "user", "content": "hi"}],
    "input": "hi",
    "content": "hi",
    "max_tokens": 1,
}
"""What makes any of the paths work if it is open. The model is left out, so that an echo of it gives nothing away."""


@dataclass(frozen=True, slots=True)
class GuardedPaths:
    """What is asked of a server by one who does not hold its key."""

    requests: tuple[tuple[str, str], ...]
    """Methods with their paths."""
    may_be_open: frozenset[str]
    not_posted: frozenset[str]
    """
    Paths that are asked with GET alone, for what a POST would do. 405 is no refusal here: it tells that the path is there
    and that nobody asked for the key.
    """


@cache
def paths() -> GuardedPaths:
    """Return the paths of all engines, and those under which servers show pages."""
    engines = served_paths()
    probed = dict.fromkeys((*_PAGES, *(path for engine in engines for path in engine.asked)))
    only_got = dict.fromkeys(path for engine in engines for path in engine.only_got)
    requests = [(method, path) for path in probed for method in ("GET", "POST")]
    return GuardedPaths(
        requests=(*requests, *(("GET", path) for path in only_got)),
        may_be_open=frozenset(path for engine in engines for path in engine.open),
        not_posted=frozenset(only_got),
    )


async def keys(subject: VerificationSubject) -> Finding:
    """Check that without a key and with a wrong one no path answers but those that only say that the server lives."""
    endpoint = subject.endpoint
    if endpoint.api_key is None:
        return skipped(_unkeyed(endpoint))
    callers = {
        "no key": replace(endpoint, api_key=None),
        "a wrong key": replace(endpoint, api_key=Secret("wrong", made_up=True)),
    }
    problems: list[str] = []
    opened: dict[str, str] = {}
    for caller, stranger in callers.items():
        for method, path, response in await _probe(stranger):
            problem = _problem(subject, path, response)
            if problem:
                problems.append(f"{method} {path} with {caller} {problem}")
            elif response.is_success:
                opened[path] = response.text
    count = len(callers) * len(paths().requests)
    evidence = {"requests": count, "open": opened, "problems": problems}
    if problems:
        rest = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        return failed(f"not refused: {'; '.join(problems[:3])}{rest}", **evidence)
    but = f" but {', '.join(sorted(opened))}, which only say that it lives" if opened else ""
    return passed(f"{count} requests, all refused{but}", **evidence)


async def _probe(stranger: Endpoint) -> list[tuple[str, str, httpx2.Response]]:
    """Return the answers to all requests, of which only some are made at a time."""
    slots = asyncio.Semaphore(_AT_ONCE)
    async with stranger.client(timeout_s=30) as client:

        async def probe(method: str, path: str) -> tuple[str, str, httpx2.Response]:
            async with slots:
                body = _BODY if method == "POST" else None
                return method, path, await client.request(method, path, json=body)

        return await together(probe(method, path) for method, path in paths().requests)


def _problem(subject: VerificationSubject, path: str, response: httpx2.Response) -> str:
    """Return why this answer to a stranger is one too many, or ''."""
    status, text = response.status_code, response.text
    if status in _REFUSED:
        return ""
    leaked = [word for word in _private(subject) if word in text]
    if leaked:
        return f"gets {status} and tells {leaked[0]!r}"
    if status in _ABSENT:
        unguarded = status == 405 and path in paths().not_posted
        return "gets 405: it is there, and does not ask for the key" if unguarded else ""
    if response.is_success and path in paths().may_be_open and len(text) <= _SHORT:
        return ""
    return f"gets {status}"


def _private(subject: VerificationSubject) -> Iterator[str]:
    """Return what a stranger must not learn. Very short names would be found in any text."""
    yield from (word for word in (subject.endpoint.model, subject.weights_path) if len(word) > 4)


def _unkeyed(endpoint: Endpoint) -> str:
    host = urlsplit(endpoint.base_url).hostname or ""
    try:
        loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if loopback:
        return "no key is set: all that runs on this machine, web pages in its browser too, can use it"
    return f"no key is set; what keeps strangers from {host} was not checked"
