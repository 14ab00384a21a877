"""JSON, as the types of bodies and of parts of them."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any  # Any: a type that says what JSON is would be narrowed at each key
"""A value of JSON. Google's discovery documents say what it must be, and `schema.py` checks that."""
JsonObject: TypeAlias = dict[str, Json]
"""An object of JSON, by key."""
