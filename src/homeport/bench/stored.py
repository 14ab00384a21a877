"""Benches that were done: kept in the folder of their endpoint, newest last, never with a prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from homeport.bench.result import BenchResult
from homeport.errors import SpecError, StateError
from homeport.home import Home, private_folder, write_private
from homeport.json_types import JsonObject

_TRACE = re.compile(r", \S+ s of it(, \S+ times as fast)?$")
"""How the command line calls the load of a trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBench:
    """A file with a bench."""

    path: Path
    result: BenchResult | None
    """None where the file cannot be read, as `why` says."""
    why: str = ""

    def as_json(self) -> JsonObject:
        """Return the line of a list, as `--json` prints it."""
        result = self.result
        setting, best = (None, None) if result is None else (result.setting, result.best)
        return {
            "file": str(self.path),
            "started_at": setting.started_at if setting else None,
            "endpoint": setting.endpoint if setting else None,
            "on": setting.on if setting else None,
            "rehearsed": setting.rehearsed if setting else None,
            "model": setting.model if setting else None,
            "users": best.users if best else None,
            "output_tokens_per_second": best.rates["output_tokens"].mean if best else None,
            "valid": result is not None and result.valid,
            "why": self.why,
        }


def keep(home: Home, result: BenchResult) -> Path:
    """Write a result into its endpoint's folder; returns the file. Raises `StateError` where that cannot be."""
    home.prepare(result.setting.endpoint)
    folder = home.benches(result.setting.endpoint)
    try:
        private_folder(folder)
    except OSError as error:
        raise StateError(
            f"{folder} cannot be made: {error.strerror}", hint="`homeport doctor` shows the folder"
        ) from error
    stem = result.setting.started_at.replace(":", "").replace("+0000", "Z")
    existing = [path.name for path in folder.glob(f"{stem}*.json")]
    path = folder / (f"{stem}.json" if not existing else f"{stem}-{len(existing) + 1}.json")
    write_private(path, json.dumps(result.as_json(), indent=1) + "\n")
    return path


def stored_benches(home: Home, name: str | None = None) -> Iterator[StoredBench]:
    """Yield the benches of the endpoint `name`, or of all, oldest first."""
    for endpoint in [name] if name is not None else home.endpoints():
        for path in sorted(home.benches(endpoint).glob("*.json")):
            try:
                yield StoredBench(path=path, result=read(path))
            except SpecError as error:
                yield StoredBench(path=path, result=None, why=str(error))


def newest(
    home: Home, name: str, *, on: str, rehearsed: tuple[bool | None, ...] = (False,)
) -> StoredBench | None:
    """Return the newest bench of the endpoint `name` on the target `on` that is a result, and says one of these of a rehearsal; None where there is none."""
    benches = [
        bench
        for bench in stored_benches(home, name)
        if bench.result is not None
        and bench.result.setting.on == on
        and bench.result.setting.rehearsed in rehearsed
        and bench.result.valid
    ]
    return max(
        benches, key=lambda bench: bench.result.setting.started_at if bench.result else "", default=None
    )


def read(path: Path) -> BenchResult:
    """Return the result in a file. Raises `SpecError` where it is none."""
    hint = "name a file that `homeport bench` wrote, or `homeport bench --json > FILE.json`; `homeport bench list` shows them"
    try:
        result = TypeAdapter(BenchResult).validate_json(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise SpecError(f"{path} is no result of a bench: {where}: {first['msg']}", hint=hint) from error
    if result.version != 1:
        raise SpecError(f"{path} is of another version of homeport ({result.version})", hint=hint)
    return _as_told_today(result)


def _as_told_today(result: BenchResult) -> BenchResult:
    """Return a trace's result without the lengths that older versions wrote, which none of its requests need have had."""
    setting = result.setting
    if any(_TRACE.search(level.load) for level in result.levels):
        return replace(result, setting=replace(setting, input=None, output=None))
    return result
