"""
Whether a body, or a query, is one that Google would take: proto3 JSON, as the discovery documents describe it.

A check gives the value in the form in which Google answers (int64 as text, names in camel case, fields that
are null left out) and whatever is wrong with it, in Google's own words and paths.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcp_rehearsal.discovery import Document, Method
from gcp_rehearsal.json_types import Json, JsonObject

_INTEGERS = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1), "int64": (-(2**63), 2**63 - 1),
             "uint64": (0, 2**64 - 1)}  # fmt: skip
_TEXTS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "date-time": ("google.protobuf.Timestamp", re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")),
    "google-datetime": ("google.protobuf.Timestamp", re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")),
    "google-duration": ("google.protobuf.Duration", re.compile(r"-?\d{1,12}(\.\d{1,9})?s")),
    "google-fieldmask": ("google.protobuf.FieldMask", re.compile(r"([A-Za-z_][\w.*]*)?(,[A-Za-z_][\w.*]*)*")),
    "date": ("TYPE_STRING", re.compile(r"\d{4}-\d\d-\d\d")),
}  # fmt: skip
_WHOLE = re.compile(r"[+-]?\d+(\.0+)?")
_GLOBAL = frozenset(("alt", "fields", "key", "prettyPrint", "quotaUser", "userIp", "uploadType", "upload_protocol",
                     "upload_id", "name", "returnPartialSuccess"))  # fmt: skip
"""Which every method takes; the last, though some documents lack it, since gcloud sends it and Google answers."""


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One thing that is wrong with a body or a query."""

    field: str
    """Its path in snake case, as Google writes it, such as `service.template.containers[0].image`; '' for the whole."""
    description: str
    """In the words that Google uses."""


class SchemaCheck:
    """Compares bodies with the schemas of one document. Reusable; keeps nothing between two bodies."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._older = document.name.startswith(("compute.", "dns.", "storage."))

    def body(self, method: Method, body: Json) -> tuple[Json, list[SchemaViolation]]:
        """Return the body of a request to `method` as Google reads it, and what is wrong with it."""
        wrong: list[SchemaViolation] = []
        if method.request is None:
            if body not in (None, {}, b""):
                wrong.append(SchemaViolation("", "Request body is not allowed for this method."))
            return {}, wrong
        if body is None:
            body = {}
        # With `body: "*"` in Google's own definition the path's fields may come in the body, too.
        extra = {name for name, _, _ in method.spans}
        short = _LAST_WORDS.sub("", method.request)
        prefix = "" if short.endswith("Request") or self._older else snake(short[:1].lower() + short[1:])
        return self._message(method.request, body, _Path(prefix, wrong), extra), wrong

    def schema(self, name: str, body: Json) -> list[SchemaViolation]:
        """Return what is wrong with `body` as a `name` of the document."""
        wrong: list[SchemaViolation] = []
        self._message(name, body, _Path("", wrong), set())
        return wrong

    def query(
        self, method: Method, query: Mapping[str, Sequence[str]]
    ) -> tuple[JsonObject, list[SchemaViolation]]:
        """Return the query's values in their types (lists for repeated ones), and what is wrong with them."""
        wrong: list[SchemaViolation] = []
        values: JsonObject = {}
        known = {name: spec for name, spec in method.parameters.items() if spec.get("location") == "query"}
        for sent, texts in query.items():
            name = sent if sent in known or sent in _GLOBAL else camel(sent)
            if name not in known:
                if name in _GLOBAL or name in self._document.parameters or name.startswith("$"):
                    continue
                wrong.append(
                    SchemaViolation(
                        "",
                        f'Invalid JSON payload received. Unknown name "{sent}": Cannot bind query parameter. '
                        f"Field '{sent}' could not be found in request message.",
                    )
                )
                continue
            spec = known[name]
            path = _Path(snake(name), wrong)
            converted = [self._of_text(spec, text, path) for text in texts]
            values[name] = converted if spec.get("repeated") else converted[-1]
        wrong += [
            SchemaViolation(name, f"Required parameter: {name}")
            for name, spec in known.items()
            if spec.get("required") and name not in values
        ]
        return values, wrong

    def _of_text(self, spec: Mapping[str, Json], text: str, path: _Path) -> Json:
        if spec.get("type") == "boolean":
            if text.lower() not in {"true", "false", "1", "0", ""}:
                path.bad("TYPE_BOOL", text)
            return text.lower() in {"true", "1", ""}
        if spec.get("type") in {"integer", "number"} or spec.get("format") in _INTEGERS:
            return self._number(spec, text, path)
        return self._value(spec, text, path)

    def _message(self, name: str, value: Json, path: _Path, extra: set[str]) -> Json:
        schema = self._document.schemas[name]
        if schema.get("type") != "object":
            return self._value(schema, value, path)
        return self._object(schema, value, path, extra)

    def _object(self, schema: Mapping[str, Json], value: Json, path: _Path, extra: set[str]) -> Json:
        if not isinstance(value, dict):
            path.bad("TYPE_MESSAGE", value)
            return {}
        properties = schema.get("properties", {})
        free = schema.get("additionalProperties")
        out: JsonObject = {}
        for sent, item in value.items():
            name = sent if sent in properties else camel(sent)
            if name in properties:
                if item is not None:
                    out[name] = self._value(properties[name], item, path.into(snake(name)))
                elif self._older:
                    out[name] = None  # It removes the field in a patch.
            elif free is not None:
                none = item is None and self._older
                out[sent] = None if none else self._value(free, item, path.of(sent))
            elif name not in extra and sent != "@type":
                path.unknown(sent)
        return out

    def _value(self, schema: Mapping[str, Json], value: Json, path: _Path) -> Json:  # noqa: PLR0911 - one for each type
        if "$ref" in schema:
            return self._message(schema["$ref"], value, path, set())
        kind = schema.get("type")
        if kind == "object":
            if schema.get("format") == "google.protobuf.Any":
                return value
            return self._object(schema, value, path, set())
        if kind == "array":
            if not isinstance(value, list):
                path.bad("TYPE_REPEATED", value)
                return []
            return [self._value(schema["items"], item, path.at(place)) for place, item in enumerate(value)]
        if kind == "boolean":
            if not isinstance(value, bool):
                path.bad("TYPE_BOOL", value)
            return value
        if kind in {"integer", "number"} or schema.get("format") in _INTEGERS:
            return self._number(schema, value, path)
        if kind == "string":
            return self._text(schema, value, path)
        return value

    def _number(self, schema: Mapping[str, Json], value: Json, path: _Path) -> Json:
        form = schema.get("format", "double")
        if form not in _INTEGERS:
            if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
                return value
            try:
                return float(value) if not isinstance(value, bool) else path.bad("TYPE_DOUBLE", value)
            except (TypeError, ValueError):
                return path.bad("TYPE_DOUBLE", value)
        low, high = _INTEGERS[form]
        text = str(value)
        if isinstance(value, bool) or not _WHOLE.fullmatch(text) or not low <= int(float(text) if "." in text else int(text)) <= high:  # fmt: skip
            return path.bad(f"TYPE_{form.upper()}", value)
        number = int(text.partition(".")[0])
        return str(number) if schema.get("type") == "string" else number

    def _text(self, schema: Mapping[str, Json], value: Json, path: _Path) -> Json:
        if "enum" in schema:
            return self._enum(schema["enum"], value, path)
        if not isinstance(value, str):
            return path.bad("TYPE_STRING", value)
        form = schema.get("format", "")
        if form == "byte" and not _is_base64(value):
            return path.invalid("TYPE_BYTES", f'Base64 decoding failed for "{value[:80]}"' if value else '""')
        if form == "byte":
            # Clients send either alphabet, and Google answers in the one with + and /.
            return value.replace("-", "+").replace("_", "/")
        if form in _TEXTS and not _TEXTS[form][1].fullmatch(value):
            return path.bad(_TEXTS[form][0], value)
        return in_protobufs_form(value) if form == "google-duration" else value

    def _enum(self, names: list[str], value: Json, path: _Path) -> Json:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        if value in names or (value == "" and self._older):
            return value
        # Artifact Registry takes those of cleanup policies in any case, as its page writes them.
        if isinstance(value, str) and "cleanup_policies[" in path.text and value.upper() in names:
            return value.upper()
        return path.bad("TYPE_ENUM", value)


def in_protobufs_form(duration: str) -> str:
    """Return a duration as protobuf writes it in JSON: with no fraction of a second, or with 3, 6 or 9 digits of one."""
    seconds, _, part = duration.removesuffix("s").partition(".")
    part = part.rstrip("0")
    sign, seconds = ("-", seconds[1:]) if seconds.startswith("-") else ("", seconds)
    fraction = f".{part.ljust(-(-len(part) // 3) * 3, '0')}" if part else ""
    zero = not part and not int(seconds)
    return f"{'' if zero else sign}{int(seconds)}{fraction}s"


@dataclass(frozen=True, slots=True)
class _Path:
    """Where in a body a check is."""

    text: str
    wrong: list[SchemaViolation]

    def into(self, name: str) -> _Path:
        return _Path(f"{self.text}.{name}" if self.text else name, self.wrong)

    def of(self, key: str) -> _Path:
        return _Path(f"{self.text}[{key}]" if self.text else key, self.wrong)

    def at(self, place: int) -> _Path:
        return _Path(f"{self.text}[{place}]", self.wrong)

    def bad(self, kind: str, value: Json) -> Json:
        shown = json.dumps(value, ensure_ascii=False, default=str)
        return self.invalid(kind, shown)

    def invalid(self, kind: str, shown: str) -> Json:
        self.wrong.append(
            SchemaViolation(self.text, f"Invalid value at '{self.text}' ({kind}), {shown[:200]}")
        )
        return None

    def unknown(self, name: str) -> None:
        where = f" at '{self.text}'" if self.text else ""
        inside = f"{self.text}.{name}" if self.text else name
        self.wrong.append(
            SchemaViolation(
                inside, f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
            )
        )


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def camel(name: str) -> str:
    """Turn `max_instance_count` into `maxInstanceCount`."""
    if "_" not in name:
        return name
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def snake(name: str) -> str:
    """Turn `maxInstanceCount` into `max_instance_count`."""
    return _CAPITAL.sub(lambda match: "_" + match[0].lower(), name)


_LAST_WORDS = re.compile(
    r"^Google(?:[A-Z][a-z]+)*?V\d(?:(?:alpha|beta)\d)?|^Google(?:Iam|Devtools|Api|Monitoring)?(?:[A-Z][a-z]+V\d)"
)
"""`GoogleCloudRunV2` and its like, which the messages' names begin with."""
_CAPITAL = re.compile(r"(?<=[a-z0-9])[A-Z]")
