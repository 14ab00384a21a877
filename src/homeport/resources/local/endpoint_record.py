"""What is remembered of a process between commands. Small, versioned, judged when it is read, without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from homeport.errors import SpecError, StateError
from homeport.home import write_private, writing
from homeport.json_types import Json
from homeport.spec import Spec, brought_up, parse
from homeport.supervisor.journal import RECORD

VERSION = 3
"""
What this version of homeport writes. It reads the earlier ones, too: 2 added `start_ticks`, `key` and `supervisor`, 3
has the spec's `cloudrun.delivery`, which was called `way`.

A new key here raises the number: an older homeport then says so, and leaves the record as it is.
"""
_VERIFIED = "verified.json"
"""The record of what was verified and served before, in the same form: what `rollback` returns to."""
_MOST_PROBLEMS = 3


class _Launch(BaseModel):
    """What is read of `Launch.as_json()`."""

    model_config = ConfigDict(strict=True)

    engine: str
    version: str
    command: list[str]
    environment: dict[str, str]
    model: str
    port: int = Field(ge=1, le=65535)
    context: int
    parallel: int
    weights: str
    tools: bool
    files: dict[str, str]


class _Weights(BaseModel):
    model_config = ConfigDict(strict=True)

    source: str
    revision: str
    digest: str


class _Receipt(BaseModel):
    model_config = ConfigDict(strict=True)

    at: str
    passed: bool
    counts: dict[str, int]


def _shaped(shape: type[BaseModel]) -> AfterValidator:
    """Return a validator that lets a JSON object through as it is, if it has this shape."""

    def judge(value: Mapping[str, Json]) -> Mapping[str, Json]:
        shape.model_validate(value)
        return value

    return AfterValidator(judge)


def _is_spec(value: Mapping[str, Json]) -> Mapping[str, Json]:
    try:
        parse(value, where="it")
    except SpecError as error:
        raise ValueError(" ".join(str(error).split())) from error
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRecord:
    """An engine's process: who it is, how it was started, how that went."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    name: str
    pid: Annotated[int, Field(gt=0)]
    create_time: float
    """Seconds since the epoch, as the system told it at the start: another clock tells another. See `start_ticks`."""
    launch: Annotated[Mapping[str, Json], _shaped(_Launch)]
    """`Launch.as_json()`."""
    url: Annotated[str, Field(pattern=r"^http://[^\s/]+$")]
    spec: Annotated[Mapping[str, Json], AfterValidator(_is_spec)]
    """The spec that it was started for, as JSON. References to secrets, never their values."""
    spec_file: str
    """The file that it was started for, which owns it: see `belongs_to`."""
    weights: Annotated[Mapping[str, str], _shaped(_Weights)]
    """source, revision and digest."""
    started_at: str
    """ISO 8601, UTC."""
    start_ticks: str = ""
    """`processes.start_ticks` of the process: a pid alone may come back as another process. '' where there is none."""
    timeline: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each part of the start; complete once the first token came out."""
    receipt: Annotated[Mapping[str, Json], _shaped(_Receipt)] | None = None
    """
    The last verification of this launch with these weights: when, and what was found.

    It goes on where the same launch is started again: by the supervisor, on its own port after a swap, or after a change
    that failed.
    """
    key: Mapping[str, str] | None = None
    """The key that the engine was started with: its reference, and a salted hash of it."""
    supervisor: Mapping[str, float] | None = None
    """Who restarts the process: pid and create_time."""

    @property
    def was_ready(self) -> bool:
        """Tell whether a token came out once."""
        return "first_token" in self.timeline

    def belongs_to(self, file: Path) -> bool:
        """
        Return True if `file` is the one that this was started for, under whatever path.

        A path with links in it, or in another spelling, names the same file; a copy is another one.
        """
        owner = Path(self.spec_file)
        if owner.resolve() == file.resolve():
            return True
        try:
            return owner.samefile(file)
        except OSError:
            return False

    def is_for(self, spec: Spec) -> bool:
        """Return True if it was started for exactly this spec."""
        return parse(self.spec, where=f"the record of {self.name}") == spec

    def is_for_but_port(self, spec: Spec) -> bool:
        """Return True if it was started for this spec, whatever port either names."""
        mine, theirs = (
            one.model_dump() for one in (parse(self.spec, where=f"the record of {self.name}"), spec)
        )
        mine["local"]["port"] = theirs["local"]["port"] = 0
        return mine == theirs

    def save(self, folder: Path) -> None:
        """Write it to `folder` in one step: a reader sees the old record or this one."""
        write_private(folder / RECORD, json.dumps({"version": VERSION, **asdict(self)}, indent=1))

    @property
    def is_verified(self) -> bool:
        """Tell whether its verification passed."""
        return self.receipt is not None and bool(self.receipt["passed"])

    def same_launch(self, other: EndpointRecord) -> bool:
        """Return True if `other` is of the same model, settings and weights, whatever port it listens on."""
        return self.is_for_but_port(parse(other.spec)) and self.weights == other.weights

    def with_receipt(self, receipt: Mapping[str, Json]) -> EndpointRecord:
        """Return this record with the outcome of a verification."""
        return replace(self, receipt=receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that this version of homeport cannot read, or that is damaged."""

    name: str
    """Of the endpoint."""
    reason: str
    """In words, of one line."""

    def error(self) -> StateError:
        """Return the error for whatever needs to know what it says."""
        return StateError(
            f"the record of {self.name} cannot be read: {self.reason}",
            hint=f"`homeport down {self.name}` ends its processes and forgets it; then `homeport up` starts it again",
        )


def read(folder: Path) -> EndpointRecord | Unreadable | None:
    """Return the record in `folder`, or why it cannot be read; None where there is none."""
    return _read(folder, RECORD)


def keep_verified(record: EndpointRecord, folder: Path) -> None:
    """Keep `record`, which was verified and is about to end, as what `rollback` returns to."""
    write_private(folder / _VERIFIED, json.dumps({"version": VERSION, **asdict(record)}, indent=1))


def verified_before(folder: Path) -> EndpointRecord | None:
    """Return the record of what was verified before what serves now; None where there is none that can be read."""
    kept, now = verified(folder), read(folder)
    if kept is None or (isinstance(now, EndpointRecord) and kept.same_launch(now)):
        return None
    return kept


def verified(folder: Path) -> EndpointRecord | None:
    """
    Return the record that was kept last as verified; None where there is none that can be read.

    It is what serves now where a swap was killed between keeping it and ending it.
    """
    kept = _read(folder, _VERIFIED)
    return kept if isinstance(kept, EndpointRecord) else None


def verified_unreadable(folder: Path) -> str:
    """Return why what was kept last as verified cannot be read; '' where it can, or where there is none."""
    kept = _read(folder, _VERIFIED)
    return kept.reason if isinstance(kept, Unreadable) else ""


def forget_verified(folder: Path) -> None:
    """Remove what `rollback` would return to, if there is any."""
    with writing(folder / _VERIFIED):
        (folder / _VERIFIED).unlink(missing_ok=True)


def _read(folder: Path, name: str) -> EndpointRecord | Unreadable | None:
    try:
        text = (folder / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Unreadable(name=folder.name, reason=error.strerror or type(error).__name__)
    try:
        return _judged(text, folder.name)
    except ValidationError as error:
        return Unreadable(name=folder.name, reason=_problems_of(error))
    except ValueError as error:
        return Unreadable(name=folder.name, reason=" ".join(str(error).split()))


def load(folder: Path) -> EndpointRecord | None:
    """Return the record in `folder`; None where there is none. Raises `StateError` where it cannot be read."""
    record = read(folder)
    if isinstance(record, Unreadable):
        raise record.error()
    return record


def forget(folder: Path) -> None:
    """Remove the record in `folder`, if there is one."""
    with writing(folder / RECORD):
        (folder / RECORD).unlink(missing_ok=True)


@cache
def _type() -> TypeAdapter[EndpointRecord]:
    return TypeAdapter(EndpointRecord)


def _judged(text: bytes, name: str) -> EndpointRecord:
    """
    Return the record in a text. Raises `ValueError`, of which pydantic's is one, for what is no record of
    this or an earlier version.
    """
    try:
        table = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    version = table.pop("version", None) if isinstance(table, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError("it does not say of which version it is")
    if version > VERSION:
        raise ValueError(
            f"it is of version {version}, from a newer homeport; this one knows those up to {VERSION}"
        )
    if isinstance(table.get("spec"), dict):
        table["spec"] = brought_up(table["spec"])
    record = _type().validate_json(to_json(table))
    if record.name != name:
        raise ValueError(f"it is that of {record.name!r}")
    return record


def _problems_of(error: ValidationError) -> str:
    """Return what is wrong, without the values: they may be long, and are not for a line of a table."""
    problems = [
        f"{'.'.join(map(str, problem['loc'])) or 'it'}: {problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
    return " ".join(("; ".join(problems[:_MOST_PROBLEMS]) + more).split())
