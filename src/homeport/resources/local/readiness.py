"""Ready means that a token came out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from homeport.backoff import Backoff
from homeport.engines.base import Launch
from homeport.engines.registry import module
from homeport.errors import EndpointError, EngineFailed, HomeportError
from homeport.resources.local.engine_request import Unanswered, ask
from homeport.secret import Secret

_FIRST_WAIT_S, _LONGER, _LONGEST_WAIT_S = 0.01, 1.004, 0.05
"""Each pause is 0.4 % longer than the one before: that an engine is ready is seen late by half of 10 ms and of 0.4 % of its start, in the mean."""
_ASKED_S = 5.0
_MOST_ERRORS, _LONGEST_LINE = 4, 400
_ERROR = re.compile(
    r"(?:^|\s)E\s|\b(?:ERROR|FATAL|CRITICAL)\b|[a-z]Error: |[Ee]xception: |\b(?:error|failed|unable to|unsupported|unknown)\b"
)
_NO_ERROR = re.compile(r"\bI\s+\S+\s|\b(?:INFO|DEBUG)\b|^\s+File \"|error[_-]correct", re.ASCII)
_TAIL_LINES = 12
_PIECE = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How an engine answers right now."""

    answers: bool
    """It lists its models to clients with the key."""
    key_refused: bool
    """It runs, and refuses the key that it is asked with; or needs none although one is wanted."""


async def probe(url: str, api_key: Secret | None) -> Probe:
    """Ask the engine at `url` for its models, with the key, and without it where there is one."""
    try:
        listed = await ask(url, "/v1/models", headers=headers(api_key), within_s=_ASKED_S)
        bare = await ask(url, "/v1/models", within_s=_ASKED_S) if api_key else None
    except Unanswered:
        return Probe(answers=False, key_refused=False)
    refused = listed.status in {401, 403} or (bare is not None and bare.is_success)
    return Probe(answers=listed.is_success, key_refused=refused)


async def await_first_token(
    launch: Launch, process: psutil.Process, api_key: Secret | None, begun: float, log: Path
) -> dict[str, float]:
    """
    Wait until the engine has generated a token.

    Returns the seconds of each part of the start: `process` until something answers on the port, `load`
    until it is healthy, `first_token` until a token came out. `begun` is when the process started, on the
    monotonic clock. Raises `EngineFailed`, or what the engine's log explains, where the process ends or the
    launch's time runs out.
    """
    deadline = begun + launch.ready_within_s
    answered, status = 0.0, 0
    wait = Backoff(
        what=f"{launch.engine} to be healthy",
        within=deadline - time.monotonic(),
        first=_FIRST_WAIT_S,
        factor=_LONGER,
        longest=_LONGEST_WAIT_S,
    )
    while status != 200:
        try:
            status = (await ask(launch.url, launch.health_path, within_s=_ASKED_S)).status
            answered = answered or time.monotonic()
        except Unanswered:
            pass
        if status != 200:
            _check(launch, process, deadline, log)
            await wait.pause()
    healthy = time.monotonic()
    if launch.setup:
        await _set_up(launch, deadline)
    await _one_token(launch, api_key, deadline)
    # The token was our process's, not that of another on its port.
    _check(launch, process, float("inf"), log)
    return {
        "process": round(answered - begun, 3),
        "load": round(healthy - answered, 3),
        "first_token": round(time.monotonic() - healthy, 3),
    }


async def _set_up(launch: Launch, deadline: float) -> None:
    import httpx2

    async with httpx2.AsyncClient(base_url=launch.url, timeout=5, trust_env=False, verify=False) as client:
        for setup in launch.setup:
            left = max(1, deadline - time.monotonic())
            if not setup.upload:
                answer = await client.post(setup.path, json=dict(setup.body), timeout=left)
            elif (await client.head(setup.path)).is_success:
                continue
            else:
                file = Path(setup.upload)
                size = {"Content-Length": f"{(await asyncio.to_thread(file.stat)).st_size}"}
                answer = await client.post(setup.path, content=_pieces(file), headers=size, timeout=left)
            if answer.is_error:
                raise EngineFailed(f"{launch.engine} could not {setup.what}: {answer.text[:300]}")


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            yield piece


async def _one_token(launch: Launch, key: Secret | None, deadline: float) -> None:
    left = max(1.0, deadline - time.monotonic())
    request = first_request(launch.task, launch.model)
    try:
        answer = await ask(launch.url, FIRST[launch.task], body=request, headers=headers(key), within_s=left)
    except Unanswered as error:
        raise EngineFailed(
            f"{launch.engine} was healthy and then gave no token: {error}",
            hint="`homeport logs` shows why",
        ) from error
    if not answer.is_success:
        text = f"{launch.engine} refused to generate a token ({answer.status}): {answer.text[:300]}"
        raise EndpointError(
            text, status=answer.status, body=answer.text[:1024], hint="`homeport logs` shows why"
        )


FIRST = {"generate": "/v1/completions", "embed": "/v1/embeddings"}
"""Where an engine is asked whether it works, by its task."""


def first_request(task: str, model: str) -> dict[str, object]:
    """Return the body of the smallest request that an engine answers: with a token, or with a vector."""
    if task == "embed":
        return {"model": model, "input": "Hello"}
    return {"model": model, "prompt": "Hello", "max_tokens": 1}


def headers(api_key: Secret | None) -> dict[str, str]:
    """Return the key as clients send it."""
    return {"Authorization": f"Bearer {api_key.reveal()}"} if api_key else {}


def _check(launch: Launch, process: psutil.Process, deadline: float, log: Path) -> None:
    try:
        gone = process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        gone = True
    if gone:
        raise _failure(launch, "ended while it was starting", log)
    if time.monotonic() > deadline:
        raise _failure(launch, f"was not ready within {launch.ready_within_s:.0f} s", log)


def error_lines(lines: Sequence[str]) -> list[str]:
    """Return the first lines in which an engine tells of an error: the cause stands there, and what follows from it later."""
    errors = (line for line in lines if _ERROR.search(line) and not _NO_ERROR.search(line))
    return list(dict.fromkeys(errors))[:_MOST_ERRORS]


def _failure(launch: Launch, what: str, log: Path) -> HomeportError:
    lines = log.read_text(errors="replace").splitlines()
    explained = module(launch.engine).explain("\n".join(lines))
    shown = "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])
    causes = "".join(f"\n    {line[:_LONGEST_LINE]}" for line in error_lines(lines[:-_TAIL_LINES]))
    before = f" What it said of errors before:{causes}\n  And" if causes else ""
    text = f"{launch.engine} {what}.{before} {'the' if before else 'The'} end of {log}:\n{shown}"
    if explained is None:
        return EngineFailed(text, hint="`homeport logs` shows the whole log")
    explained.args = (f"{explained}\n  {text}",)
    return explained
