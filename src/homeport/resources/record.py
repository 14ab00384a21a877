"""What is remembered of a process between commands. Small, versioned, without secrets; `up` can do without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from homeport.home import write_private, writing

_VERSION = 1
_NAME = "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An engine's process: who it is, how it was started, how that went."""

    name: str
    pid: int
    create_time: float
    """Seconds since the epoch, as the system tells it: a pid alone may come back as another process."""
    launch: Mapping[str, Any]
    """`Launch.as_json()`: JSON, hence Any."""
    url: str
    spec: Mapping[str, Any]
    """The spec that it was started for, as JSON. References to secrets, never their values."""
    spec_file: str
    weights: Mapping[str, str]
    """source, revision and digest."""
    started_at: str
    """ISO 8601, UTC."""
    timeline: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each part of the start; complete once the first token came out."""
    receipt: Mapping[str, Any] | None = None
    """The last verification of this very process: when, and what was found. JSON, hence Any."""

    @property
    def was_ready(self) -> bool:
        """Whether a token came out once."""
        return "first_token" in self.timeline

    def save(self, folder: Path) -> None:
        """Write it to `folder` in one step: a reader sees the old record or this one."""
        write_private(folder / _NAME, json.dumps({"version": _VERSION, **asdict(self)}, indent=1))

    def with_receipt(self, receipt: Mapping[str, Any]) -> Record:
        """This record with the outcome of a verification."""
        return replace(self, receipt=receipt)


def load(folder: Path) -> Record | None:
    """The record in `folder`; None where there is none, or one that this version does not understand."""
    try:
        table = json.loads((folder / _NAME).read_text())
        if table.pop("version") != _VERSION:
            return None
        return Record(**table)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(folder: Path) -> None:
    """Remove the record in `folder`, if there is one."""
    with writing(folder / _NAME):
        (folder / _NAME).unlink(missing_ok=True)
