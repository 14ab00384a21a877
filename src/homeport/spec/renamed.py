"""Keys and values that had other names in earlier versions: told in a file, and translated in what homeport wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from homeport.json_types import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedKey:
    """A key that has another name now."""

    table: str
    old: str
    new: str
    new_table: str = ""
    """Where it is now, if in another table."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Values that have another name, too."""

    def now(self, value: object) -> object:
        """Return what the old `value` is called now."""
        return self.values.get(value, value) if isinstance(value, str) else value


RENAMED = (
    RenamedKey(
        table="cloudrun",
        old="way",
        new="delivery",
        values={"fuse-buffered": "gcsfuse-buffered", "fuse-cache": "gcsfuse-cached"},
    ),
    RenamedKey(table="cloudrun", old="min_instances", new="min", new_table="scaling"),
    RenamedKey(table="cloudrun", old="max_instances", new="max", new_table="scaling"),
)


def renamed(table: str, key: str) -> RenamedKey | None:
    """Return what `key` of `table` is called now; None where it was never called so."""
    return next((renaming for renaming in RENAMED if (renaming.table, renaming.old) == (table, key)), None)


def brought_up(spec: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a spec that an earlier version wrote, in the names of this one."""
    updated = dict(spec)
    for renaming in RENAMED:
        section = updated.get(renaming.table)
        if not isinstance(section, Mapping) or renaming.old not in section:
            continue
        home = renaming.new_table or renaming.table
        updated[renaming.table] = {key: value for key, value in section.items() if key != renaming.old}
        target = updated.get(home) or {}
        if isinstance(target, Mapping):
            updated[home] = {renaming.new: renaming.now(section[renaming.old]), **target}
    return updated
