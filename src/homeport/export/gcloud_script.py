"""The lines of a script for `gcloud`: how each thing is looked at, made, compared and changed."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from homeport.export import (
    agents,
    gcloud_commands,
    gcloud_edge,
    gcloud_network,
    gcloud_observe,
    knative,
)
from homeport.export.builds import BEYOND_S, Blanks, ExportedBuild, builds
from homeport.export.fields import Fields
from homeport.export.gcloud_commands import GcloudCommands
from homeport.export.gcloud_observe import NAMED
from homeport.export.graph import ResourceKind, Things, beside
from homeport.export.repositories import clean_up, upstream
from homeport.export.shell import Lines, command, values, with_variables
from homeport.export.text import CACHE_NOTE, comment, head, to_yaml
from homeport.json_types import Json
from homeport.resources.google.answering_edge import AnsweringEdge
from homeport.resources.google.apis import Apis
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.object import Object
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service
from homeport.resources.google.service_agent import AgentGrant
from homeport.resources.google.startup_cache import StartupCache

FILE = "deploy.sh"
_IN = ".in"
"""Stands in the name of a service's file in which something is yet to be filled in."""
_VALUES = ".values"
_SKIPPED = frozenset(("cleanupPolicies",))
"""What is set each time, and so not compared."""
_UNREAD = frozenset(
    ("run.googleapis.com/launch-stage", "run.googleapis.com/client-name", "run.googleapis.com/client-version")
)
"""Of a service: what Google reads back as it finds it, and gcloud writes itself."""
_SCHEDULED = "run.googleapis.com/minScale"
"""Of a service that a schedule keeps warm at some hours: what the schedule sets is not set back."""
HUB = "HF_TOKEN"
"""The variable that holds a hub's token, for the hub's own tools, too."""
_OF_A_HUB = "-hub-token"


def variables(version: SecretVersion) -> tuple[str, ...]:
    """Return the variables of the shell that a secret is read from, the first that is set."""
    own = version.secret_id.upper().replace("-", "_")
    return (HUB, own) if version.secret_id.endswith(_OF_A_HUB) else (own,)


_TOLD: Mapping[str, Callable[[RestResource, Fields], GcloudCommands]] = {
    **gcloud_commands.KNOWS,
    **gcloud_network.KNOWS,
    **gcloud_edge.KNOWS,
    **dict.fromkeys(
        (
            ResourceKind.DASHBOARD,
            ResourceKind.ALERT_POLICY,
            ResourceKind.CHANNEL,
            ResourceKind.UPTIME_CHECK,
        ),
        gcloud_observe.monitoring_part,
    ),
    ResourceKind.BUDGET: gcloud_observe.budget,
}
"""Of which more than a line is to be said."""


class GcloudScript:
    """The lines for each resource; and the files that some of them need."""

    def __init__(self, things: Things) -> None:
        self._things = things
        self._builds: Mapping[str, ExportedBuild] = {build.thing.id: build for build in builds(things)}
        self.files: dict[str, str] = {}

    def lines(self, one: Any) -> Lines:  # Any: the resource of the kind that a function is for
        """Return the commands that make one resource."""
        if isinstance(one, RestResource):
            blanks = Blanks(self._things)
            body = Fields(self._things.filled(one.wanted, blanks.mark), one.id)
            commands = KNOWS[one.kind](self, one, body)
            body.done()
            # What a service has of these is in a file of its own, which is filled.
            if isinstance(one, Service) or not blanks.variables():
                return commands
            filled = commands if one.kind in _TOLD else with_variables(commands, blanks.variables())
            return [*blanks.lookup_lines(), *filled]
        return KNOWS[one.kind](self, one, Fields({}, one.id))

    def apis(self, one: Apis, _: Fields) -> Lines:
        return [command("enable", *one.services)]

    def account(self, one: RestResource, body: Fields) -> Lines:
        email = _short(one)
        return self._ensured(
            one,
            ("gcloud", "iam", "service-accounts", "describe", email),
            ("gcloud", "iam", "service-accounts", "create", email.partition("@")[0],
             f"--display-name={body.take('displayName', '')}", f"--description={body.take('description', '')}"),
        )  # fmt: skip

    def startup_cache(self, _: StartupCache, __: Fields) -> Lines:
        return [comment(f"Not made here: {CACHE_NOTE}").rstrip()]

    def grant(self, one: Grant, _: Fields) -> Lines:
        late = self._things.waits_for_door(one)
        return [f"behind_it {granted(one)}" if late else granted(one)]

    def secret(self, one: RestResource, body: Fields) -> Lines:
        replication = body.take("replication")
        regions = [replica["location"] for replica in replication["userManaged"]["replicas"]]
        return self._ensured(
            one,
            ("gcloud", "secrets", "describe", _short(one)),
            ("gcloud", "secrets", "create", _short(one), "--replication-policy=user-managed",
             f"--locations={','.join(regions)}", _labels(body)),
        )  # fmt: skip

    def secret_version(self, one: SecretVersion, _: Fields) -> Lines:
        if self._things.is_open(one):
            file = f"{one.secret_id}.yaml"
            self.files[file] = one.value.reveal()
            return [command("settings", one.secret_id, file)]
        names = variables(one)
        purpose = "a token of the hub that may read the model" if HUB in names else "its value"
        value = "".join(f"${{{name}:-" for name in names).removesuffix(":-") + "-" + "}" * len(names)
        return [
            "was=$-",
            "{ set +x +a; } 2>/dev/null",
            f"secret={value}",
            f"export -n secret {' '.join(names)}",
            command("secret_version", one.secret_id, names[0], purpose),
            "unset secret",
            'as_before "$was"',
        ]

    def repository(self, one: RestResource, body: Fields) -> Lines:
        name, where = _short(one), f"--location={one.address.path.split('/')[4]}"
        key, verb = body.take("kmsKeyName"), ("gcloud", "artifacts", "repositories")
        format_flag = f"--repository-format={body.take('format').lower()}"
        make = (
            *(
                "keyed" if key else "gcloud",
                *verb[1:],
                "create",
                name,
                where,
                format_flag,
                *upstream(body),
                _labels(body),
            ),
            *([f"--kms-key={key}"] if key else []),
        )
        policies = body.take("cleanupPolicies")
        if not policies:
            return self._ensured(one, (*verb, "describe", name, where), make)
        file = f"cleanup-{name}.json"
        self.files[file] = clean_up(policies)
        clean = (*verb, "set-cleanup-policies", name, where, f"--policy={file}", "--no-dry-run")
        *lines, last = self._ensured(one, (*verb, "describe", name, where), make, clean)
        place = lines.index("else")
        compared = [
            f"  {command('change', f'cleanup policies of {name}', 'policies', *clean)} <<'END'",
            *values({"cleanupPolicies": policies}),
            "END",
        ]
        return [*lines[:place], *compared, *lines[place:], last]

    def bucket(self, one: RestResource, body: Fields) -> Lines:
        url, labels = f"gs://{body.take('name')}", _labels(body, "--update-labels")
        access = Fields(body.take("iamConfiguration"), one.id)
        uniform, public = access.take("uniformBucketLevelAccess"), access.take("publicAccessPrevention")
        access.done()
        key, soft_delete = body.take("encryption", {}).get("defaultKmsKeyName"), body.take("softDeletePolicy")
        flags = [f"--location={body.take('location').lower()}"]
        flags += ["--uniform-bucket-level-access"] if uniform["enabled"] else []
        flags += ["--public-access-prevention"] if public == "enforced" else []
        flags += [f"--soft-delete-duration={soft_delete['retentionDurationSeconds']}s"] if soft_delete else []
        flags += [f"--default-encryption-key={key}"] if key else []
        update = ("gcloud", "storage", "buckets", "update", url)
        fixed = [each for each in flags if not each.startswith("--location=")]
        return self._ensured(
            one,
            ("gcloud", "storage", "buckets", "describe", url, "--raw"),
            ("gcloud", "storage", "buckets", "create", url, *flags),
            (*update, labels),
            change=(*update, *fixed, labels),
        )

    def object(self, one: Object, _: Fields) -> Lines:
        file = beside(one)
        if (large := self._things.beside.get(file)) is not None:
            self.files[file] = large
            return [command("gcloud", "storage", "cp", file, f"gs://{one.bucket}/{one.name}")]
        try:
            text = one.content.decode()
            if "\0" in text:
                raise ValueError  # noqa: TRY301 - what no shell can hold goes as text that cannot be decoded does
            written = f"printf %s {shlex.quote(text)}"
        except ValueError:
            written = f"printf %s {base64.b64encode(one.content).decode()} | base64 -d"
        return [f"{written} | {command('gcloud', 'storage', 'cp', '-', f'gs://{one.bucket}/{one.name}')}"]

    def build(self, one: Any, _: Fields) -> Lines:  # Any: an Image or StoredWeights
        if isinstance(one, MirroredImage):
            return [f"say {shlex.quote(f'= {one.summary({})}')}"]
        build = self._builds.get(one.id)
        if build is None:
            return [f"# Only `homeport up` can do this: {one.uri} comes from a folder of one machine."]
        limit = round(float(str(build.body["timeout"]).removesuffix("s")) + BEYOND_S)
        return [
            f"if there {build.exists_command}; then",
            f"  say {shlex.quote(f'= {one.summary({})}: is there')}",
            "else",
            f"  {command('build', build.mark, build.thing.build_region, build.file, str(limit))}",
            "fi",
        ]

    def service(self, one: Service, body: Fields) -> Lines:
        body.rest()  # Knative's to write, which leaves nothing out.
        blanks = Blanks(self._things)
        file = knative.file_of(self._things, one, _IN)
        listed_in = file.replace(f"{_IN}.yaml", _VALUES)
        note = f"For {FILE}, which fills in what is known only when it is there: what stands between two underscores twice."
        manifest = knative.service(self._things, one, blanks.mark)
        text = to_yaml(manifest)
        if text.count("\n  annotations:\n") != 1 or text.count("\n      annotations:\n") != 1:
            raise TypeError(f"{one.id} has no annotations to which the script can add its own")
        self.files[file] = head("gcloud", note) + text
        kept_warm = ResourceKind.SCHEDULE in self._things.kinds() and one is self._things.service
        unread = {*_UNREAD, *([_SCHEDULED] if kept_warm else [])}
        values_note = (
            f"For {FILE}: the values of {file}, by which it is compared with the service that is there."
        )
        compared = [each for each in values(manifest) if not each.split(": ")[0].endswith(tuple(unread))]
        self.files[listed_in] = head("gcloud", values_note) + "".join(f"{each}\n" for each in compared)
        held = "held" if not manifest["spec"].get("traffic") else "latest"
        return [
            *blanks.lookup_lines(),
            *(" ".join(("fill", name, f'"$work/{name}"', *blanks.pairs())) for name in (file, listed_in)),
            f'deploy {shlex.quote(one.own_name)} {shlex.quote(one.region)} "$work/{file}" "$work/{listed_in}" {held}{self._stands(one)}',
        ]

    def _stands(self, one: Service) -> str:
        """Return the words that say which load balancer stands before a service; '' for none."""
        door = self._things.door
        if door is None or one is not self._things.service:
            return ""
        return f" {shlex.quote(door.address)} {door.edge_kind}"

    def _ensured(
        self,
        resource: RestResource,
        look: tuple[str, ...],
        *make: tuple[str, ...],
        change: tuple[str, ...] = (),
        compared: Mapping[str, Json] | None = None,
    ) -> Lines:
        """Return the lines that make a thing, and compare one that is there: `change` changes it, else it is told."""
        expected = {key: value for key, value in (compared or resource.wanted).items() if key not in _SKIPPED}
        done = ("change" if change else "keep", f"{resource.kind} {_short(resource)}", resource.kind, *change)
        shown = ("--format=flattened[no-pad]",) if look[0] == "gcloud" else ()
        return [
            f"if there {command(*look, *shown)}; then",
            f"  {command(*done)} <<'END'",
            *values(self._things.filled(expected, Blanks(self._things).mark)),
            "END",
            "else",
            *(f"  make {command(*each)}" for each in make),
            "fi",
        ]

    def commands(self, one: RestResource, body: Fields) -> Lines:
        """Return the commands for a thing that needs more than a line."""
        commands = _TOLD[one.kind](one, body)
        blanks = Blanks(self._things)
        body_as_sent = self._things.filled(one.wanted, blanks.mark)
        compared = commands.compared or body_as_sent
        marks = {**blanks.variables(), **commands.marks}
        lines = self._ensured(one, commands.look, commands.make, change=commands.change, compared=compared)
        if NAMED in "".join(lines):
            marks[NAMED] = "$NAMED"
            lines = [lines[0], "  NAMED=$(value_of name)", *lines[1:]]
        first = [*commands.first]
        for file, text in commands.files.items():
            # Groups of one name in two regions have one file, since it is the path that says the region.
            if self.files.setdefault(file, text) != text:
                raise TypeError(f"two things would have the file {file}")
            if any(mark in text for mark in marks):  # It is filled in, and read from where that is.
                pairs = [
                    word for mark, value in marks.items() for word in (mark, f'"{value}"') if mark in text
                ]
                first.append(" ".join(("fill", file, f'"$work/{file}"', *pairs)))
                lines = [
                    line if line.startswith("fill ") else line.replace(f" {file}", f" __WORK__/{file}")
                    for line in lines
                ]
                marks["__WORK__"] = "$work"
        return [*first, *(with_variables(lines, marks) if marks else lines)]

    def door(self, one: ClosedDoor, _: Fields) -> Lines:
        lines, files = gcloud_edge.door(self._things, one)
        self.files |= files
        return lines

    def answering(self, one: AnsweringEdge, _: Fields) -> Lines:
        return gcloud_edge.answering(self._things, one.door)

    def release(self, one: Release, _: Fields) -> Lines:
        return ["# Only `homeport up` can do this: see above."]


KNOWS: Mapping[str, Callable[[GcloudScript, Any, Fields], Lines]] = {  # Any: the resource of that kind
    ResourceKind.APIS: GcloudScript.apis, ResourceKind.ACCOUNT: GcloudScript.account, ResourceKind.GRANT: GcloudScript.grant, ResourceKind.SECRET: GcloudScript.secret,
    ResourceKind.SECRET_VERSION: GcloudScript.secret_version, ResourceKind.REPOSITORY: GcloudScript.repository, ResourceKind.BUCKET: GcloudScript.bucket,
    ResourceKind.OBJECT: GcloudScript.object, ResourceKind.IMAGE: GcloudScript.build,
    ResourceKind.CONFIGURATION: GcloudScript.secret, **dict.fromkeys(_TOLD, GcloudScript.commands),
    ResourceKind.STARTUP_CACHE: GcloudScript.startup_cache, ResourceKind.WEIGHTS: GcloudScript.build, ResourceKind.SERVICE: GcloudScript.service, ResourceKind.RELEASE: GcloudScript.release,
    ResourceKind.ANSWERING: GcloudScript.answering, ResourceKind.DOOR: GcloudScript.door,
}  # fmt: skip


def granted(one: Grant) -> str:
    """Return the command that makes a grant, unless it is there."""
    group, *on = gcloud_commands.bound(one)
    granting = command("grant", one.member, one.role, group, *on)
    if one.under_any_condition:
        return f"conditioned=yes {granting}"
    return f"agent={agents.api_of(one)} {granting}" if isinstance(one, AgentGrant) else granting


def _short(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2]


def _labels(body: Fields, flag: str = "--labels") -> str:
    return f"{flag}={','.join(f'{key}={value}' for key, value in body.take('labels', {}).items())}"


__all__ = ["FILE", "HUB", "KNOWS", "GcloudScript", "granted", "variables"]
