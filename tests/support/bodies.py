"""Bodies made up from discovery schemas: right ones, and ones with a single thing wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from gcp_rehearsal.discovery import Document

_WORDS = ("home", "a", "us-central1", "projects/rehearsal", "x" * 40, "")
_DEEP = 5


class Bodies:
    """Makes bodies of one document's schemas, the same ones for the same seed."""

    def __init__(self, document: Document, seed: int) -> None:
        self._document = document
        self._random = Random(seed)

    def right(self, schema: str) -> Any:  # Any: JSON
        """A body that the schema allows."""
        return self._of({"$ref": schema}, 0)

    def wrong(self, schema: str) -> tuple[Any, str] | None:  # Any: JSON
        """A body with one thing wrong, and what that is; None where nothing in the schema can be wrong."""
        body = self.right(schema)
        spots = list(self._spots({"$ref": schema}, body))
        if not spots:
            return None
        return body, self._random.choice(spots)()

    def _of(self, schema: Mapping[str, Any], depth: int) -> Any:  # noqa: PLR0911 - one for each type
        if "$ref" in schema:
            schema = self._document.schemas[schema["$ref"]]
        kind, form = schema.get("type"), schema.get("format", "")
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return [
                self._of(schema["items"], depth + 1) for _ in range(self._random.randint(0, 2))
            ] if depth < _DEEP else []  # fmt: skip
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind == "number":
            return self._random.choice((0, 1.5, -2))
        if kind == "integer" or form in {"int64", "uint64"}:
            number = self._random.choice((0, 1, 100))
            return str(number) if form in {"int64", "uint64"} and self._random.random() < 0.5 else number
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        return self._text(form) if kind == "string" else {"any": "thing"}

    def _text(self, form: str) -> str:
        known = {
            "byte": base64.b64encode(b"secret").decode(),
            "google-duration": self._random.choice(("30s", "1.500s")),
            "google-datetime": "2026-11-24T09:00:00Z",
            "date-time": "2026-11-24T09:00:00.5Z",
            "google-fieldmask": "labels,template.containers",
            "date": "2026-11-24",
        }
        return known.get(form) or self._random.choice(_WORDS)

    def _object(self, schema: Mapping[str, Any], depth: int) -> Any:  # Any: JSON
        if schema.get("format") == "google.protobuf.Any":
            return {"@type": "type.googleapis.com/google.rpc.Status"}
        if "additionalProperties" in schema:
            return {"key": self._of(schema["additionalProperties"], depth + 1)}
        properties = schema.get("properties", {})
        share = 0.5 if depth < 2 else 0.2
        chosen = [name for name in properties if self._random.random() < share] if depth < _DEEP else []
        return {name: self._of(properties[name], depth + 1) for name in chosen}

    def _spots(self, schema: Mapping[str, Any], body: Any) -> list[Callable[[], str]]:  # Any: JSON
        """All the ways in which one thing in the body can be made wrong."""
        if "$ref" in schema:
            schema = self._document.schemas[schema["$ref"]]
        if not isinstance(body, dict) or schema.get("format") == "google.protobuf.Any":
            return []
        spots: list[Callable[[], str]] = []
        properties = schema.get("properties", {})
        if properties and "additionalProperties" not in schema:
            spots.append(lambda: _set(body, "noSuchField", 1))
        for name, inner in properties.items():
            if name not in body:
                continue
            bad = self._bad(inner)
            if bad is not None:
                spots.append(lambda name=name, bad=bad: _set(body, name, bad))  # type: ignore[misc]
            if isinstance(body[name], dict):
                spots += self._spots(inner, body[name])
            if isinstance(body[name], list) and body[name]:
                spots += self._spots(inner["items"], body[name][0])
        return spots

    def _bad(self, schema: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one for each type
        if "$ref" in schema:
            schema = self._document.schemas[schema["$ref"]]
        kind, form = schema.get("type"), schema.get("format", "")
        if kind == "object":
            return None if form == "google.protobuf.Any" else "not an object"
        if kind == "array":
            return {"not": "a list"}
        if kind == "boolean":
            return self._random.choice(("yes", 3))
        if kind in {"integer", "number"} or form in {"int64", "uint64"}:
            return self._random.choice(("many", [], True, 1 << 70)) if kind != "number" else "many"
        if "enum" in schema:
            return "NO_SUCH_WORD"
        if kind == "string":
            return {"byte": "***", "google-duration": "soon", "google-datetime": "today"}.get(
                form, self._random.choice((7, True, {}))
            )
        return None


def _set(body: dict[str, Any], name: str, value: Any) -> str:  # Any: JSON
    body[name] = value
    return f"{name} = {value!r}"
