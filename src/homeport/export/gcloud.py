"""A script for `gcloud` that makes what `up` makes."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from homeport.export import knative
from homeport.export.builds import Blanks, ExportedBuild, builds, left_behind
from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind, Things
from homeport.export.text import comment, head, listed, to_yaml
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.resources.google.apis import Apis
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.object import Object
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service

FILE = "deploy.sh"
_IN = ".in"
"""Stands in the name of a service's file in which something is yet to be filled in."""
_WIDTH = 100
_FUNCTIONS = """\
# Whether something is there: what is, is left as it is.
there() { "$@" >/dev/null 2>&1; }

# A new account or a new role is not known everywhere at once: what is refused for that is tried again.
again() {
  local left=30
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || return 1
    sleep 10
  done
}
"""

_FILLED = """
# Where the service goes that is handed to gcloud, with all of it filled in.
filled=$(mktemp)
trap 'rm -f "$filled"' EXIT\
"""

Lines = list[str]


def files(things: Things) -> dict[str, str]:
    """Return the script `deploy.sh`, and the files that it hands to gcloud."""
    lines, needed = making(things, things.resources)
    made = {FILE: script(things.project, _head(things), [_FILLED, *lines], _epilogue(things))}
    for build in builds(things):
        note = f"For {FILE}, and as `homeport up` submits it: gcloud builds submit --no-source --config={build.file}"
        made[build.file] = head("gcloud", note) + build.yaml
    return made | needed


def making(things: Things, resources: Iterable[Resource]) -> tuple[Lines, dict[str, str]]:
    """Return the commands that make `resources`, which are some of `things`, and the files that these read."""
    script = _Script(things, {build.thing.id: build for build in builds(things)})
    lines: Lines = []
    for one in resources:
        lines += ["", comment(one.summary({})).rstrip(), *script.lines(one)]
    return lines, script.files


def script(project: str, head: str, lines: Lines, epilogue: str = "") -> str:
    """Return a script of bash for a project: its head, what all of them begin with, and its lines."""
    return f"#!/usr/bin/env bash\n{head}{_prologue(project)}\n{_FUNCTIONS}{_joined(lines)}{epilogue}"


def command(*words: str, tail: str = "") -> str:
    """Return a command, quoted where the shell would read something into it, over several lines where it is long."""
    quoted = [word if word == "-" else shlex.quote(word) for word in words]
    line = " ".join(quoted) + tail
    if len(line) <= _WIDTH or "\n" in line:
        return line
    first = next((place for place, word in enumerate(quoted) if word.startswith("--")), len(quoted))
    return " \\\n    ".join([" ".join(quoted[:first]), *quoted[first:]]) + tail


def submitted(build: ExportedBuild) -> str:
    """Return the command that submits a build, and waits for it."""
    return command("gcloud", "builds", "submit", "--no-source", f"--config={build.file}",
                   f"--region={build.thing.region}", "--suppress-logs", tail=" >/dev/null")  # fmt: skip


def _head(things: Things) -> str:
    left = left_behind(things)
    notes = [
        (
            "Makes in Google Cloud what `homeport up --on cloudrun` makes, each thing with the label homeport="
            f"{things.name}. It may be run again: what is there is left as it is, so that a change of what is there is "
            "`homeport up`'s to make."
        ),
    ]
    secrets = things.all(SecretVersion)
    if secrets:
        read = listed(f"{variable(one)}" for one in secrets)
        notes.append(f"Secrets are read from {read}, or asked for; they are in no argument and in no file.")
    if left:
        notes.append(
            f"Not made here: {listed(left)}, from weights on one machine, which only `homeport up` carries."
        )
    if things.all(Release):
        notes.append(
            "Not made here: the proof. `homeport up` verifies a revision before it has traffic; run `homeport verify "
            "--on cloudrun`, or `homeport up --on cloudrun`, which finds nothing else to do."
        )
    return head("gcloud", *notes)


def _prologue(project: str) -> str:
    return "\n".join(
        (
            "set -euo pipefail",
            'cd "$(dirname "${BASH_SOURCE[0]}")"',
            "",
            f"export CLOUDSDK_CORE_PROJECT={shlex.quote(project)} CLOUDSDK_CORE_DISABLE_PROMPTS=1",
            "",
        )
    )


def _epilogue(things: Things) -> str:
    asked = [
        command("gcloud", "run", "services", "describe", one.own_name, f"--region={one.region}", "--format=value(status.url)")
        for one in things.services
    ]  # fmt: skip
    return "\n" + "".join(f"{line}\n" for line in asked)


def _joined(lines: Lines) -> str:
    return "".join(f"{line}\n" for line in lines)


def variable(version: SecretVersion) -> str:
    """Return the variable of the shell that a secret is read from."""
    return version.secret_id.upper().replace("-", "_")


class _Script:
    """The lines for each resource; and the files that some of them need."""

    def __init__(self, things: Things, of: Mapping[str, ExportedBuild]) -> None:
        self._things, self._builds = things, of
        self.files: dict[str, str] = {}

    def lines(self, one: Any) -> Lines:  # Any: the resource of the kind that a function is for
        """Return the commands that make one resource."""
        if isinstance(one, RestResource):
            # What has blanks is in a file of its own, which fills them.
            body = Fields(self._things.filled(one.wanted, Blanks(self._things).mark), one.id)
            made = KNOWS[one.kind](self, one, body)
            body.done()
            return made
        return KNOWS[one.kind](self, one, Fields({}, one.id))

    def apis(self, one: Apis, _: Fields) -> Lines:
        return [command("gcloud", "services", "enable", *one.services)]

    def account(self, one: RestResource, body: Fields) -> Lines:
        email = _short(one)
        return _unless(
            ("gcloud", "iam", "service-accounts", "describe", email),
            ("gcloud", "iam", "service-accounts", "create", email.partition("@")[0],
             f"--display-name={body.take('displayName', '')}", f"--description={body.take('description', '')}"),
        )  # fmt: skip

    def grant(self, one: Grant, _: Fields) -> Lines:
        return [granted(one)]

    def secret(self, one: RestResource, body: Fields) -> Lines:
        replication = body.take("replication")
        regions = [replica["location"] for replica in replication["userManaged"]["replicas"]]
        return _unless(
            ("gcloud", "secrets", "describe", _short(one)),
            ("gcloud", "secrets", "create", _short(one), "--replication-policy=user-managed",
             f"--locations={','.join(regions)}", _labels(body)),
        )  # fmt: skip

    def secret_version(self, one: SecretVersion, _: Fields) -> Lines:
        name, read = shlex.quote(one.secret_id), variable(one)
        return [
            f'if [ -z "${{{read}-}}" ]; then read -rsp {shlex.quote(f"{one.secret_id}: ")} {read} && echo >&2; fi',
            f"export -n {read}",
            f'if [ "$(gcloud secrets versions access latest --secret={name} 2>/dev/null || true)" != "${read}" ]; then',
            f'  printf %s "${read}" | gcloud secrets versions add {name} --data-file=-',
            "fi",
        ]

    def repository(self, one: RestResource, body: Fields) -> Lines:
        where = f"--location={one.address.path.split('/')[4]}"
        key = body.take("kmsKeyName")
        lines = _unless(
            ("gcloud", "artifacts", "repositories", "describe", _short(one), where),
            ("gcloud", "artifacts", "repositories", "create", _short(one), where,
             f"--repository-format={body.take('format').lower()}", _labels(body), *([f"--kms-key={key}"] if key else [])),
        )  # fmt: skip
        policies = body.take("cleanupPolicies")
        if policies:
            file = f"cleanup-{_short(one)}.json"
            self.files[file] = _policies(policies)
            lines.append(command("gcloud", "artifacts", "repositories", "set-cleanup-policies", _short(one), where,
                                 f"--policy={file}", "--no-dry-run", tail=" >/dev/null"))  # fmt: skip
        return lines

    def bucket(self, one: RestResource, body: Fields) -> Lines:
        url, labels = f"gs://{body.take('name')}", _labels(body, "--update-labels")
        access = Fields(body.take("iamConfiguration"), one.id)
        uniform, public = access.take("uniformBucketLevelAccess"), access.take("publicAccessPrevention")
        access.done()
        key, kept = body.take("encryption", {}).get("defaultKmsKeyName"), body.take("softDeletePolicy")
        flags = [f"--location={body.take('location').lower()}"]
        flags += ["--uniform-bucket-level-access"] if uniform["enabled"] else []
        flags += ["--public-access-prevention"] if public == "enforced" else []
        flags += [f"--soft-delete-duration={kept['retentionDurationSeconds']}s"] if kept else []
        flags += [f"--default-encryption-key={key}"] if key else []
        return [
            *_unless(("gcloud", "storage", "buckets", "describe", url), ("gcloud", "storage", "buckets", "create", url, *flags)),
            command("gcloud", "storage", "buckets", "update", url, labels),
        ]  # fmt: skip

    def object(self, one: Object, _: Fields) -> Lines:
        try:
            text = one.content.decode()
            if "\0" in text:
                raise ValueError  # noqa: TRY301 - what no shell can hold goes as text that cannot be decoded does
            written = f"printf %s {shlex.quote(text)}"
        except ValueError:
            written = f"printf %s {base64.b64encode(one.content).decode()} | base64 -d"
        return [f"{written} | {command('gcloud', 'storage', 'cp', '-', f'gs://{one.bucket}/{one.name}')}"]

    def network(self, one: RestResource, body: Fields) -> Lines:
        routing = body.take("routingConfig", {}).get("routingMode", "REGIONAL").lower()
        mode = "auto" if body.take("autoCreateSubnetworks") else "custom"
        name = body.take("name")
        return _unless(
            ("gcloud", "compute", "networks", "describe", name),
            ("gcloud", "compute", "networks", "create", name, f"--subnet-mode={mode}", f"--bgp-routing-mode={routing}",
             f"--description={body.take('description', '')}"),
        )  # fmt: skip

    def subnetwork(self, one: RestResource, body: Fields) -> Lines:
        name, where = body.take("name"), f"--region={one.address.path.split('/')[5]}"
        private = ["--enable-private-ip-google-access"] if body.take("privateIpGoogleAccess") else []
        return _unless(
            ("gcloud", "compute", "networks", "subnets", "describe", name, where),
            ("gcloud", "compute", "networks", "subnets", "create", name, where,
             f"--network={body.take('network').rpartition('/')[2]}", f"--range={body.take('ipCidrRange')}", *private,
             f"--description={body.take('description', '')}"),
        )  # fmt: skip

    def firewall(self, one: RestResource, body: Fields) -> Lines:
        name, allowed, denied = body.take("name"), body.take("allowed"), body.take("denied")
        rules = ",".join(_rule(rule) for rule in allowed or denied)
        return _unless(
            ("gcloud", "compute", "firewall-rules", "describe", name),
            ("gcloud", "compute", "firewall-rules", "create", name, f"--network={body.take('network').rpartition('/')[2]}",
             f"--direction={body.take('direction')}", f"--priority={body.take('priority')}",
             f"--action={'ALLOW' if allowed else 'DENY'}", f"--rules={rules}",
             f"--destination-ranges={','.join(body.take('destinationRanges'))}",
             f"--description={body.take('description', '')}"),
        )  # fmt: skip

    def zone(self, one: RestResource, body: Fields) -> Lines:
        name = body.take("name")
        networks = [
            each["networkUrl"].rpartition("/")[2] for each in body.take("privateVisibilityConfig")["networks"]
        ]
        return _unless(
            ("gcloud", "dns", "managed-zones", "describe", name),
            ("gcloud", "dns", "managed-zones", "create", name, f"--dns-name={body.take('dnsName')}",
             f"--visibility={body.take('visibility')}", f"--networks={','.join(networks)}",
             f"--description={body.take('description', '')}", _labels(body)),
        )  # fmt: skip

    def record(self, one: RestResource, body: Fields) -> Lines:
        host, where = (
            body.take("name"),
            (f"--zone={one.address.path.split('/')[5]}", f"--type={body.take('type')}"),
        )
        return _unless(
            ("gcloud", "dns", "record-sets", "describe", host, *where),
            ("gcloud", "dns", "record-sets", "create", host, *where, f"--ttl={body.take('ttl')}",
             f"--rrdatas={','.join(body.take('rrdatas'))}"),
        )  # fmt: skip

    def build(self, one: Any, _: Fields) -> Lines:  # Any: an Image or StoredWeights
        build = self._builds.get(one.id)
        if build is None:
            return [f"# Only `homeport up` can do this: {one.uri} comes from a folder of one machine."]
        return [f"there {build.there} ||\n  {submitted(build)}"]

    def service(self, one: Service, body: Fields) -> Lines:
        body.rest()  # Knative's to write, which leaves nothing out.
        blanks, where = Blanks(self._things), f"--region={one.region}"
        file = knative.file_of(self._things, one, _IN)
        note = f"For {FILE}, which fills in what is known only when it is there: what stands between two underscores twice."
        self.files[file] = head("gcloud", note) + to_yaml(knative.service(self._things, one, blanks.mark))
        # The file does not say what was found out, nor of some who serves: replaced once more, a service would lose both.
        return [
            *blanks.shell(file, '"$filled"'),
            f"there {command('gcloud', 'run', 'services', 'describe', one.own_name, where)} ||",
            f'  gcloud run services replace "$filled" {where}',
        ]

    def release(self, one: Release, _: Fields) -> Lines:
        return ["# Only `homeport up` can do this: see above."]


KNOWS: Mapping[str, Callable[[_Script, Any, Fields], Lines]] = {  # Any: the resource of that kind
    ResourceKind.APIS: _Script.apis, ResourceKind.ACCOUNT: _Script.account, ResourceKind.GRANT: _Script.grant, ResourceKind.SECRET: _Script.secret,
    ResourceKind.SECRET_VERSION: _Script.secret_version, ResourceKind.REPOSITORY: _Script.repository, ResourceKind.BUCKET: _Script.bucket,
    ResourceKind.OBJECT: _Script.object, ResourceKind.NETWORK: _Script.network, ResourceKind.SUBNETWORK: _Script.subnetwork,
    ResourceKind.FIREWALL: _Script.firewall, ResourceKind.ZONE: _Script.zone, ResourceKind.RECORD: _Script.record, ResourceKind.IMAGE: _Script.build,
    ResourceKind.WEIGHTS: _Script.build, ResourceKind.SERVICE: _Script.service, ResourceKind.RELEASE: _Script.release,
}  # fmt: skip


def granted(one: Grant) -> str:
    """Return the command that makes a grant."""
    who = (f"--member={one.member}", f"--role={one.role}", "--format=none")
    return command("again", "gcloud", *_bound(one), *who)


def _short(one: RestResource) -> str:
    return one.address.path.rpartition("/")[2]


def _unless(look: tuple[str, ...], make: tuple[str, ...]) -> Lines:
    return [f"there {command(*look)} ||\n  {command(*make)}"]


def _labels(body: Fields, flag: str = "--labels") -> str:
    return f"{flag}={','.join(f'{key}={value}' for key, value in body.take('labels', {}).items())}"


def _rule(rule: Mapping[str, Json]) -> str:
    ports = [f":{port}" for port in rule.get("ports", [""]) if port] or [""]
    return ",".join(f"{rule['IPProtocol']}{port}" for port in ports)


def _bound(one: Grant) -> tuple[str, ...]:
    """Return the words that name the thing that a grant is on."""
    steps, verb = one.on.path.split("/"), "add-iam-policy-binding"
    last = steps[-1]
    if one.on.api == "artifactregistry":
        return ("artifacts", "repositories", verb, last, f"--location={steps[4]}")
    if one.on.api == "storage":
        return ("storage", "buckets", verb, f"gs://{last}")
    if one.on.api == "secretmanager":
        return ("secrets", verb, last)
    if one.on.api == "cloudresourcemanager":
        return ("projects", verb, last, "--condition=None")
    if one.on.api == "run":
        return ("run", "services", verb, last, f"--region={steps[4]}")
    if one.on.api == "iam":
        return ("iam", "service-accounts", verb, last)
    raise TypeError(f"no export knows grants on {one.on.api}")


def _policies(policies: Mapping[str, Mapping[str, Json]]) -> str:
    made = [
        {"name": one["id"], "action": {"type": one["action"]}, **{k: v for k, v in one.items() if k not in {"id", "action"}}}
        for one in policies.values()
    ]  # fmt: skip
    return json.dumps(made, indent=2) + "\n"
