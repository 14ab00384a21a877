"""
Google's own descriptions of its APIs: which methods there are, and what they take.

The documents ship inside the package `google-api-python-client` (the extra `rehearse`). Model Armor
and Cloud Quotas have none: theirs were made from their typed clients and lie in `documents/` beside this file
(`scripts/derived_documents.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote

from gcp_rehearsal.errors import RehearsalError
from gcp_rehearsal.json_types import Json

NAMES = (
    "agentregistry.v1", "apigateway.v1", "apikeys.v2", "artifactregistry.v1", "billingbudgets.v1", "certificatemanager.v1", "cloudbilling.v1", "cloudbuild.v1", "cloudbuild.v2",
    "cloudkms.v1", "cloudquotas.v1", "cloudresourcemanager.v1", "cloudresourcemanager.v3", "cloudscheduler.v1", "compute.v1", "dns.v1", "iam.v1",
    "iamcredentials.v1", "iap.v1", "logging.v2", "modelarmor.v1", "monitoring.v1", "monitoring.v3",
    "networkconnectivity.v1", "networksecurity.v1", "networkservices.v1", "orgpolicy.v2", "run.v1", "run.v2", "secretmanager.v1",
    "servicenetworking.v1", "serviceusage.v1", "serviceusage.v1beta1", "storage.v1", "sts.v1",
)  # fmt: skip
"""The APIs that are rehearsed, by the names of their documents."""

_OLD_HOST, _BY_PATH = "www.googleapis.com", ("compute", "dns")
"""The host of Google's older APIs: of storage, and by their paths of these."""
_OURS = Path(__file__).parent / "documents"
_NONE: Mapping[str, Json] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method of an API."""

    id: str
    """Such as `run.projects.locations.services.create`."""
    verb: str
    """GET, POST, PUT, PATCH or DELETE."""
    prefix: str
    """What comes before the resource's name in a path, such as `v2` or `compute/v1`."""
    flat: str
    """Its path, each variable one segment: `v2/projects/{projectsId}/locations/{locationsId}/services`."""
    parameters: Mapping[str, Mapping[str, Json]]
    """Of path and query, as the document has them."""
    request: str | None
    """The schema of its body."""
    response: str | None
    """The schema of its answer."""
    media_upload: bool
    spans: tuple[tuple[str, int, int], ...]
    """Where the path's parameters are: name, first segment, number of segments from the end that follow it."""
    custom: str
    """What follows a colon at the path's end, such as `setIamPolicy`; or ''."""
    open_end: bool = False
    """Whether the last variable of its path takes several segments: `metricDescriptors/custom.googleapis.com/mine`."""

    @property
    def action(self) -> str:
        """Return the last word of its id, such as `create`."""
        return self.id.rpartition(".")[2]

    @property
    def collection(self) -> str:
        """Return all words of its id except the last, such as `run.projects.locations.services`."""
        return self.id.rpartition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of one API."""

    name: str
    """Such as `run.v2`."""
    title: str
    """Such as `Cloud Run Admin API`."""
    revision: str
    methods: Mapping[str, Method]
    """By id."""
    schemas: Mapping[str, Mapping[str, Json]]
    """By name, as the document has them."""
    parameters: Mapping[str, Mapping[str, Json]]
    """Of the query, which every method takes."""

    @property
    def api(self) -> str:
        """Return the API's name, such as `run`, whatever the version."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Found:
    """The method that a request is for."""

    document: Document
    method: Method
    params: Mapping[str, str]
    """Of its path."""
    upload: bool = False
    """Whether it came by the path for uploads of media."""


@cache
def load(name: str) -> Document:
    """
    Return the document of that name.

    Raises `RehearsalError` where the extra `rehearse` is not installed.
    """
    raw = json.loads(_path(name).read_bytes())
    base = raw.get("servicePath", "").strip("/")
    methods = {method["id"]: _method(method, base) for method in _methods(raw)}
    return Document(
        name=name,
        title=raw.get("title", name),
        revision=raw["revision"],
        methods=methods,
        schemas=raw.get("schemas", {}),
        parameters=raw.get("parameters", {}),
    )


@lru_cache(maxsize=2048)
def find(host: str, verb: str, path: str) -> Found | None:
    """
    Return the method that answers `verb` on `path` (as sent, percent-encoded) at `host`; None where there is
    none.

    A region in the host (`us-central1-run.googleapis.com`, `modelarmor.us-central1.rep.googleapis.com`) is allowed.
    """
    api = api_of(host)
    segments = path.strip("/").split("/")
    upload = segments[0] in {"upload", "resumable"}
    if upload:
        segments = segments[1 if segments[0] == "upload" else 2 :]
        verb = "POST"  # What follows on an upload that was begun comes by other verbs.
    elif segments[0] == "download":
        segments = segments[1:]
    if segments[0] in _BY_PATH and host.partition(":")[0] == _OLD_HOST:
        api = segments[0]
    last, colon, custom = segments[-1].rpartition(":")
    for candidate in ((*segments[:-1], last, f":{custom}"), segments) if colon and last else (segments,):
        for document, method in _tree(api).find(verb, list(candidate)):
            plain = list(candidate)[:-1] if method.custom else list(candidate)
            params = {
                name: unquote("/".join(plain[first : len(plain) - after]))
                for name, first, after in method.spans
            }
            return Found(document, method, params, upload)
    return None


def api_of(host: str) -> str:
    """Return the API's name in a host: `run` of `us-central1-run.googleapis.com:443`."""
    first = host.partition(":")[0].partition(".")[0]
    if host.partition(":")[0] == _OLD_HOST:
        return "storage"
    return first if first in _APIS else first.rpartition("-")[2]


_APIS = {name.partition(".")[0] for name in NAMES}


class _Tree:
    """The paths of one API, segment by segment."""

    def __init__(self) -> None:
        self.fixed: dict[str, _Tree] = {}
        self.any: _Tree | None = None
        self.rest: _Tree | None = None
        """What follows a variable of several segments: an end, or a verb after a colon."""
        self.ends: dict[str, tuple[Document, Method]] = {}

    def add(self, segments: list[str], document: Document, method: Method) -> None:
        node = self
        last = max((place for place, segment in enumerate(segments) if segment.startswith("{")), default=-1)
        for place, segment in enumerate(segments):
            if method.open_end and place == last:
                node.rest = node.rest or _Tree()
                node = node.rest
            elif segment.startswith("{"):
                node.any = node.any or _Tree()
                node = node.any
            else:
                node = node.fixed.setdefault(segment, _Tree())
        node.ends.setdefault(method.verb, (document, method))

    def find(self, verb: str, segments: list[str]) -> Iterator[tuple[Document, Method]]:
        """Return the methods that fit, those with more fixed segments first."""
        if not segments:
            if verb in self.ends:
                yield self.ends[verb]
            return
        if segments[0] in self.fixed:
            yield from self.fixed[segments[0]].find(verb, segments[1:])
        if self.any is not None and segments[0] and not segments[0].startswith(":"):
            yield from self.any.find(verb, segments[1:])
        if self.rest is not None and all(segments[:1]) and not segments[0].startswith(":"):
            verbs = segments[-1:] if segments[-1].startswith(":") else []
            yield from self.rest.find(verb, verbs)


@cache
def _tree(api: str) -> _Tree:
    root = _Tree()
    for name in NAMES:
        if name.partition(".")[0] == api:
            for method in load(name).methods.values():
                root.add(_segments(method.flat), load(name), method)
    return root


@cache
def described() -> frozenset[str]:
    """Return the names of all APIs that Google has a document of, such as `alloydb`, whether they are rehearsed or not."""
    return frozenset(file.name.partition(".")[0] for file in _path("run.v2").parent.glob("*.json"))


def _path(name: str) -> Path:
    own = _OURS / f"{name}.json"
    if own.exists():
        return own
    package = find_spec("googleapiclient")
    if package is None or package.origin is None:
        raise RehearsalError(
            "Google's discovery documents are not installed", hint="pip install 'homeport[rehearse]'"
        )
    return Path(package.origin).parent / "discovery_cache" / "documents" / f"{name}.json"


def _methods(raw: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    yield from raw.get("methods", {}).values()
    for resource in raw.get("resources", {}).values():
        yield from _methods(resource)


def _flat(raw: Mapping[str, Json], base: str) -> str:
    flat: str = raw.get("flatPath", raw["path"])
    return flat if flat.startswith(base) else f"{base}/{flat}"


def _segments(flat: str) -> list[str]:
    segments = flat.split("/")
    last, colon, custom = segments[-1].rpartition(":")
    return [*segments[:-1], last, f":{custom}"] if colon else segments


def _method(raw: Mapping[str, Json], base: str) -> Method:
    path = raw["path"] if raw["path"].startswith(base) else f"{base}/{raw['path']}"
    template, _, custom = path.partition(":") if ":" in path.rpartition("/")[2] else (path, "", "")
    pieces = template.split("/")
    length = len([piece for piece in _segments(_flat(raw, base)) if not piece.startswith(":")])
    spans = []
    prefix: list[str] = []
    position = 0
    for number, piece in enumerate(pieces):
        width = 1
        if piece.startswith("{+"):
            width = length - (len(pieces) - 1)
        if piece.startswith("{"):
            after = length - position - width
            spans.append((piece.strip("{+}"), position, after))
        elif not spans and number == len(prefix):
            prefix.append(piece)
        position += width
    return Method(
        id=raw["id"],
        verb=raw["httpMethod"],
        prefix=_prefix(prefix, base),
        flat=_flat(raw, base),
        parameters=raw.get("parameters", _NONE),
        request=raw.get("request", {}).get("$ref"),
        response=raw.get("response", {}).get("$ref"),
        media_upload="mediaUpload" in raw,
        spans=tuple(spans),
        custom=custom,
        open_end=template.endswith("}")
        and any(
            str(spec.get("pattern", "")).endswith(".*$") for spec in raw.get("parameters", _NONE).values()
        ),
    )


def _prefix(pieces: list[str], base: str) -> str:
    if base:
        return base
    for number, piece in enumerate(pieces):
        if piece[:1] == "v" and piece[1:2].isdigit():
            return "/".join(pieces[: number + 1])
    return ""
