"""A deployment that failed, in the user's words: what happened, the likely cause, and what to change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from homeport import errors
from homeport.engines.registry import module
from homeport.errors import EngineFailed, HomeportError, OperationFailed, PortTaken
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.log_lines import UNFINISHED
from homeport.targets.cloudrun.containers import own_container
from homeport.targets.cloudrun.key_values import key_facts, key_values
from homeport.targets.cloudrun.logs import last_lines, logs

__all__ = ["FailurePattern", "cause", "explain", "last_lines", "likely", "logs", "newest_explained", "rows"]

_LINES = 50
"""As many lines are read; a traceback is long, and its cause stands early."""
_SHOWN = 8
_WIDEST = 300
"""Characters of a line that are shown."""
_GOOGLES_PROBE_S = 240
_FAILED = "CONDITION_FAILED"
_UNTOLD = re.compile(r"(?:: | \()\?(?:\)|(?=$|[;,]))")
"""A value that nobody told, with what leads to it."""
_VAGUE = (EngineFailed, PortTaken)
"""What engines say of logs that they know less of than the table does, or with a remedy for this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePattern:
    """One way to fail."""

    name: str
    where: str
    """`condition`, `log` or `either`."""
    pattern: re.Pattern[str]
    error: type[HomeportError]
    what: str
    hint: str
    not_port: str
    """A group of the pattern that must differ from the port for the row to fit; '' for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a failed revision."""

    engine: str
    conditions: str
    """Reasons and messages of all that failed."""
    lines: Sequence[str]
    facts: Mapping[str, str]
    """`service`, `region`, `project`, `account`, `port`, `startup_s`, and of a key that failed `key` and `agent`, Cloud Run's own account."""


@cache
def rows(engine: str) -> tuple[FailurePattern, ...]:
    """Return the table of `diagnosis.toml`, with what `engine` itself writes of each cause."""
    signs = {str(cause): pattern for cause, pattern in module(engine).SIGNS.items()}
    text = files("homeport.targets.cloudrun").joinpath("diagnosis.toml").read_text(encoding="utf-8")
    return tuple(
        FailurePattern(
            name=entry["name"],
            where=entry["in"],
            pattern=re.compile(pattern, re.DOTALL if entry["in"] == "condition" else 0),
            error=getattr(errors, entry["error"]),
            what=entry["what"],
            hint=entry["hint"],
            not_port=entry.get("not_port", ""),
        )
        for entry in tomllib.loads(text)["row"]
        if (pattern := "|".join(filter(None, (entry.get("pattern"), signs.get(entry["name"])))))
    )


async def cause(google: Google, path: str, error: HomeportError, engine: str) -> HomeportError:
    """Return what the failed deployment of the service `path` comes from; `error` itself where nothing more is known."""
    try:
        service = await google.get("run", f"v2/{path}")
        if service.get("terminalCondition", {}).get("state") != _FAILED:
            return error
        return await newest_explained(google, path, engine)
    except HomeportError:
        return error


async def explain(
    google: Google,
    service: Mapping[str, Json],
    revision: Mapping[str, Json] | None,
    engine: str,
) -> HomeportError:
    """
    Return the error to raise for a service whose newest revision did not come up.

    Raises nothing: a log that cannot be read is said to be unread.
    """
    name = _last(service.get("name", ""))
    which = _last((revision or {}).get("name") or service.get("latestCreatedRevision", ""))
    lines: list[str] = []
    finished, unread = True, ""
    since = str((revision or service).get("createTime", ""))
    try:
        if which:
            lines, finished = await last_lines(google, name, which, _LINES, since=since)
    except HomeportError as error:
        unread = f"; its log could not be read: {error}"
    conditions = _conditions(service, revision)
    of_key = await key_facts(google, revision or service.get("template", {}), conditions)
    evidence = Evidence(
        engine=engine,
        conditions=conditions,
        lines=lines,
        facts={**_facts(google, service, revision), **of_key},
    )
    failure = likely(evidence)
    tail = unread or (_quote(lines) if finished or lines else "") + ("" if finished else f"; {UNFINISHED}")
    title = f"the revision {which} of {name}" if which else name
    failure.args = (f"{title} did not come up: {failure}{tail}",)
    return failure


async def newest_explained(google: Google, path: str, engine: str) -> HomeportError:
    """Return the cause for the service `path`, `projects/…`, as it is. Raises what asking for it raises."""
    service = await google.get("run", f"v2/{path}")
    short = _last(service.get("latestCreatedRevision", ""))
    revision = await google.get("run", f"v2/{path}/revisions/{short}") if short else None
    return await explain(google, service, revision, engine)


def likely(evidence: Evidence) -> HomeportError:
    """Return the likely cause, with what to change; `OperationFailed` in Google's own words where none is recognised."""
    log = "\n".join(evidence.lines)
    early = _row(evidence, log, "condition")
    if early is not None:
        return early
    engines = module(evidence.engine).explain(log)
    if engines is not None and not isinstance(engines, _VAGUE):
        return engines
    sure = _row(evidence, log, "log", skip=("exited", "probe"))
    if sure is not None:
        return sure
    if isinstance(engines, EngineFailed):
        return engines
    late = _row(evidence, log, "log")
    if late is not None:
        return late
    condition = evidence.conditions.strip().partition("\n")[0]
    return OperationFailed(
        f"{condition or 'Google does not say why'}; the likely cause is not recognised",
        hint="the last lines tell what it said; `homeport logs --on cloudrun` shows all",
    )


def _row(evidence: Evidence, log: str, place: str, *, skip: Sequence[str] = ()) -> HomeportError | None:
    """Return the error of the first row that fits: of conditions alone, or of all the others."""
    for row in rows(evidence.engine):
        if (row.where == "condition") is not (place == "condition") or row.name in skip:
            continue
        for text in _texts(row, evidence.conditions, log):
            matches = [
                match
                for match in row.pattern.finditer(text)
                if not row.not_port or match[row.not_port] != evidence.facts["port"]
            ]
            if matches:
                # Google's word for it stands before the message that names the thing.
                return _build_error(row, evidence, max(matches, key=_count_groups))
    return None


def _texts(row: FailurePattern, conditions: str, log: str) -> Iterator[str]:
    if row.where != "log":
        yield conditions
    if row.where != "condition":
        yield log


def _build_error(row: FailurePattern, evidence: Evidence, match: re.Match[str]) -> HomeportError:
    named = {key: value.strip() for key, value in match.groupdict().items() if value}
    known = {**evidence.facts, **named}
    values = _Values({**known, **key_values(known)})
    message = _UNTOLD.sub("", row.what.format_map(values))
    return row.error(message, hint=row.hint.format_map(values))


def _count_groups(match: re.Match[str]) -> int:
    return sum(value is not None for value in match.groups())


class _Values(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _conditions(service: Mapping[str, Json], revision: Mapping[str, Json] | None) -> str:
    """Return the reasons and message of each failed condition, one a line, each once."""
    conditions = [service.get("terminalCondition", {}), *service.get("conditions", ())]
    conditions += (revision or {}).get("conditions", ())
    messages = [
        " ".join(str(condition[key]) for key in ("reason", "revisionReason", "message") if condition.get(key))
        for condition in conditions
        if condition.get("state") == _FAILED
    ]
    return "\n".join(dict.fromkeys(messages))


def _facts(
    google: Google, service: Mapping[str, Any], revision: Mapping[str, Any] | None
) -> dict[str, str]:  # Any: JSON
    parts = str(service.get("name", "")).split("/")
    template = revision or service.get("template", {})
    serving = own_container(template)
    probe = serving.get("startupProbe", {})
    each, times = probe.get("periodSeconds", _GOOGLES_PROBE_S), probe.get("failureThreshold", 1)
    return {
        "project": google.project,
        "region": parts[3] if len(parts) > 3 else "the region",
        "service": parts[-1],
        "account": template.get("serviceAccount", ""),
        "port": str((serving.get("ports") or [{}])[0].get("containerPort", 8080)),
        "startup_s": str(probe.get("initialDelaySeconds", 0) + each * times),
    }


def _quote(lines: Sequence[str]) -> str:
    if not lines:
        return "; it wrote nothing"
    shown = [line if len(line) <= _WIDEST else f"{line[:_WIDEST]}…" for line in lines[-_SHOWN:]]
    return "".join(f"\n  {line}" for line in ("its last lines:", *shown))


def _last(name: str) -> str:
    return str(name).rpartition("/")[2]
