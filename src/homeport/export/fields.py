"""A body that is read to its last field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Fields:
    """
    The fields of a JSON object, taken one by one. What nobody took is an error: nothing is left out of an export
    in silence.
    """

    def __init__(self, body: Mapping[str, Any], what: str) -> None:  # Any: JSON
        self._left = {key: value for key, value in body.items() if value is not None}
        self._what = what

    def take(self, key: str, default: Any = None) -> Any:  # Any: JSON
        """Return the value at `key`, which is done with."""
        return self._left.pop(key, default)

    def taken(self, *keys: str) -> dict[str, Any]:  # Any: JSON
        """Those of the keys that are there, as they are."""
        return {key: self._left.pop(key) for key in keys if key in self._left}

    def rest(self) -> dict[str, Any]:  # Any: JSON
        """All that was not taken yet."""
        left, self._left = self._left, {}
        return left

    def done(self) -> None:
        """Raise `TypeError`, a mistake of the program, for a field that the export does not know."""
        if self._left:
            raise TypeError(f"no export knows {', '.join(self._left)} of {self._what}")
