"""What an OpenAPI document tells API Gateway: which calls there are, whom they are for, and where they go."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gcp_rehearsal.errors import invalid, unimplemented
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json

DEADLINE_S, _LONGEST_S = 15.0, 3600.0
"""What an answer may take where a document does not say, and what one may say at most."""
_VERBS = frozenset(("get", "put", "post", "delete", "options", "head", "patch"))
_VARIABLE = re.compile(r"\{[A-Za-z0-9_.-]+(=\*{1,2})?\}")
_PER_MINUTE = "1/min/{project}"
_PLACES = {"x-api-key": "header", "key": "query", "api_key": "query"}
"""Where a key may be, by the name of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlace:
    """Where a call has its key."""

    name: str
    where: str
    """`header` or `query`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOfApi:
    """One call of an API."""

    verb: str
    path: re.Pattern[str]
    address: str
    audience: str
    deadline: float
    keys: tuple[KeyPlace, ...]
    """Where its key may be; none is asked for where there are none."""
    costs: Mapping[str, int]
    """What it takes of each metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimit:
    """How much of a metric one project may take in a minute."""

    name: str
    metric: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiDocument:
    """All that a config says."""

    calls: tuple[CallOfApi, ...]
    limits: tuple[RequestLimit, ...] = field(default=())

    def call(self, verb: str, path: str) -> CallOfApi | None:
        """Return what a request calls; None for what the document does not name."""
        return next(
            (call for call in self.calls if call.verb == verb.lower() and call.path.fullmatch(path)), None
        )


def read_document(documents: Sequence[Mapping[str, Json]]) -> OpenApiDocument:
    """Return what a config's documents say. Raises `ApiError` for what API Gateway refuses, or is not acted out here."""
    if len(documents) != 1:
        raise unimplemented("configs of several documents") if documents else _wrong("a document is required")
    try:
        text = base64.b64decode(
            str((documents[0].get("document") or {}).get("contents") or ""), validate=True
        ).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _wrong(f"contents are not base64: {error}") from error
    try:
        document = read_json(text)
    except ValueError:
        raise unimplemented("OpenAPI documents in YAML") from None
    if not isinstance(document, dict):
        raise _wrong("it is no JSON object")
    if document.get("swagger") != "2.0":
        raise unimplemented("OpenAPI documents of any version but 2.0")
    for key in ("x-google-endpoints", "x-google-allow", "host", "basePath"):
        if key in document:
            raise unimplemented(f"{key} in an OpenAPI document")
    info = document.get("info") or {}
    if not info.get("title") or not info.get("version"):
        raise _wrong("info.title and info.version are required")
    metrics = _metrics(document)
    calls = tuple(_calls(document, metrics))
    if not calls:
        raise _wrong("paths is required and names no call")
    return OpenApiDocument(calls=calls, limits=tuple(_limits(document, metrics)))


def _calls(document: Mapping[str, Json], metrics: frozenset[str]) -> Iterator[CallOfApi]:
    ids: set[str] = set()
    for path, verbs in (document.get("paths") or {}).items():
        for verb, operation in verbs.items():
            if verb not in _VERBS:
                raise unimplemented(f"{verb} of a path in an OpenAPI document")
            operation_id = str(operation.get("operationId") or "")
            if not operation_id or operation_id in ids or not operation.get("responses"):
                raise _wrong(f"{verb} {path}: an operationId of its own and responses are required")
            ids.add(operation_id)
            costs = (operation.get("x-google-quota") or {}).get("metricCosts") or {}
            if unknown := sorted(set(costs) - metrics):
                raise _wrong(f"{verb} {path}: metric {unknown[0]} is not defined")
            backend = operation.get("x-google-backend") or document.get("x-google-backend") or {}
            yield CallOfApi(
                verb=verb, path=_pattern(path), **_backend(backend),
                keys=_keys(document, operation.get("security", document.get("security"))),
                costs={metric: int(cost) for metric, cost in costs.items()},
            )  # fmt: skip


def _backend(backend: Mapping[str, Json]) -> dict[str, Json]:
    address = str(backend.get("address") or "")
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"}:
        raise unimplemented(f"a backend at {address!r}: only https:// and a host")
    if backend.get("path_translation") != "APPEND_PATH_TO_ADDRESS":
        raise unimplemented("a backend that does not get the path of the request")
    if backend.get("protocol", "http/1.1") not in {"http/1.1", "h2"}:
        raise _wrong(f"protocol {backend['protocol']} is not known")
    deadline = float(backend.get("deadline") or DEADLINE_S)
    if not 0 < deadline <= _LONGEST_S:
        raise _wrong(f"deadline {deadline:g} is not between 0 and {_LONGEST_S:g} seconds")
    if backend.get("disable_auth"):
        raise unimplemented("a backend without authentication")
    return {"address": address, "audience": str(backend.get("jwt_audience") or address), "deadline": deadline}


def _pattern(path: str) -> re.Pattern[str]:
    if not path.startswith("/"):
        raise _wrong(f"the path {path} does not begin with /")
    parts = [_segment(part) for part in path.split("/")]
    # By Google's page on templates a path with a variable may end in a slash besides.
    return re.compile("/".join(parts) + ("/?" if "{" in path else ""))


def _segment(text: str) -> str:
    variable = _VARIABLE.fullmatch(text)
    if variable is None:
        return re.escape(text)
    return ".*" if variable[1] == "=**" else "[^/]+"


def _keys(
    document: Mapping[str, Json], security: Sequence[Mapping[str, Json]] | None
) -> tuple[KeyPlace, ...]:
    places = []
    for requirement in security or ():
        for name in requirement:
            definition = (document.get("securityDefinitions") or {}).get(name)
            if definition is None:
                raise _wrong(f"the security definition {name} is not there")
            if definition.get("type") != "apiKey":
                raise unimplemented("security definitions of any type but apiKey")
            if _PLACES.get(str(definition.get("name")).lower()) != definition.get("in"):
                raise _wrong(
                    f"a key is in the header x-api-key, or in the query as key or api_key, not in {definition}"
                )
            places.append(KeyPlace(name=str(definition["name"]).lower(), where=str(definition["in"])))
    return tuple(places)


def _metrics(document: Mapping[str, Json]) -> frozenset[str]:
    metrics = (document.get("x-google-management") or {}).get("metrics") or ()
    for metric in metrics:
        if (metric.get("valueType"), metric.get("metricKind")) != ("INT64", "DELTA"):
            raise _wrong(f"the metric {metric.get('name')} must be of valueType INT64 and metricKind DELTA")
    return frozenset(str(metric["name"]) for metric in metrics)


def _limits(document: Mapping[str, Json], metrics: frozenset[str]) -> Iterator[RequestLimit]:
    for limit in ((document.get("x-google-management") or {}).get("quota") or {}).get("limits") or ():
        if limit.get("unit") != _PER_MINUTE:
            raise _wrong(f"the unit of the limit {limit.get('name')} must be {_PER_MINUTE}")
        if limit.get("metric") not in metrics:
            raise _wrong(f"metric {limit.get('metric')} is not defined")
        most = (limit.get("values") or {}).get("STANDARD")
        if not isinstance(most, int):
            raise _wrong(f"the limit {limit.get('name')} has no value for STANDARD")
        yield RequestLimit(name=str(limit["name"]), metric=str(limit["metric"]), most=most)


def _wrong(text: str) -> Exception:
    return invalid(f"Cannot convert to service config: {text}.", ("api_config.openapi_documents", text))
