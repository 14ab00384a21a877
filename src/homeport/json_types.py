"""JSON, as the types of values that are read from it or printed as it."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # Any: a type that says what JSON is would be narrowed at each key
"""A value of JSON. What it must be is checked where it is read, or told by the schema of the service that answers with it."""
JsonObject: TypeAlias = dict[str, Json]
"""An object of JSON, by key."""
