"""
Make the discovery documents that Google does not publish from its typed clients.

    .venv/bin/python scripts/derived_documents.py

Model Armor and Cloud Quotas are in no discovery document. Their typed clients know the same things: messages
and enums as proto descriptors, paths and bodies in the REST transport, and what only Google writes in the
messages' docstrings. Run it after a new version of a client is locked.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from google.protobuf.descriptor import Descriptor, FieldDescriptor

DOCUMENTS = Path(__file__).parent.parent / "src" / "gcp_rehearsal" / "documents"
CLIENTS: Mapping[str, tuple[str, str, str]] = {
    "modelarmor.v1": ("google.cloud.modelarmor_v1", "model_armor", "Model Armor API"),
    "cloudquotas.v1": ("google.cloud.cloudquotas_v1", "cloud_quotas", "Cloud Quotas API"),
}
"""By the document's name: the client's package, its service and the API's title."""

_STANDARD = {"Create": "create", "Get": "get", "List": "list", "Update": "patch", "Delete": "delete"}
_VARIABLE = re.compile(r"\{([\w.]+)=([^}]*)\}")
_SCALARS: Mapping[int, Mapping[str, str]] = MappingProxyType({
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "format": "byte"},
    FieldDescriptor.TYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.TYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_INT64: {"type": "string", "format": "int64"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "uint32"},
    FieldDescriptor.TYPE_UINT64: {"type": "string", "format": "uint64"},
})  # fmt: skip
_KNOWN: Mapping[str, Mapping[str, Any]] = {  # Any: JSON
    "google.protobuf.Any": {"type": "object", "additionalProperties": {"type": "any"}},
    "google.protobuf.BoolValue": {"type": "boolean"},
    "google.protobuf.DoubleValue": {"type": "number", "format": "double"},
    "google.protobuf.Duration": {"type": "string", "format": "google-duration"},
    "google.protobuf.FieldMask": {"type": "string", "format": "google-fieldmask"},
    "google.protobuf.Int32Value": {"type": "integer", "format": "int32"},
    "google.protobuf.Int64Value": {"type": "string", "format": "int64"},
    "google.protobuf.StringValue": {"type": "string"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": {"type": "any"}},
    "google.protobuf.Timestamp": {"type": "string", "format": "google-datetime"},
}
"""Messages which JSON writes in a form of their own."""

Json = dict[str, Any]  # Any: JSON


def document(name: str) -> str:
    """Return the text of one document, compact and in a fixed order."""
    package_name, service, title = CLIENTS[name]
    api, _, version = name.partition(".")
    package = import_module(package_name)
    schemas = _Schemas(package)
    resources: Json = {}
    for method_name, option in _options(package_name, service):
        asked, answered = _types(package_name, service, method_name)
        _add(resources, _method(api, method_name, option, (schemas.add(asked), schemas.add(answered)), asked))
    raw = {
        "id": f"{api}:{version}",
        "name": api,
        "version": version,
        "title": title,
        "revision": package.__version__,
        "rootUrl": f"https://{api}.googleapis.com/",
        "servicePath": "",
        "parameters": {},
        "resources": resources,
        "schemas": dict(sorted(schemas.found.items())),
    }
    return json.dumps(raw, separators=(",", ":")) + "\n"


class _Schemas:
    """The messages that a service's methods reach, as schemas."""

    def __init__(self, package: Any) -> None:  # Any: a client's package
        self._package = package
        self.found: Json = {}

    def add(self, message: Descriptor) -> str:
        """Return the schema's name of a message, which is added with all that it refers to."""
        name = _name_of(message)
        if name not in self.found:
            self.found[name] = {}
            read_only = self._read_only(message)
            properties = {
                field.json_name: self._field(field) | ({"readOnly": True} if field.name in read_only else {})
                for field in message.fields
            }
            self.found[name] = {"id": name, "type": "object", "properties": properties}
        return name

    def _field(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            return {"type": "object", "additionalProperties": self._single(value)}
        return {"type": "array", "items": self._single(field)} if field.is_repeated else self._single(field)

    def _single(self, field: FieldDescriptor) -> Json:
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
        if field.message_type is not None:
            known = _KNOWN.get(field.message_type.full_name)
            return dict(known) if known else {"$ref": self.add(field.message_type)}
        return dict(_SCALARS[field.type])

    def _read_only(self, message: Descriptor) -> set[str]:
        """Return the fields whose description begins with the words by which Google marks what it alone writes."""
        found = self._package
        for part in message.full_name.split(".")[message.file.package.count(".") + 1 :]:
            found = getattr(found, part, None)
        text = inspect.getdoc(found) or "" if found is not None else ""
        return set(re.findall(r"^ {4}(\w+) \([^\n]*\):\n\s+Output only\.", text, re.MULTILINE))


def _options(package: str, service: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Return the methods that REST has, by name, with each of their addresses."""
    module = import_module(f"{package}.services.{service}.transports.rest_base")
    base = next(kind for name, kind in vars(module).items() if re.fullmatch(r"_Base\w+RestTransport", name))
    for name, kind in vars(base).items():
        if name.startswith("_Base") and hasattr(kind, "_get_http_options"):
            for option in kind._get_http_options():  # noqa: SLF001 - the client has no public place for it
                yield name.removeprefix("_Base"), option


def _types(package: str, service: str, method: str) -> tuple[Descriptor, Descriptor]:
    """Return the messages that a method takes and answers."""
    module = import_module(f"{package}.services.{service}.transports.rest")
    transport = next(
        kind for name, kind in vars(module).items() if re.fullmatch(r"[A-Z]\w+RestTransport", name)
    )
    if method in {"GetLocation", "ListLocations"}:
        locations = import_module("google.cloud.location.locations_pb2")
        answer = "Location" if method == "GetLocation" else "ListLocationsResponse"
        return getattr(locations, f"{method}Request").DESCRIPTOR, getattr(locations, answer).DESCRIPTOR
    getter = getattr(transport, re.sub(r"(?<!^)(?=[A-Z])", "_", method).lower()).fget
    (asked,), answered = get_args(get_type_hints(getter, vars(module))["return"])
    return _descriptor(asked), _descriptor(answered)


def _descriptor(message: Any) -> Descriptor:  # Any: a message's class of either kind
    plain = message.pb(message()) if hasattr(message, "pb") else message
    descriptor: Descriptor = plain.DESCRIPTOR
    return descriptor


def _method(
    api: str, name: str, option: Mapping[str, str], names: tuple[str, str], asked: Descriptor
) -> Json:
    request, response = names
    variable = _VARIABLE.search(option["uri"])
    assert variable is not None, "each of these methods is about something with a name"
    path, pattern = variable[1].rpartition(".")[2], variable[2]
    body = option.get("body", "")
    flat = _VARIABLE.sub(_spelt_out(pattern), option["uri"]).lstrip("/")
    parameters: Json = {
        path: {
            "location": "path",
            "pattern": "^" + pattern.replace("*", "[^/]+") + "$",
            "required": True,
            "type": "string",
        }
    }
    given = {variable[1].partition(".")[0], body}
    if body != "*":
        parameters |= {field.json_name: _query(field) for field in asked.fields if field.name not in given}
    found: Json = {
        "id": f"{api}.{_id(name, option['uri'])}",
        "httpMethod": option["method"].upper(),
        "path": _VARIABLE.sub(f"{{+{path}}}", option["uri"]).lstrip("/"),
        "flatPath": flat,
        "parameters": parameters,
        "parameterOrder": [path],
        "response": {"$ref": response},
    }
    if body:
        kept = request if body == "*" else _name_of(asked.fields_by_name[body].message_type)
        found["request"] = {"$ref": kept}
    return found


def _query(field: FieldDescriptor) -> Json:
    if field.enum_type is not None:
        spec: Json = {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    elif field.message_type is not None:
        spec = dict(_KNOWN[field.message_type.full_name])
    else:
        spec = dict(_SCALARS[field.type])
    return {"location": "query", **spec, **({"repeated": True} if field.is_repeated else {})}


def _id(name: str, uri: str) -> str:
    """Such as `projects.locations.templates.create`, as the documents of other APIs name their methods."""
    path, _, custom = uri.partition(":")
    pieces = [piece for piece in re.sub(r"[\w.]+=|[{}]", "", path).split("/") if piece][1:]
    collections = [piece for piece in pieces if piece != "*"]
    if custom:
        return ".".join((*collections, custom))
    verb = next(verb for verb in _STANDARD if name.startswith(verb))
    if verb in {"Get", "Update", "Delete"} and pieces[-1] != "*":
        return ".".join((*collections[:-1], name[:1].lower() + name[1:]))
    return ".".join((*collections, _STANDARD[verb]))


def _spelt_out(pattern: str) -> str:
    pieces = pattern.split("/")
    return "/".join(
        f"{{{pieces[number - 1]}Id}}" if piece == "*" else piece for number, piece in enumerate(pieces)
    )


def _name_of(message: Descriptor) -> str:
    if message.file.package == "google.protobuf":
        return str(message.name)
    parts: list[str] = message.full_name.split(".")
    return "".join(parts[message.file.package.count(".") + 1 :])


def _add(resources: Json, method: Json) -> None:
    _, *collections, verb = method["id"].split(".")
    for collection in collections[:-1]:
        resources = resources.setdefault(collection, {}).setdefault("resources", {})
    resources.setdefault(collections[-1], {}).setdefault("methods", {})[verb] = method


def main() -> None:
    """Write all of them."""
    DOCUMENTS.mkdir(exist_ok=True)
    for name in CLIENTS:
        (DOCUMENTS / f"{name}.json").write_text(document(name), encoding="utf-8")
        print(DOCUMENTS / f"{name}.json")


if __name__ == "__main__":
    main()
