"""
Long-running operations of the three kinds: AIP's, Compute's and DNS's.

An operation goes on at Google whatever becomes of the process that waits for it. A new process can wait for it by its
name: `finish("run", "projects/p/locations/l/operations/o")`.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from homeport.backoff import Backoff
from homeport.errors import (
    AlreadyExists,
    ApiDisabled,
    Conflict,
    GoogleError,
    HomeportError,
    InvalidArgument,
    NetworkError,
    OperationFailed,
    OutOfCapacity,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
    RemoteError,
)
from homeport.google.call import ApiCall, ApiClient
from homeport.google.error_kinds import of_google
from homeport.google.errors import RequestContext, error_of
from homeport.google.refusal import of_operation
from homeport.google.retry import looks
from homeport.json_types import Json
from homeport.progress import Progress

LONGEST = 1800.0
_WAIT_S = 30.0
_COMPUTE_WAIT_S = 120.0
"""Compute's own wait answers after two minutes at the latest."""
_VERSIONED = re.compile(r"(?:compute/|dns/|storage/)?v\d\w*/")
_VERSIONS = {
    "apikeys": "v2",
    "run": "v2",
    "cloudresourcemanager": "v3",
    "logging": "v2",
    "dns": "dns/v1",
    "compute": "compute/v1",
}
_SAYING: tuple[type[RemoteError], ...] = (
    AlreadyExists, ApiDisabled, Conflict, InvalidArgument, OutOfCapacity, PermissionDenied, PolicyViolated,
    QuotaExceeded,
)  # fmt: skip
"""The errors that a failed operation may become. A `NotFound` is not among them: what is not there is not the thing
that was made, but something that it needs."""


@dataclass(frozen=True, slots=True)
class ProgressLabel:
    """Who hears of an operation, and under which words."""

    progress: Progress
    key: str = ""
    what: str = ""
    """In a few words; '' where somebody else tells that it began and ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operation:
    """Where an operation is."""

    api: str
    path: str

    @property
    def waits(self) -> bool:
        """Tell whether there is a method that waits for it."""
        return self.api in {"compute", "run"} and "/operations/" in self.path


async def finish(
    google: ApiClient, api: str, operation: Any, label: ProgressLabel, *, deadline: float = LONGEST
) -> Any:  # Any: JSON, or its name
    """
    Wait for an operation, and return what it came to: AIP's `response`, what a Compute operation was about, a
    DNS change that is done.

    `operation` is the answer that began it, or its name. A DNS change does not say where it is: name it by its
    path, `dns/v1/projects/P/managedZones/Z/changes/ID`. Raises the error that the failure stands for, else
    `OperationFailed`; `NetworkError` where it takes longer than `deadline` seconds. Where the waiting is
    cancelled, or too long, the operation goes on at Google, and a note says so.
    """
    if isinstance(operation, dict) and is_done(operation):
        return await _outcome(google, api, operation)
    if str(operation).endswith("noop.DONE_OPERATION"):
        return {}
    if not label.what:
        return await _finished(google, _place(google, api, operation), label, deadline)
    label.progress.started(label.key, label.what)
    try:
        result = await _finished(google, _place(google, api, operation), label, deadline)
    except HomeportError as error:
        label.progress.failed(label.key, str(error))
        raise
    label.progress.finished(label.key, label.what)
    return result


async def cancel(google: ApiClient, api: str, operation: Any) -> None:  # Any: JSON, or its name
    """
    Ask Google to give an operation up; what it has done stays done. Doing so twice is doing it once.

    Raises `GoogleError` for an operation of Compute or DNS: those cannot be given up.
    """
    place = _place(google, api, operation)
    if api in {"compute", "dns"}:
        raise GoogleError(
            f"{place.path} cannot be given up: {api} has no such method",
            request=f"POST {api}.googleapis.com/{place.path}",
            hint="wait for it, and undo what it did",
        )
    await google.post(api, f"{place.path}:cancel", {}, repeatable=True)


def is_done(operation: Json) -> bool:
    """Return True if an operation, of whichever kind, is done."""
    return operation.get("done") is True or operation.get("status") in {"DONE", "done"}


async def _finished(google: ApiClient, place: _Operation, label: ProgressLabel, deadline: float) -> Json:
    title = label.what or label.key or "an operation"
    try:
        async with asyncio.timeout(deadline):
            done = await _awaited(google, place, looks(title, deadline))
    except TimeoutError:
        raise NetworkError(
            f"{title} is not done after {deadline:g} s; it goes on at Google as {place.path}",
            hint="run the same command again: it goes on from what is there by then",
        ) from None
    except asyncio.CancelledError:
        label.progress.note(f"{title} goes on at Google as {place.path}")
        raise
    return await _outcome(google, place.api, done)


async def _awaited(google: ApiClient, place: _Operation, wait: Backoff) -> Json:
    while True:
        if not place.waits:
            await _next_look(wait)
        operation = await _look(google, place)
        if is_done(operation):
            return operation
        if place.waits:
            await _next_look(wait)


async def _next_look(wait: Backoff) -> None:
    if not await wait.pause():
        raise TimeoutError


async def _look(google: ApiClient, place: _Operation) -> Json:
    if not place.waits:
        return await google.get(place.api, place.path)
    call = ApiCall(
        verb="POST",
        api=place.api,
        path=f"{place.path}/wait" if place.api == "compute" else f"{place.path}:wait",
        body=None if place.api == "compute" else {"timeout": f"{_WAIT_S:g}s"},
        waits=_COMPUTE_WAIT_S if place.api == "compute" else _WAIT_S,
    )
    return (await google.send(call)).json()


def _place(google: ApiClient, api: str, operation: Any) -> _Operation:  # Any: JSON, or its name
    if isinstance(operation, dict):
        name = str(operation.get("selfLink") or operation.get("name") or _dns_path(google, operation))
    else:
        name = str(operation)
    if "://" in name:
        name = urlsplit(name).path
    name = name.lstrip("/")
    if _VERSIONED.match(name):
        return _Operation(api=api, path=name)
    return _Operation(api=api, path=f"{_version(api, operation)}/{name}")


def _version(api: str, operation: Any) -> str:  # Any: JSON, or its name
    kind = str(operation.get("metadata", {}).get("@type", "")) if isinstance(operation, dict) else ""
    if api == "cloudbuild" and ".v2." in kind:
        return "v2"
    return _VERSIONS.get(api, "v1")


def _dns_path(google: ApiClient, operation: Json) -> str:
    zone = operation.get("zoneContext", {}).get("newValue", {}).get("name")
    if not zone or not google.project:
        raise ValueError("an operation without a name; a DNS change is named by its path")
    return f"projects/{google.project}/managedZones/{zone}/operations/{operation['id']}"


async def _outcome(google: ApiClient, api: str, operation: Json) -> Json:
    error = operation.get("error")
    if error:
        raise _failure(google, api, operation)
    if operation.get("kind") == "compute#operation":
        target = urlsplit(str(operation.get("targetLink", ""))).path.lstrip("/")
        gone = str(operation.get("operationType", "")).lower().endswith("delete")
        return {} if gone or not target else await google.get(api, target)
    if operation.get("kind") == "dns#operation":
        return operation.get("zoneContext", {}).get("newValue", operation)
    if str(operation.get("kind", "")).startswith("dns#"):
        return operation
    return operation.get("response", {})


def is_operation(answer: Json) -> bool:
    """Return True if an answer is an operation, of whichever of the three kinds, rather than the thing itself."""
    if not isinstance(answer, dict):
        return False
    if str(answer.get("kind", "")).endswith("#operation"):
        return True
    return "/operations/" in f"/{answer.get('name', '')}"


def _failure(google: ApiClient, api: str, operation: Json) -> HomeportError:
    name = str(operation.get("targetLink") or operation.get("name") or "")
    target = operation.get("metadata", {}).get("target") or operation.get("metadata", {}).get("name") or name
    about = urlsplit(target).path.lstrip("/") if "://" in str(target) else str(target)
    request = RequestContext(
        verb="the operation of",
        host=f"{api}.googleapis.com",
        path=about,
        project=google.project,
        principal=google.credentials.principal,
    )
    refusal = of_operation(operation["error"])
    error = error_of(refusal, request)
    kind = next((kind for kind in _SAYING if isinstance(error, kind)), OperationFailed)
    return of_google(kind)(
        f"{refusal.message} ({api}: {about})" if kind is OperationFailed else str(error),
        reason=refusal.reason or refusal.status,
        request=request.text,
        hint=error.hint,
        url=error.url,
    )
