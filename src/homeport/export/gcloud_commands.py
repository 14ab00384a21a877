"""What gcloud is told of single things: the commands, flags and files that take more than a line to say."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind
from homeport.export.shell import command
from homeport.json_types import Json
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import RestResource


@dataclass(frozen=True, slots=True, kw_only=True)
class GcloudCommands:
    """How one thing is looked at, made and changed."""

    look: tuple[str, ...]
    make: tuple[str, ...]
    change: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    """Lines that come before all of that."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The files that these read, by name."""
    compared: Mapping[str, Json] | None = None
    """What is compared with what is there, where that is not the body as it is sent."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """The shell's words for marks that are in all of that."""


def role(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a custom role; one that was deleted is taken back first."""
    name, where, verb = _short(one), f"--project={one.google.project}", ("gcloud", "iam", "roles")
    arguments = (
        f"--title={body.take('title')}",
        f"--description={body.take('description')}",
        f"--permissions={','.join(body.take('includedPermissions'))}",
        f"--stage={body.take('stage')}",
    )
    back = command(*verb, "undelete", name, where)
    return GcloudCommands(
        first=("# Google keeps a deleted role under its id for a week.", f"{back} >/dev/null 2>&1 || true"),
        look=(*verb, "describe", name, where),
        make=(*verb, "create", name, where, *arguments),
        change=(*verb, "update", name, where, *arguments, "--quiet"),
    )


def schedule(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a job of Cloud Scheduler."""
    name, where = _short(one), f"--location={one.address.path.split('/')[4]}"
    call, retries = Fields(body.take("httpTarget"), one.id), Fields(body.take("retryConfig"), one.id)
    body.take("name")
    headers = ",".join(f"{key}={value}" for key, value in call.take("headers").items())
    arguments = (
        f"--schedule={body.take('schedule')}",
        f"--time-zone={body.take('timeZone')}",
        f"--description={body.take('description')}",
        f"--uri={call.take('uri')}",
        f"--http-method={call.take('httpMethod')}",
        f"--message-body={base64.b64decode(call.take('body')).decode()}",
        f"--oauth-service-account-email={call.take('oauthToken')['serviceAccountEmail']}",
        f"--max-retry-attempts={retries.take('retryCount')}",
        f"--min-backoff={retries.take('minBackoffDuration')}",
        f"--max-backoff={retries.take('maxBackoffDuration')}",
        f"--max-doublings={retries.take('maxDoublings')}",
        f"--attempt-deadline={body.take('attemptDeadline')}",
    )
    call.done()
    retries.done()
    verb = ("gcloud", "scheduler", "jobs")
    return GcloudCommands(
        look=(*verb, "describe", name, where),
        make=(*verb, "create", "http", name, where, *arguments, f"--headers={headers}"),
        change=(*verb, "update", "http", name, where, *arguments, f"--update-headers={headers}"),
    )


def template(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for a template of Model Armor: gcloud has no flag for which version of the filters judges."""
    return _called(one, body, "template")


def registry_entry(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for an entry of Agent Registry: gcloud has the words in its preview alone."""
    return _called(one, body, "registry-entry")


def callout(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the calls for an extension of a load balancer, or its policy: gcloud imports them whole, over what others have changed."""
    return _called(one, body, one.kind.replace(" ", "-"))


def _called(one: RestResource, body: Fields, word: str) -> GcloudCommands:
    """Return the calls of Google's API itself, with the body in a file."""
    remaining, file = body.rest(), f"{word}-{_short(one)}.json"
    host = f"{one.address.api}.googleapis.com"
    query = "&".join(f"{key}={value}" for key, value in one.address.query.items())
    return GcloudCommands(
        look=("rest", "GET", host, f"/{one.address.path}"),
        make=("rest", "POST", host, f"/{one.address.made_at}?{query}", file),
        change=("rest", "PATCH", host, f"/{one.address.path}?updateMask={','.join(sorted(remaining))}", file),
        files={file: json.dumps(remaining, indent=2) + "\n"},
    )


def regional_endpoint(one: RestResource, body: Fields) -> GcloudCommands:
    """Return the commands for a way to one of Google's APIs, of which nothing can be changed."""
    name, where = _short(one), f"--region={one.address.path.split('/')[4]}"
    wide = ["--enable-global-access"] if body.take("accessType") == "GLOBAL" else []
    verb = ("gcloud", "network-connectivity", "regional-endpoints")
    return GcloudCommands(
        look=(*verb, "describe", name, where),
        make=(
            *(*verb, "create", name, where, *wide),
            f"--target-google-api={body.take('targetGoogleApi')}",
            f"--network={body.take('network')}",
            f"--subnetwork={body.take('subnetwork')}",
            f"--labels={','.join(f'{key}={value}' for key, value in body.take('labels').items())}",
        ),
    )


KNOWS: Mapping[str, Callable[[RestResource, Fields], GcloudCommands]] = {
    ResourceKind.ROLE: role,
    ResourceKind.SCHEDULE: schedule,
    ResourceKind.REGISTRY_ENTRY: registry_entry,
    ResourceKind.TEMPLATE: template,
    ResourceKind.ENDPOINT: regional_endpoint,
    ResourceKind.TRAFFIC_EXTENSION: callout,
    ResourceKind.AUTHZ_EXTENSION: callout,
    ResourceKind.AUTHZ_POLICY: callout,
}


def bound(one: Grant) -> tuple[str, ...]:
    """Return gcloud's words for things of the kind that a grant is on, and those that name the thing."""
    steps = one.on.path.split("/")
    last, place = steps[-1], steps[4] if len(steps) > 4 else ""
    words = {
        "artifactregistry": ("artifacts repositories", last, f"--location={place}"),
        "storage": ("storage buckets", f"gs://{last}"),
        "secretmanager": ("secrets", last),
        "cloudresourcemanager": ("projects", last),
        "run": ("run services", last, f"--region={place}"),
        "iap": (
            "beta iap web",
            "--resource-type=cloud-run",
            f"--region={place.removeprefix('cloud_run-')}",
            f"--service={last}",
        ),
        "iam": ("iam service-accounts", last),
    }
    if one.on.api not in words:
        raise TypeError(f"no export knows grants on {one.on.api}")
    return words[one.on.api]


def rule(wanted: Mapping[str, Json]) -> str:
    """Return a rule of a firewall, as gcloud's flag has it."""
    ports = [f":{port}" for port in wanted.get("ports", [""]) if port] or [""]
    return ",".join(f"{wanted['IPProtocol']}{port}" for port in ports)


def _short(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2]
