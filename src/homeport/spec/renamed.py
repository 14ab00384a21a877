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
    return next((one for one in RENAMED if (one.table, one.old) == (table, key)), None)


def brought_up(spec: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a spec that an earlier version wrote, in the names of this one."""
    made = dict(spec)
    for one in RENAMED:
        section = made.get(one.table)
        if not isinstance(section, Mapping) or one.old not in section:
            continue
        home = one.new_table or one.table
        made[one.table] = {key: value for key, value in section.items() if key != one.old}
        others = made.get(home) or {}
        if isinstance(others, Mapping):
            made[home] = {one.new: one.now(section[one.old]), **others}
    return made
