"""One build of Cloud Build that makes the image, carries the weights and deploys; and what must stand before it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from homeport.export import encryption, gcloud, knative, shell
from homeport.export.build_steps import CLI, ENV, steps_of
from homeport.export.builds import (
    Blanks,
    ExportedBuild,
    build_yaml,
    builds,
    left_behind,
    seconds,
)
from homeport.export.graph import OF_EDGE, ResourceKind, Things
from homeport.export.held import MARK, door, held
from homeport.export.text import comment, head, listed, to_yaml
from homeport.google import IamResource
from homeport.json_types import JsonObject
from homeport.reconcile import Resource
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import Service
from homeport.resources.google.traffic import CANDIDATE, RECEIPTS

KNOWS = gcloud.KNOWS
"""The kinds of resources that it makes: those of the script, whose commands are its steps."""

FILE, PREPARE = "cloudbuild.yaml", "prepare.sh"
_LONGEST_S = 86400
"""Of any build, by Cloud Build's rule."""
_ORDER = ("name", "id", "waitFor", "timeout", "dir", "entrypoint", "secretEnv")
_VERSION = re.compile(r"(projects/[^/]+/secrets/[^/]+/versions)/(.+)")

_LOOSE = {"substitutionOption": "ALLOW_LOOSE"}
"""Whether Cloud Build counts a substitution as used that stands in a secret's version alone is not documented."""

Body = JsonObject


def files(things: Things) -> dict[str, str]:
    """Return `cloudbuild.yaml`, which needs no file beside it, and the script `prepare.sh` to be run once before."""
    pipeline = Pipeline(things)
    return {FILE: pipeline.head + build_yaml(pipeline.body), **prepare(pipeline)}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The builds of `up` in one, and the deployment behind them."""

    things: Things

    @property
    def regions(self) -> tuple[Things, ...]:
        """Return what there is in each region, in the order in which they are deployed."""
        return self.things.regions

    @property
    def builds(self) -> list[ExportedBuild]:
        """Return the builds that `up` would submit one by one."""
        return [build for region in self.regions for build in _builds(region)]

    @property
    def account(self) -> str:
        """Return the full name of the service account that all of it runs as: the one that builds the image."""
        builder = next(
            resource for resource in self.things.all(RestResource) if resource.kind == ResourceKind.ACCOUNT
        )
        return str(builder.address.path).removeprefix("v1/")

    @property
    def email(self) -> str:
        """Return the service account's e-mail."""
        return self.account.rpartition("/")[2]

    @property
    def body(self) -> Body:
        """Return the body of the build. Raises `TypeError` where builds of `up` contradict each other."""
        secrets, substitutions = _secrets(self.builds)
        build: Body = {
            "serviceAccount": self.account,
            "timeout": f"{min(sum(seconds(region) for region in self.regions), _LONGEST_S):g}s",
            "options": _options(self.builds) | (_LOOSE if substitutions else {}),
            "substitutions": substitutions,
            "availableSecrets": secrets,
            "steps": [_in_order(step) for step in self._steps()],
        }
        return {key: value for key, value in build.items() if value}

    @property
    def head(self) -> str:
        """Return the comment at the head of the file, which says how to run it."""
        things = self.things
        notes = [
            (
                f"Builds and pushes the image, carries the weights, and deploys, all as {self.email}. Run {PREPARE} once "
                "before; then, and after each new export:"
            ),
            f"gcloud builds submit --no-source --config={FILE} --region={things.region} --project={things.project}",
            (
                "New grants may take some minutes to be seen. An image whose tag is there is not built again. The steps are those of `homeport up`'s own builds; a "
                "dollar of a shell stands doubled where Cloud Build would read it, and single in a script, where it does not."
            ),
            *(
                f"{pin.env} is version ${{{pin.substitution}}} of a secret: another one with --substitutions={pin.substitution}=2."
                for pin in _pinned(self.builds)
            ),
        ]
        if left := left_behind(things.everywhere):
            notes.append(
                f"Not done here: {listed(left)}, from a folder of one machine, which only `homeport up` carries. It "
                "must be there before."
            )
        if things.further:
            order = ", then ".join(region.region for region in self.regions)
            notes.append(
                f"Region by region: {order}. Where one fails it ends, and those after it stay as they are."
            )
        if things.all(Release):
            notes.append(
                f"Not done here: the proof. A first revision serves at once{_whom(things)}; a later one has no traffic, "
                f"and is reached under the tag {CANDIDATE}, until `homeport up --on cloudrun` has verified it, which finds nothing "
                "else to do."
            )
        return head("cloudbuild", *notes)

    def _steps(self) -> Iterator[Body]:
        # What needs nothing begins at once, in a further region once the one before is deployed.
        begin = ["-"]
        for region in self.regions:
            ends: dict[str, str] = {}
            for build in _builds(region):
                # A GGUF goes into the image by way of the bucket.
                before = [ends[need] for need in build.thing.needs if need in ends]
                yield from (steps := steps_of(build, before, begin))
                ends[build.thing.id] = str(steps[-1]["id"])
            for service in (one for one in region.own if isinstance(one, Service)):
                own = "" if service is region.service else f"-{service.own_name}"
                name = f"{_prefix(region)}deploy{own}"
                yield {"name": CLI, "id": name, "env": ENV, "script": _deploy(region, service)}
                begin = [name]


def _prefix(region: Things) -> str:
    """Return what names of steps and files begin with: nothing in the first region."""
    return f"{region.region}-" if region.is_further else ""


def _builds(region: Things) -> list[ExportedBuild]:
    return [replace(build, name=f"{_prefix(region)}{build.name}") for build in builds(region)]


def prepare(made: Pipeline) -> dict[str, str]:
    """Return the script that makes all that must stand before, and lets the build's account do all that it does."""
    things = made.things
    lines, needed = gcloud.making(things, _before(things), [_before(region) for region in things.further])
    lines += [
        "",
        comment("What the one account does that `homeport up` gives to several, or does itself.").rstrip(),
    ]
    for grant in grants(made):
        lines += [gcloud.granted(grant)]
    for region in made.regions:
        for service in (one for one in region.own if isinstance(one, Service)):
            calls, _ = gcloud.making(
                region, [grant for grant in region.callers_of(service) if not region.waits_for_door(grant)]
            )
            if calls:
                where = f" in {service.region}" if things.further else ""
                lines += ["", f"if {_serves(service)}; then", *calls[1:], "else",
                          f'  echo "once {FILE} has run, run this again: it lets in then who may call {service.own_name}{where}" >&2', "fi"]  # fmt: skip
    edge, files_of_edge = gcloud.making(
        things, _behind(things), [_behind(region) for region in things.further]
    )
    if edge:
        served = " && ".join(_serves(region.service) for region in made.regions)
        lines += ["", f"if {served}; then", *edge[1:], "else",
                  f'  echo "once {FILE} has run, run this again: the load balancer comes once {_all(made)} ready" >&2', "fi", "finish"]  # fmt: skip
    notes = [
        (
            f"Makes all that {FILE} needs: accounts, grants, repository, bucket, network. What is there is left as it "
            f"is. Those who submit {FILE} need roles/cloudbuild.builds.editor, and roles/iam.serviceAccountUser on {made.email}."
        )
    ]
    if secrets := things.secrets:
        read = listed(" or ".join(gcloud.variables(secret)) for secret in secrets)
        notes.append(f"Secrets are read from {read}, or asked for; they are in no argument and in no file.")
    return {
        PREPARE: shell.script(
            things.project, head("cloudbuild", *notes, *encryption.notes(things.everywhere)), lines
        ),
        **needed,
        **files_of_edge,
    }


def _serves(service: Service) -> str:
    """Return the question of a shell whether a service is there and ready: one that never was leads clients nowhere."""
    return shell.command("serves", service.own_name, service.region)


def _all(made: Pipeline) -> str:
    if len(made.regions) == 1:
        return "the service is"
    return f"the services in {listed(region.region for region in made.regions)} are"


def _behind(region: Things) -> list[Resource]:
    """Return what of a region comes after its service: its load balancer, and who is let in behind that."""
    late = OF_EDGE - {ResourceKind.ANSWERING}
    return [each for each in region.own if each.kind in late or region.waits_for_door(each)]


def grants(made: Pipeline) -> list[Grant]:
    """Return what the build's account needs beyond what `up` gives it: what carries weights, and what deploys."""
    things = made.things.everywhere
    member = f"serviceAccount:{made.email}"
    has = {(grant.role, grant.on) for grant in things.all(Grant) if grant.member == member}
    others = {
        f"serviceAccount:{weights.account}" for weights in things.all(StoredWeights) if weights.folder is None
    } - {member}
    carried = [replace(grant, member=member) for grant in things.all(Grant) if grant.member in others]
    runners = [
        things.filled(service.wanted["template"]["serviceAccount"], lambda ref: ref.id)
        for service in things.services
    ]
    google = things.service.google
    # To switch the check of callers off takes run.services.setIamPolicy, which no developer has.
    role = "roles/run.admin" if _is_public(things) else "roles/run.developer"
    deploys = [
        Grant(
            google=google, member=member, role=role, known_as=f"project/{things.project}", needs=(),
            on=IamResource(api="cloudresourcemanager", path=f"v3/projects/{things.project}"),
        ),
        *(
            Grant(
                google=google, member=member, role="roles/iam.serviceAccountUser", known_as=f"service-account/{runner}", needs=(),
                on=IamResource(api="iam", path=f"v1/projects/{things.project}/serviceAccounts/{runner}"),
            )
            for runner in runners
        ),
    ]  # fmt: skip
    return [grant for grant in dict.fromkeys([*carried, *deploys]) if (grant.role, grant.on) not in has]


def _is_public(things: Things) -> bool:
    return any(service.wanted.get("invokerIamDisabled") for service in things.services)


def _whom(things: Things) -> str:
    if things.service.wanted.get("invokerIamDisabled"):
        return ", and anybody may call it, since the file says so"
    return f", but nobody is allowed to call it before {PREPARE} was run again"


def _before(things: Things) -> list[Resource]:
    """Return what must exist before the build: all except what it makes, and what can only be set on an existing service."""
    last = [grant for service in things.services for grant in things.callers_of(service)]
    skipped = (ContainerImage, MirroredImage, StoredWeights, Release, Service)
    return [
        resource
        for resource in things.own
        if not isinstance(resource, skipped) and resource not in last and resource.kind not in OF_EDGE
    ]


def _in_order(step: Body) -> Body:
    """Return a step with its script at the end, where that hides nothing."""
    known = [key for key in _ORDER if key in step]
    return {key: step[key] for key in [*known, *(key for key in step if key not in _ORDER)]}


def _deploy(things: Things, service: Service) -> str:
    blanks, region = Blanks(things), shlex.quote(service.region)
    body, file = knative.service(things, service, blanks.mark), knative.file_of(things, service)
    has_traffic = "traffic" in body["spec"]
    if not has_traffic:
        body["metadata"]["annotations"] = {**body["metadata"].get("annotations", {}), RECEIPTS: MARK}
    lines = [
        "#!/usr/bin/env bash",
        "set -euo pipefail",
        "text=$(cat <<'END'",
        to_yaml(body).rstrip(),
        "END",
        ")",
        "",
        "# What is known by now, such as an image's digest.",
        *blanks.lookup_lines(),
        *blanks.filled("text"),
        "",
    ]
    if has_traffic:
        lines += [
            f"printf '%s\\n' \"$text\" > {file}",
            "# Its newest revision has all traffic, as soon as it is ready.",
            f"gcloud run services replace {file} --region={region}",
        ]
    else:
        lines += held(shlex.quote(service.own_name), region, file, door(things, service, body))
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    """A secret of a build, at one version."""

    env: str
    path: str
    version: str

    @property
    def substitution(self) -> str:
        """Return the name of the substitution that holds the version."""
        return f"_{self.env}_VERSION"


def _pinned(all_: list[ExportedBuild]) -> list[_Pin]:
    pins = {}
    for build in all_:
        for secret in build.body.get("availableSecrets", {}).get("secretManager", ()):
            parts = _VERSION.fullmatch(secret["versionName"])
            if parts is None:
                raise TypeError(f"{secret['versionName']} is no version of a secret")
            # The first version is 1; which one is the newest, only the one who adds it knows.
            version = parts[2] if parts[2].isdigit() else "1"
            pins[secret["env"]] = _Pin(env=secret["env"], path=parts[1], version=version)
    return list(pins.values())


def _secrets(all_: list[ExportedBuild]) -> tuple[Body, Body]:
    """Return the secrets, and the substitutions that pin their versions."""
    pins = _pinned(all_)
    listed = [{"versionName": f"{pin.path}/${{{pin.substitution}}}", "env": pin.env} for pin in pins]
    return {"secretManager": listed} if listed else {}, {pin.substitution: pin.version for pin in pins}


def _options(all_: list[ExportedBuild]) -> Body:
    options: Body = {}
    for build in all_:
        for key, value in build.body.get("options", {}).items():
            if options.setdefault(key, value) != value:
                raise TypeError(f"builds want {key} to be {options[key]} and {value}")
    return options
