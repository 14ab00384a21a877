"""
What a handler may use: the call that it answers, and the cloud that it answers for.

`Cloud` is what the one cloud of `cloud.py` shows to those who answer for it; none of them needs to know who it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.discovery import Document, Found, Method
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_state import ContainerState
from gcp_rehearsal.schema import camel
from gcp_rehearsal.settings import Delays, Policies, Project
from gcp_rehearsal.state import Store, StoredResource


class Access(Protocol):
    """Policies on everything that can have one, and who may do what by them."""

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Return who sent a request with these headers. Raises `ApiError` 401."""

    def policy(self, api: str, name: str) -> JsonObject:
        """Return the policy as it was last set."""

    def set_policy(
        self, api: str, name: str, policy: Mapping[str, Json], *, at_once: bool = False
    ) -> JsonObject:
        """Set a policy; its etag, where it has one, must be that of the policy as it is. Raises `ApiError`."""

    def grants(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield all that is granted: API, the thing's name, role, member."""

    def held(self, caller: Caller, permissions: Iterable[str], api: str, name: str, project: str) -> set[str]:
        """Return which of `permissions` the caller has on a thing, by its policy and those above it, as seen by now."""

    def anybody(self, permission: str, api: str, name: str) -> bool:
        """Return True if a thing's own policy allows it even to callers who do not say who they are."""


class Containers(Protocol):
    """Runs what is deployed. Each is asked again and again, with the seconds that have passed since the first time."""

    def begin(self, cloud: Cloud) -> None:
        """Take the cloud whose containers they are: called once, before anything else."""

    def service(self, revision: Mapping[str, Json], waited: float) -> ContainerState:
        """Tell whether an instance of a revision has started."""

    def task(self, task: Mapping[str, Json], waited: float) -> ContainerState:
        """Tell whether an attempt of a task has ended."""

    def stop(self, name: str) -> None:
        """Tell that the revision or task of that name is not needed any more."""


class Steps(Protocol):
    """Runs steps. What it does to the cloud it does at once; the build goes on after the seconds that it names."""

    def run(self, cloud: Cloud, step: Step) -> Ran | RunningStep:
        """Return what comes of a step, or what will tell it later."""

    def pushed(self, cloud: Cloud, build: str, reference: str, digest: str) -> None:
        """Tell that a build has pushed an image. Raises `ApiError` where it has not made that image."""

    def ended(self, build: str) -> None:
        """Tell that the build of that id is over: what it has on disk can go."""


class Metrics(Protocol):
    """What was measured, and answers in PromQL."""

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        """Return the answer of `query` or `query_range`, as JSON. Raises `ApiError`."""


class Cloud(Protocol):
    """The cloud, as those who answer for it see it."""

    @property
    def projects(self) -> Sequence[Project]:
        """Return the projects that exist."""

    @property
    def delays(self) -> Delays:
        """Return how long changes take until they are seen."""

    @property
    def policies(self) -> Policies:
        """Return what the organisation forbids."""

    @property
    def quotas(self) -> dict[str, int]:
        """Return the quotas of Cloud Run that are not the default ones."""

    @property
    def build_regions(self) -> frozenset[str]:
        """Return the only regions where builds may run; empty for everywhere."""

    @property
    def only_default_machine(self) -> bool:
        """Tell whether builds may run on the default machine alone."""

    @property
    def strips_proof(self) -> bool:
        """Tell whether Cloud Run takes X-Serverless-Authorization away once it has looked at it."""

    @property
    def quotas_at_first(self) -> dict[str, int]:
        """Return what the first service that counts in a quota brings of it."""

    @property
    def faults(self) -> list[Fault]:
        """Return what goes wrong."""

    @property
    def clock(self) -> Clock:
        """Return the cloud's time."""

    @property
    def folder(self) -> Path:
        """Return the folder where bytes lie."""

    @property
    def store(self) -> Store:
        """Return the store of all that exists."""

    @property
    def access(self) -> Access:
        """Return who may do what."""

    @property
    def containers(self) -> Containers:
        """Return what runs the containers that are deployed."""

    @property
    def steps(self) -> Steps:
        """Return what runs the steps of builds."""

    @property
    def metrics(self) -> Metrics | None:
        """Return what answers queries of metrics; None where nothing measures."""

    @property
    def enabled(self) -> dict[tuple[str, str], float]:
        """Return since when an API is enabled, by project and service such as `run.googleapis.com`."""

    @property
    def key(self) -> bytes:
        """Return the key that signs identity tokens."""

    @property
    def secret(self) -> str:
        """Return the secret that access tokens are made of."""

    async def handle(self, request: Request) -> Reply:
        """Return the answer to one request."""

    def answered(self, request: Request) -> Reply:
        """Return the answer to a request that comes from within the cloud, such as that of a job."""

    def token(self, email: str) -> str:
        """Return the access token of a caller."""

    def kind(self, call: Call) -> Kind:
        """Return what is special about the collection that a call is about."""

    def keep(self, call: Call, name: str, collection: str, body: JsonObject) -> StoredResource:
        """Make a thing of that name."""

    def forget(self, kept: StoredResource, *, reserved: float = 0.0) -> None:
        """Remove a thing; its name may stay reserved for so many seconds."""

    def check_reserved(self, call: Call, name: str) -> None:
        """Raise `ApiError` 409 where the name of something that was deleted cannot be used again yet."""

    def takes(self, seconds: float) -> float:
        """Return how long work of so many seconds takes here."""

    def number(self) -> str:
        """Return a number such as Google gives to things."""

    def uuid(self) -> str:
        """Return an id such as Google gives to things."""

    def project(self, name: str) -> Project | None:
        """Return the project of that id or number."""

    def by_id(self, path: str) -> str:
        """Return a path in which projects' numbers have become their ids."""

    def by_number(self, path: str) -> str:
        """Return a path in which projects' ids have become their numbers."""

    def account_is_visible(self, email: str) -> bool:
        """Return True if a service account exists for those who are told its e-mail: new ones are not seen at once."""

    def was_enabled(self, project: str, api: str) -> bool:
        """Return True if an API is enabled for a project, whether it answers already or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it was understood: which method, on what, by whom."""

    cloud: Cloud
    request: Request
    document: Document
    method: Method
    params: Mapping[str, str]
    """Of the path; a project's number has become its id."""
    query: Mapping[str, Json]
    body: JsonObject
    """Checked, in the form in which Google answers."""
    media: bytes | None
    """What was uploaded, where the path is one for uploads."""
    caller: Caller
    name: str
    """What the path names, without version and custom verb: `projects/p/locations/l/services/s`."""
    project: str
    """The id of the project that it is about; '' where it is about none."""

    @property
    def api(self) -> str:
        """Return the API's name, such as `run`, whatever the version."""
        return self.document.api

    @property
    def mask(self) -> tuple[str, ...] | None:
        """Return the fields to be changed, in camel case; None where the caller names none."""
        text = self.query.get("updateMask")
        if not text:
            return None
        return tuple(".".join(camel(part) for part in path.split(".")) for path in text.split(","))

    @property
    def validate_only(self) -> bool:
        """Tell whether only the checks are asked for, without any change."""
        return bool(self.query.get("validateOnly")) or bool(self.body.get("validateOnly"))


def name_of(path: str, found: Found) -> str:
    """Return what the path of a request names, as its caller wrote it."""
    method = found.method
    action = method.action if found.document.api == "compute" else ""
    return _named(path, method.prefix, method.custom, action)


@lru_cache(maxsize=1024)  # What is made is read again and again.
def _named(path: str, prefix: str, custom: str, action: str) -> str:
    """Return what a path names; `action` is the last word of a method of Compute Engine's, '' elsewhere."""
    path = path.strip("/")
    for way in ("resumable/", "upload/", "download/"):
        path = path.removeprefix(way)
    path = path.removeprefix(prefix).strip("/")
    if custom:
        path = path.removesuffix(f":{custom}")
    if action:
        path = _in_scope(path.removesuffix(f"/{action}"))
    # %2F is no end of a segment, and stays as it is (google.api.http: so it is where a variable has several); so what is
    # encoded twice, as in names of bindings of tags, is the same as what is encoded once.
    kept = unquote(re.sub("%2F", "%252F", path, flags=re.IGNORECASE))
    return kept.replace("%2f", "%2F")


def _in_scope(path: str) -> str:
    """Return a path of Compute Engine with `global` where a method's path, such as that of a proxy's `setUrlMap`, lacks it."""
    parts = path.split("/")
    if len(parts) == 4 and parts[2] not in {"global", "regions", "zones", "aggregated"}:
        parts.insert(2, "global")
    return "/".join(parts)


Handler = Callable[[Call], Any]  # Any: JSON, or a Reply
"""Answers one method: JSON, or a `Reply` where status or headers matter. Raises `ApiError`."""


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    """Do nothing: there is nothing to check, and there are no defaults."""


def _do_nothing(call: Call, resource: StoredResource) -> None:
    """Do nothing else."""


def _unnamed(call: Call, body: JsonObject) -> str:
    """Return '': what is made is called what its caller says, or has a number."""
    return ""


def _done(call: Call, resource: StoredResource) -> ApiError | None:
    """Return None: nothing can fail."""
    return None


def _show(call: Call, resource: StoredResource) -> JsonObject:
    return resource.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a collection does at the turns of its things' lives. Every part has a default that does nothing."""

    prepare: Callable[[Call, JsonObject, StoredResource | None], None] = _prepare
    """Before a thing is made or changed: checks the body that it will have, and sets what Google sets."""
    name: Callable[[Call, JsonObject], str] = _unnamed
    """What Google calls the thing that a body makes, where it makes that up of the body; '' for any other."""
    made: Callable[[Call, StoredResource], None] = _do_nothing
    """Just after it was made or changed."""
    done: Callable[[Call, StoredResource], ApiError | None] = _done
    """When the operation that made or changed it ends; an error fails the operation."""
    remove: Callable[[Call, StoredResource], None] = _do_nothing
    """Before it is deleted; may refuse."""
    show: Callable[[Call, StoredResource], JsonObject] = _show
    """How it is answered."""
    seconds: float = 0.0
    """How long an operation on it takes."""
    reserved: float = 0.0
    """For how many seconds its name stays reserved after a delete."""
    whole: bool = False
    """Whether a PATCH without a mask replaces all that can be written."""


PLAIN = Kind()
