"""Google Cloud, as far as the rehearsal goes: one object, which answers requests."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import tempfile
import uuid
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs

from gcp_rehearsal import credentials, discovery, generic, handlers, operations
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.context import PLAIN, Call, Containers, Kind, Metrics, Steps, name_of
from gcp_rehearsal.discovery import Found
from gcp_rehearsal.errors import ApiError, exists, info, invalid, not_found, of_status, unimplemented
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.access import Access
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.schema import SchemaCheck
from gcp_rehearsal.settings import AT_ONCE, OWNER, Delays, Policies, Project
from gcp_rehearsal.state import Store, StoredResource

ALWAYS_ON = frozenset(
    ("serviceusage", "cloudresourcemanager", "storage", "logging", "monitoring", "sts", "iam")
)
"""APIs that a request needs no enabling for: those of a new project, and those that know no project."""
_LONGEST_WAIT = 120.0
_Answer = Callable[[], Awaitable[Reply]]
_BETA = re.compile(r"^((?:/dns)?/v\d+)(?:alpha|beta)\d*(?=/)|^/compute/beta(?=/)")
_VERSION = re.compile(r"^/(?:[a-z]+/)?(v\d+\w*|beta|alpha)/")


@dataclass(frozen=True, slots=True)
class Logged:
    """One request that was answered."""

    method: str
    name: str
    status: int
    """0 where the connection was dropped."""
    caller: str


class Dropped(Exception):
    """A fault drops the connection, or who asked has gone: there is no answer."""


@dataclass(kw_only=True)
class Cloud:
    """A whole cloud in memory. Objects' bytes lie in `folder`."""

    projects: Sequence[Project] = (Project(),)
    delays: Delays = field(default_factory=Delays)
    clock: Clock = field(default_factory=Clock)
    folder: Path = Path()
    """Where the bytes are; if it is not given, one that goes when the cloud goes."""
    policies: Policies = field(default_factory=Policies)
    quotas: dict[str, int] = field(default_factory=dict)
    """What a project may have in a region, by Cloud Run's names of quotas, over the defaults."""
    quotas_at_first: dict[str, int] = field(default_factory=dict)
    """What a project that has nothing of a quota is given when it first makes a service that counts in it."""
    build_regions: frozenset[str] = frozenset()
    """The only regions where builds may run, as in some projects by their usage; empty for everywhere."""
    only_default_machine: bool = False
    """Whether builds may run on Cloud Build's default machine alone."""
    containers: Containers = field(default_factory=Willing)
    """Runs what is deployed to Cloud Run."""
    steps: Steps = field(default_factory=Acted)
    """Runs the steps of builds."""
    strips_proof: bool = False  # Whether X-Serverless-Authorization is taken away once it was read.
    metrics: Metrics | None = None
    """Answers queries of metrics; None where nothing measures."""
    faults: list[Fault] = field(default_factory=list)
    secret: str = field(default_factory=credentials.new_secret, repr=False)
    """What its tokens are made of; its holder can act as anybody here."""
    log: list[Logged] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.folder == Path():
            self.folder = Path(tempfile.mkdtemp(prefix="gcp-rehearsal-"))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.store = Store()
        self.access = Access(self, delay=self.delays.grants)
        self.enabled: dict[tuple[str, str], float] = {}
        """Since when an API is enabled, by project and service such as `run.googleapis.com`."""
        self.key = secrets.token_bytes(32)
        """Signs identity tokens."""
        self._reserved: dict[tuple[str, str], float] = {}
        self._requests: dict[str, Any] = {}  # Any: JSON; answers by requestId
        self._checks: dict[str, SchemaCheck] = {}
        self._random = Random(0)  # noqa: S311 - ids, not secrets
        self.containers.begin(self)
        for project in self.projects:
            owners = {"bindings": [{"role": "roles/owner", "members": [Caller(project.owner).member]}]}
            self.access.set_policy("cloudresourcemanager", f"projects/{project.id}", owners, at_once=True)

    def token(self, email: str) -> str:
        """Return the access token of a caller."""
        return credentials.token(self.secret, email)

    async def handle(self, request: Request) -> Reply:
        """Return the answer to one request, as bytes. Raises `Dropped` where a fault drops the connection."""
        self.clock.settle()
        route = discovery.find(request.host, request.verb, request.path)
        if route is None and _BETA.match(request.path):
            # gcloud asks beta versions for a few things that the released ones answer, too.
            request = replace(request, path=_BETA.sub(_released, request.path))
            route = discovery.find(request.host, request.verb, request.path)
        extra = handlers.unlisted(request) if route is None else None
        if extra is not None:

            async def unlisted() -> Reply:
                return _encoded(extra(self, request))

            name = handlers.registry_method(request)
            return await (self._struck(request, name, "", unlisted) if name else unlisted())
        if route is None:
            return self.refused("", _unknown(request))
        name, api = route.method.id, route.document.api
        return await self._struck(request, name, api, lambda: self._reply(request, route))

    async def _struck(self, request: Request, name: str, api: str, answer: _Answer) -> Reply:
        """Return the answer to a call of that method and API, with the faults that strike it."""
        struck = [fault for fault in self.faults if fault.strikes(name)]
        for fault in struck:
            await self._strike(name, fault, after=False)
        reply = next((_fails(f, api) for f in struck if f.status and not f.after), None)
        if reply is None:
            replies = [await answer() for _ in range(2 if any(fault.twin for fault in struck) else 1)]
            for fault in struck:
                await self._strike(name, fault, after=True)
            reply = next((_fails(f, api) for f in struck if f.status and f.after), replies[-1])
        self._note(request, name, reply.status)
        return reply

    def answered(self, request: Request) -> Reply:
        """Return the answer to a request that comes from within the cloud, such as that of a job."""
        route = discovery.find(request.host, request.verb, request.path)
        if route is None:
            return self.refused("", _unknown(request))
        try:
            answer = self._done(self._understood(request, route))
            reply = answer if isinstance(answer, Reply) else _encoded(Reply(body=answer))
        except ApiError as error:
            reply = self.refused(route.document.api, error)
        self._note(request, route.method.id, reply.status)
        return reply

    def kind(self, call: Call) -> Kind:
        """Return what is special about the collection that a call is about."""
        return handlers.KINDS.get(call.method.collection, PLAIN)

    def keep(self, call: Call, name: str, collection: str, body: JsonObject) -> StoredResource:
        """Make a thing of that name."""
        return self.store.put(
            StoredResource(api=call.api, name=name, collection=collection, project=call.project, body=body,
                 created=self.clock.now())
        )  # fmt: skip

    def forget(self, kept: StoredResource, *, reserved: float = 0.0) -> None:
        """Remove a thing; its name may stay reserved for so many seconds."""
        self.store.remove(kept)
        self.access.forget(kept.api, kept.name)
        if reserved:
            self._reserved[kept.api, kept.name] = self.clock.now() + self.takes(reserved)

    def check_reserved(self, call: Call, name: str) -> None:
        """Raise `ApiError` 409 where the name of something that was deleted cannot be used again yet."""
        until = self._reserved.get((call.api, name), 0.0)
        if self.clock.now() < until:
            raise exists(
                f"Requested entity already exists: '{name}' was deleted, and its name is still reserved."
            )

    def takes(self, seconds: float) -> float:
        """Return how long work of so many seconds takes here."""
        return seconds * self.delays.operations

    def number(self) -> str:
        """Return a number such as Google gives to things."""
        return str(self._random.randrange(10**17, 10**19))

    def uuid(self) -> str:
        """Return an id such as Google gives to things, the same ones in each run."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def project(self, name: str) -> Project | None:
        """Return the project of that id or number."""
        return next((project for project in self.projects if name in {project.id, project.number}), None)

    def by_id(self, path: str) -> str:
        """Return a path in which projects' numbers have become their ids."""
        for project in self.projects:
            for place in ("projects", "namespaces") if project.number in path else ():
                path = path.replace(f"{place}/{project.number}", f"{place}/{project.id}")
        return path

    def by_number(self, path: str) -> str:
        """Return a path in which projects' ids have become their numbers."""
        first, _, rest = path.partition("/")
        id_, slash, rest = rest.partition("/")
        project = self.project(id_) if first == "projects" else None
        return f"projects/{project.number}{slash}{rest}" if project else path

    def account_is_visible(self, email: str) -> bool:
        """Return True if a service account exists for those who are told its e-mail: new ones are not seen at once."""
        name, _, host = email.partition("@")
        project = host.removesuffix(".iam.gserviceaccount.com")
        if self.project(project) is None:
            return True  # Google's own agents, and other people's projects.
        account = self.store.get("iam", f"projects/{project}/serviceAccounts/{name}@{host}")
        return account is not None and account.created + self.delays.accounts <= self.clock.now()

    def was_enabled(self, project: str, api: str) -> bool:
        """Return True if an API is enabled for a project, whether it answers already or not."""
        return api in ALWAYS_ON or (project, f"{api}.googleapis.com") in self.enabled

    def is_enabled(self, project: str, api: str) -> bool:
        """Return True if an API answers for a project: it does some time after it was enabled."""
        since = self.enabled.get((project, f"{api}.googleapis.com"))
        return api in ALWAYS_ON or (since is not None and since + self.delays.apis <= self.clock.now())

    async def _reply(self, request: Request, route: Found) -> Reply:
        try:
            call = self._understood(request, route)
            answer = self._done(call)
            if call.method.action == "wait" and isinstance(answer, dict):
                answer = await self._waited(call)
        except ApiError as error:
            return self.refused(route.document.api, error)
        if not isinstance(answer, Reply) and call.method.verb == "DELETE" and call.method.response is None:
            answer = Reply(status=204) if call.api == "storage" else {}
        return _encoded(answer if isinstance(answer, Reply) else Reply(body=answer))

    def _understood(self, request: Request, route: Found) -> Call:
        caller = self.access.caller(request.headers)
        version = route.document.name
        check = self._checks.get(version) or self._checks.setdefault(version, SchemaCheck(route.document))
        query, wrong = check.query(route.method, parse_qs(request.query, keep_blank_values=True))
        body, more = ({}, []) if route.upload else check.body(route.method, _json_of(request))
        if wrong := [*wrong, *more]:
            fields = [(violation.field, violation.description) for violation in wrong]
            raise invalid("\n".join(description for _, description in fields), *fields)
        params = {key: self.by_id(value) for key, value in route.params.items()}
        name = self.by_id(name_of(request.path, route))
        call = Call(
            cloud=self, request=request, document=route.document, method=route.method, params=params, query=query, body=body,
            media=request.body if route.upload else None, caller=caller, name=name,
            project=self._project_of(route.document.api, name, {**query, **params}),
        )  # fmt: skip
        self._admit(call)
        return call

    def _admit(self, call: Call) -> None:
        if not call.project:
            return
        project = self.project(call.project)
        if project is None:
            details = [
                info("CONSUMER_INVALID", "googleapis.com", consumer=f"projects/{call.project}",
                     service=f"{call.api}.googleapis.com")
            ]  # fmt: skip
            raise ApiError(403, f"Permission denied on resource project {call.project}.", details=details)
        if not self.is_enabled(project.id, call.api):
            raise _disabled(call, project)
        self.access.demand(call)

    def _done(self, call: Call) -> Json:
        request_id = call.query.get("requestId")
        key = f"{call.method.id} {call.name} {request_id}"
        if request_id and key in self._requests:
            return self._requests[key]
        special = handlers.HANDLERS.get(f"{call.document.name}:{call.method.id}") or (
            handlers.HANDLERS.get(call.method.id)
        )
        answer = (special or self._generic(call))(call)
        if request_id:
            self._requests[key] = answer
        return answer

    def _generic(self, call: Call) -> Callable[[Call], Json]:
        if call.method.action == "wait":
            return generic.get
        return generic.handler(call)

    async def _waited(self, call: Call) -> Json:
        text = str(call.body.get("timeout") or "").removesuffix("s")
        until = self.clock.now() + min(float(text) if text else _LONGEST_WAIT, _LONGEST_WAIT)
        operation = generic.existing(call)
        while not operations.is_done(operation) and self.clock.now() < until:
            await self.clock.sleep(0.25)
            self.clock.settle()
        return operation.body

    def _project_of(self, api: str, name: str, given: Mapping[str, Json]) -> str:
        if given.get("project"):
            return self.by_id(f"projects/{given['project']}")[9:]
        segments = name.split("/")
        if segments[0] in {"projects", "namespaces"} and len(segments) > 1 and segments[1] != "-":
            return segments[1]
        if api == "storage" and "bucket" in given:
            bucket = self.store.get("storage", f"b/{given['bucket']}")
            return bucket.project if bucket else ""
        if segments[:2] == ["projects", "-"] and "@" in name:
            return name.partition("@")[2].partition(".iam.gserviceaccount.com")[0].partition("/")[0]
        resource = self.store.get(api, name)
        return resource.project if resource else ""

    async def _strike(self, method: str, fault: Fault, *, after: bool) -> None:
        if fault.after is not after:
            return
        if fault.jump:
            self.clock.jump(fault.jump)
            self.clock.settle()
        if fault.delay:
            await self.clock.sleep(fault.delay)
        if fault.drop:
            self.log.append(Logged(method, "", 0, ""))
            raise Dropped

    def _note(self, request: Request, method: str, status: int) -> None:
        self.log.append(Logged(method, self.by_id(request.path), status, self.access.email(request.headers)))

    @staticmethod
    def refused(api: str, error: ApiError) -> Reply:
        """Return the answer that an error is."""
        headers = {"retry-after": "1"} if error.code == 429 else {}
        return _encoded(Reply(status=error.code, body=error.envelope(api), headers=headers))


def _released(path: re.Match[str]) -> str:
    return path[1] or "/compute/v1"


def _unknown(request: Request) -> ApiError:
    """Return the refusal of what no document has: 404 where Google's documents were asked, else that they were not."""
    named = _VERSION.match(request.path)
    api = discovery.api_of(request.host)
    versions = [name for name in discovery.NAMES if name.startswith(f"{api}.")]
    if named is not None and versions and f"{api}.{named[1]}" not in versions:
        return unimplemented(f"version {named[1]} of {api}.googleapis.com, only {', '.join(versions)}")
    return ApiError(404, "Method not found.")


def _fails(fault: Fault, api: str) -> Reply:
    error = of_status(fault.status)
    return _encoded(Reply(status=error.code, body=error.envelope(api)))


def _encoded(reply: Reply) -> Reply:
    if reply.body is None or isinstance(reply.body, bytes):
        return reply
    headers: Mapping[str, str] = {"content-type": "application/json; charset=UTF-8", **reply.headers}
    return Reply(status=reply.status, body=json.dumps(reply.body).encode(), headers=headers)


def _json_of(request: Request) -> Json:
    if not request.body:
        return None
    kind = request.headers.get("content-type", "application/json")
    try:
        if kind.startswith("application/x-www-form-urlencoded"):
            return {key: values[-1] for key, values in parse_qs(request.body.decode()).items()}
        return read_json(request.body)
    except ValueError as error:
        raise invalid(f"Invalid JSON payload received. {error}") from error


def _disabled(call: Call, project: Project) -> ApiError:
    service = f"{call.api}.googleapis.com"
    page = f"https://console.developers.google.com/apis/api/{service}/overview?project={project.number}"
    return ApiError(
        403,
        f"{call.document.title} has not been used in project {project.number} before or it is disabled. Enable it by "
        f"visiting {page} then retry. If you enabled this API recently, wait a few minutes for the action to "
        "propagate to our systems and retry.",
        reason="accessNotConfigured",
        details=[
            info("SERVICE_DISABLED", "googleapis.com", service=service, consumer=f"projects/{project.number}",
                 serviceTitle=call.document.title, activationUrl=page)
        ],
    )  # fmt: skip


__all__ = ["AT_ONCE", "OWNER", "Cloud", "Delays", "Dropped", "Logged", "Policies", "Project", "not_found"]
