"""How an endpoint on this machine is. The one place that decides: `status`, `plan` and `up` all ask here."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import psutil

from homeport.engines.base import Pulse
from homeport.engines.registry import module
from homeport.resources.local import process_tree
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.secret import Secret
from homeport.supervisor import journal
from homeport.supervisor.engine import cpu_seconds
from homeport.supervisor.journal import Journal, Phase, Restart

PATIENCE_S = 2.0
"""A token that took longer than this is none that somebody waits for."""
_LONG_WORK_S = 60.0
"""One piece of work, such as a long prompt on a slow machine, may keep an engine from answering so long."""
_WORKS = 0.1
"""CPU seconds per second that are work."""


class State(StrEnum):
    """What is said of an endpoint in a word."""

    STARTING = "starting"
    """No token has come out yet."""
    RUNNING = "running"
    """Its processes run and a token has come out once; it was not asked for one now."""
    READY = "ready"
    """A token came out within two seconds."""
    BUSY = "busy"
    """None did, and it works on others' requests."""
    UNRESPONSIVE = "unresponsive"
    """None did, and nothing else shows that it works."""
    RESTARTING = "restarting"
    """It died or was ended, and its supervisor starts it again."""
    UNSUPERVISED = "unsupervised"
    """It serves, and nobody would start it again."""
    FAILED = "failed"
    """Its supervisor gave it up."""
    DEAD = "dead"
    """Its processes are gone, and nobody stopped them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How an endpoint is now."""

    state: State
    why: str = ""
    """In words; '' where there is nothing to say."""
    engine: psutil.Process | None = None
    """None where none runs."""
    supervisor: psutil.Process | None = None
    key_refused: bool = False
    """It runs, and refuses the key that it is asked with; or needs none although one is wanted."""
    restarts: int = 0
    """How often it ended unasked since `up`."""
    last: Restart | None = None
    """The last time."""
    weights: dict[str, str] | None = None
    """What told the files of weights from others when the engine read them; None where nobody knows."""

    @property
    def serves(self) -> bool:
        """Tell whether requests are answered, at once or in their turn."""
        return self.state in {State.READY, State.BUSY, State.UNSUPERVISED}


def engine_of(remembered: EndpointRecord, folder: Path) -> psutil.Process | None:
    """Return the engine's process as it is now, after whatever restarts; None where none runs."""
    entry = journal.load(folder)
    if entry is not None and entry.engine_pid:
        process = process_tree.alive(entry.engine_pid, entry.engine_create_time, folder, entry.engine_ticks)
        if process is not None:
            return process
    return process_tree.alive(remembered.pid, remembered.create_time, folder, remembered.start_ticks)


def supervisor_of(remembered: EndpointRecord, folder: Path) -> psutil.Process | None:
    """Return the supervisor's process; None where none runs."""
    who = remembered.supervisor
    return process_tree.alive(int(who["pid"]), who["create_time"], folder) if who else None


async def condition(remembered: EndpointRecord, folder: Path, api_key: Secret | None) -> Condition:
    """Return how the endpoint is: looked up, and asked for a token with a patience of two seconds."""
    current, entry = unprobed(remembered, folder), journal.load(folder)
    if current.state is not State.RUNNING or current.engine is None:
        return current
    return _judged(await _with_answer(current, current.engine, remembered, api_key, entry))


def just_answered(remembered: EndpointRecord, folder: Path) -> Condition:
    """Return how the endpoint is of which a token came out a moment ago: it is not asked for another."""
    current = unprobed(remembered, folder)
    return _judged(replace(current, state=State.READY)) if current.state is State.RUNNING else current


def _judged(current: Condition) -> Condition:
    if current.serves and current.supervisor is None:
        return replace(current, state=State.UNSUPERVISED, why="it serves, and nothing would start it again")
    return current


def unprobed(remembered: EndpointRecord, folder: Path) -> Condition:
    """Return how the endpoint is as far as its processes tell: for those who look often, and must cost no tokens."""
    entry = journal.load(folder)
    current = Condition(
        state=State.DEAD,
        engine=engine_of(remembered, folder),
        supervisor=supervisor_of(remembered, folder),
        restarts=entry.restarts if entry else 0,
        last=entry.last if entry else None,
        weights=dict(entry.weights) if entry and entry.weights else None,
    )
    if current.supervisor is not None and entry is not None and entry.phase is Phase.RESTARTING:
        return replace(current, state=State.RESTARTING, why=entry.last.reason if entry.last else "")
    if current.engine is None:
        return _without_engine(current, remembered, entry)
    if not remembered.was_ready:
        return replace(current, state=State.STARTING)
    return replace(current, state=State.RUNNING)


def _without_engine(current: Condition, remembered: EndpointRecord, entry: Journal | None) -> Condition:
    why = entry.last.reason if entry and entry.last else "its processes are gone, and nobody stopped them"
    if entry is not None and entry.phase is Phase.FAILED:
        return replace(current, state=State.FAILED, why=why)
    restarts = remembered.spec.get("local", {}).get("restart") != "never"
    if current.supervisor is not None and restarts and remembered.was_ready:
        return replace(current, state=State.RESTARTING, why="its process is gone")
    return replace(current, state=State.DEAD, why=why)


async def _with_answer(
    current: Condition,
    engine: psutil.Process,
    remembered: EndpointRecord,
    api_key: Secret | None,
    entry: Journal | None,
) -> Condition:
    tree = _tree(engine)
    used, begun = cpu_seconds(tree), time.monotonic()
    answer = await _ask(remembered, api_key)
    works = cpu_seconds(tree) - used > _WORKS * (time.monotonic() - begun)
    silent = time.monotonic() - entry.silent_since if entry and entry.silent_since is not None else 0.0
    current = replace(current, key_refused=answer.key_refused)
    if answer.token or (answer.key_refused and not silent):
        # Without the key a refusal is all that can be had, and what the supervisor hears, who has it.
        return replace(current, state=State.READY)
    if answer.says_busy:
        return replace(current, state=State.BUSY, why="it works on other requests")
    if works and silent < _LONG_WORK_S:
        return replace(current, state=State.BUSY, why="it works, and answers nobody meanwhile")
    words = f"no token came out within {PATIENCE_S:.0f} s"
    if silent:
        words += f", and it has not answered its supervisor for {silent:.0f} s"
    return replace(current, state=State.UNRESPONSIVE, why=words)


@dataclass(frozen=True, slots=True)
class _Answer:
    token: bool
    key_refused: bool
    says_busy: bool


async def _ask(remembered: EndpointRecord, api_key: Secret | None) -> _Answer:
    pulse = module(remembered.launch["engine"]).PULSE
    token, open_to_all, says_busy = await asyncio.gather(
        _token(remembered, api_key),
        _lists_models(remembered.url) if api_key else _no(),
        _says_busy(remembered.url, pulse, api_key) if pulse else _no(),
    )
    refused = token in {401, 403} or open_to_all
    return _Answer(token == 200, refused, says_busy or token == 429)


async def _token(remembered: EndpointRecord, api_key: Secret | None) -> int:
    """Return the status with which a request for one token, or for a vector, is answered; 0 for none within the patience."""
    from homeport.resources.local.engine_request import (  # Late: an engine is begun before one is asked.
        Unanswered,
        ask,
    )
    from homeport.resources.local.readiness import FIRST, first_request, headers

    task = remembered.launch.get("task", "generate")
    request = first_request(task, remembered.launch["model"])
    try:
        answer = await ask(
            remembered.url, FIRST[task], body=request, headers=headers(api_key), within_s=PATIENCE_S
        )
    except Unanswered:
        return 0
    return answer.status


async def _lists_models(url: str) -> bool:
    """Return True if it lists its models for clients without a key."""
    from homeport.resources.local.engine_request import Unanswered, ask

    try:
        return (await ask(url, "/v1/models", within_s=PATIENCE_S)).is_success
    except Unanswered:
        return False


async def _says_busy(url: str, pulse: Pulse, api_key: Secret | None) -> bool:
    from homeport.resources.local.engine_request import Unanswered, ask
    from homeport.resources.local.readiness import headers

    try:
        answer = await ask(url, pulse.path, headers=headers(api_key), within_s=PATIENCE_S)
    except Unanswered:
        return False
    return answer.is_success and re.search(pulse.busy, answer.text) is not None


async def _no() -> bool:
    return False


def _tree(engine: psutil.Process) -> list[psutil.Process]:
    try:
        return [engine, *engine.children(recursive=True)]
    except psutil.Error:
        return [engine]
