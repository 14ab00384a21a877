"""A body that is read to its last field."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.json_types import Json, JsonObject


class Fields:
    """
    The fields of a JSON object, taken one by one. What nobody took is an error: nothing is left out of an export
    in silence.
    """

    def __init__(self, body: Mapping[str, Json], what: str) -> None:
        self._left = {key: value for key, value in body.items() if value is not None}
        self._what = what

    def take(self, key: str, default: Json = None) -> Json:
        """Return the value at `key`, which is done with."""
        return self._left.pop(key, default)

    def taken(self, *keys: str) -> JsonObject:
        """Return those of the keys that are there, as they are."""
        return {key: self._left.pop(key) for key in keys if key in self._left}

    def rest(self) -> JsonObject:
        """Take all fields that were not taken yet."""
        left, self._left = self._left, {}
        return left

    def done(self) -> None:
        """Raise `TypeError`, a mistake of the program, for a field that the export does not know."""
        if self._left:
            raise TypeError(f"no export knows {', '.join(self._left)} of {self._what}")
