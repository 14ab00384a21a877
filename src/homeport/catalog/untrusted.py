"""Settings out of a file that a stranger wrote: each is checked to be of the type that it is read as."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.catalog.gguf_header import Array
from homeport.errors import WeightsError
from homeport.json_types import Json
from homeport.weights import settings_files

_MOST_LAYERS = 4096
_LARGEST_FILE = 1 << 26
_AGAIN = "fetch the model's files again"


def read_json(path: Path, *, needed: bool = True) -> Table:
    """Return the table in a JSON file; an empty one where the file is not there and not `needed`."""
    if not needed and not path.exists():
        return Table({}, str(path))
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise WeightsError(f"{path} is larger than any settings are", hint=_AGAIN)
        return Table(settings_files.table(path.read_bytes(), path), str(path))
    except FileNotFoundError:
        raise WeightsError(
            f"{path.parent} has no {path.name}, and a model's folder was expected",
            hint="name a folder that has one",
        ) from None
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}", hint=_AGAIN) from error


class Table:
    """Values by name. Reading one that is of another type raises `WeightsError`, which says where it stands."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:  # Any: JSON, or a GGUF's values
        self.values, self.where = values, where

    def under(self, prefix: str) -> Table:
        """Return those whose names begin with `prefix.`, without it."""
        start = f"{prefix}."
        values = {
            key.removeprefix(start): value for key, value in self.values.items() if key.startswith(start)
        }
        return Table(values, f"{self.where}, {prefix}")

    def over(self, defaults: Mapping[str, Json]) -> Table:
        """Return these, and `defaults` for those that are missing."""
        return Table({**defaults, **self.values}, self.where)

    def renamed(self, names: Mapping[str, str]) -> Table:
        """Return these, with other names for some."""
        return Table({names.get(key, key): value for key, value in self.values.items()}, self.where)

    def part(self, key: str) -> Table | None:
        """Return the table under `key`; None where it is missing or empty."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(key, "a table")
        return Table(value, f"{self.where}, {key}") if value else None

    def text(self, key: str) -> str:
        """Return the text under `key`, or ''."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int | None:
        """Return the whole number under `key`, or None where it is missing."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
            raise self._wrong(key, "a whole number")
        return value

    def needed(self, key: str) -> int:
        """Return the number under `key`, which must be there and above 0."""
        value = self.number(key)
        if not value:
            raise self._wrong(key, "a number above 0")
        return value

    def layers(self, key: str) -> int:
        """Return the number of layers under `key`."""
        value = self.needed(key)
        if value > _MOST_LAYERS:
            raise self._wrong(key, f"a number up to {_MOST_LAYERS}")
        return value

    def per_layer(self, key: str, layers: int) -> list[int] | None:
        """Return one number for each layer, from a list of them or one for all; None where the key is missing."""
        value = self.values.get(key)
        if not isinstance(value, Array):
            number = self.number(key)
            return None if number is None else [number] * layers
        numbers = [number for number in value.values or () if isinstance(number, int) and number >= 0]
        if len(numbers) < layers or len(numbers) != value.length:
            raise self._wrong(key, f"{layers} whole numbers")
        return numbers[:layers]

    def _wrong(self, key: str, expected: str) -> WeightsError:
        value = self.values.get(key)
        problem = "is missing" if value is None else f"is {value!r:.60}"
        return WeightsError(f"{self.where}: {key} {problem}, and {expected} was expected", hint=_AGAIN)
