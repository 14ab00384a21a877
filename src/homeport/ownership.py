"""Whose an endpoint on this machine is: its name, and the file that owns it."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import NotManaged
from homeport.home import Home
from homeport.naming import UNNAMED, name_from_folder
from homeport.resources.local import endpoint_record
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.spec import Spec, parse


def named(spec: Spec, file: Path, home: Home) -> Spec:
    """
    Return the spec with its name, else with that of its folder.

    A file without a name whose endpoint an earlier version started is called as it was called then.
    """
    if spec.name is not None:
        return spec
    before = endpoint_record.read(home.endpoint(UNNAMED))
    if isinstance(before, EndpointRecord) and before.belongs_to(file):
        return parse({**spec.model_dump(), "name": UNNAMED})
    return parse({**spec.model_dump(), "name": name_from_folder(file)})


def owner(spec: Spec, file: Path, home: Home) -> str:
    """
    Return the other file that owns the endpoint of this name; '' where none does, or this one.

    A file whose folder was moved owns what it owned: the path that is remembered is gone, and what runs is exactly
    what the file says. Anything else has to be taken over.
    """
    record = endpoint_record.read(home.endpoint(spec.endpoint_name))
    if not isinstance(record, EndpointRecord) or record.belongs_to(file) or _is_moved(record, spec):
        return ""
    return record.spec_file


def ensure_owner(spec: Spec, file: Path, home: Home, *, hint: str) -> None:
    """Raise `NotManaged`, with this hint, where another file owns the endpoint of this name."""
    other = owner(spec, file, home)
    if not other:
        return
    gone = "" if Path(other).exists() else ", which is gone"
    raise NotManaged(f"{spec.endpoint_name} belongs to {other}{gone}, and not to {file}", hint=hint)


def _is_moved(record: EndpointRecord, spec: Spec) -> bool:
    return not Path(record.spec_file).exists() and record.is_for(spec)
