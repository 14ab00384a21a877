"""The builds of Cloud Build, and what the shell can tell of what they leave behind."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.export.graph import ResourceKind, Things
from homeport.export.shell import command
from homeport.export.text import to_yaml
from homeport.google.registry import TYPES
from homeport.json_types import Json
from homeport.reconcile import Ref, Resource
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.monitoring import COLLECTIONS, PART, MonitoringPart, labels_key
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service import DEADLINE_S, Service
from homeport.weights.transfer import MANIFEST

BEYOND_S = 900
"""For the queue of Cloud Build, beyond a build's own time."""
_OF_COMPUTE: Mapping[tuple[str, str], str] = {
    (ResourceKind.BACKEND, "id"): "backend-services",
    (ResourceKind.ADDRESS, "address"): "addresses",
}
"""What Google alone knows of parts of a load balancer, and gcloud's word for these."""
_ORDER = (
    "serviceAccount",
    "timeout",
    "options",
    "substitutions",
    "availableSecrets",
    "steps",
    "images",
    "tags",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBuild:
    """One build, as `up` submits it."""

    thing: ContainerImage | StoredWeights
    name: str
    """A word for files and steps, such as `serving`."""
    body: Mapping[str, Json]

    @property
    def file(self) -> str:
        """Return the name of the file that holds the build."""
        return f"build-{self.name}.yaml"

    @property
    def mark(self) -> str:
        """Return the tag by which a build that is under way is found, by `up` as well."""
        return self.thing.mark

    @property
    def yaml(self) -> str:
        """Return the build's body as YAML, the fields in the order in which people read them."""
        return build_yaml(self.body)

    @property
    def exists_command(self) -> str:
        """Return the command that succeeds where the build need not run."""
        return exists_command(self.thing)


def build_yaml(body: Mapping[str, Json]) -> str:
    """Return a build as YAML, the order of fields as people read them."""
    known = {key: body[key] for key in _ORDER if key in body}
    return to_yaml({**known, **{key: value for key, value in body.items() if key not in known}})


def builds(things: Things) -> list[ExportedBuild]:
    """Return all builds, in order. Weights that lie on this machine have none: nothing in the cloud can reach them."""
    exported = []
    for resource in things.resources:
        if isinstance(resource, ContainerImage):
            body = {
                **resource.build,
                "images": [f"{resource.reference}:{resource.tag}"],
                "tags": [resource.mark],
            }
            exported.append(
                ExportedBuild(thing=resource, name=resource.package, body=things.filled(body, _never))
            )
        elif isinstance(resource, StoredWeights) and resource.folder is None:
            body = things.filled({**resource.build, "tags": [resource.mark]}, _never)
            exported.append(ExportedBuild(thing=resource, name=f"weights-{word(resource.name)}", body=body))
    return exported


def seconds(things: Things) -> float:
    """Return the longest that all of them may take, one after another, and a deployment behind them."""
    return sum(float(str(build.body["timeout"]).removesuffix("s")) for build in builds(things)) + DEADLINE_S


def left_behind(things: Things) -> list[str]:
    """Return what no build brings: weights that lie on this machine."""
    return [weights.uri for weights in things.all(StoredWeights) if weights.folder is not None]


def exists_command(thing: ContainerImage | StoredWeights) -> str:
    """Return the command that succeeds where an image, or weights, are there."""
    if isinstance(thing, ContainerImage):
        return f"gcloud artifacts docker images describe {shlex.quote(f'{thing.reference}:{thing.tag}')}"
    return f"gcloud storage objects describe {shlex.quote(f'{thing.uri}/{MANIFEST}')}"


def shell_reference(thing: Resource | None, ref: Ref) -> str:
    """
    Return the shell's word for what a reference stands for once it is there. Raises `TypeError` for one that
    has none.
    """
    if isinstance(thing, ContainerImage) and ref.path in {"digest", "reference"}:
        question = f"{exists_command(thing)} --format='value(image_summary.digest)'"
        return (
            f'"$({question})"' if ref.path == "digest" else f'{shlex.quote(thing.reference)}@"$({question})"'
        )
    if isinstance(thing, MirroredImage) and ref.path in {"digest", "reference"}:
        question = f'"$({digest_of(thing)})"'
        return question if ref.path == "digest" else f"{shlex.quote(thing.reference)}@{question}"
    if isinstance(thing, StoredWeights) and ref.path == "digest":
        manifest = shlex.quote(f"{thing.uri}/{MANIFEST}")
        return f'"$(gcloud storage cat {manifest} | sed -n \'s/.*"digest": *"\\([0-9a-f]*\\)".*/\\1/p\')"'
    if isinstance(thing, Service) and ref.path == "uri":
        question = f"gcloud run services describe {shlex.quote(thing.own_name)} --region={thing.region}"
        return f"\"$({question} --format='value(status.url)')\""
    if isinstance(thing, RestResource) and (question := _described(thing, ref.path)):
        return f"\"$({question} --format='value({ref.path})')\""
    if isinstance(thing, MonitoringPart) and ref.path == "name":
        return f"\"$({command(*found(thing))} | sed -n 's/^name: //p')\""
    raise TypeError(f"no shell can tell what {ref.id} has at {ref.path!r}")


def _described(thing: RestResource, path: str) -> str:
    """Return the command that describes what Google alone knows something of; '' for all else."""
    name, steps = thing.address.path.rpartition("/")[2], thing.address.path.split("/")
    if (thing.kind, path) == (ResourceKind.ENDPOINT, "address"):
        where = f"--region={steps[4]}"
        return command("gcloud", "network-connectivity", "regional-endpoints", "describe", name, where)
    group = _OF_COMPUTE.get((thing.kind, path))
    return command("gcloud", "compute", group, "describe", name, scope(thing)) if group else ""


def scope(one: RestResource) -> str:
    """Return gcloud's flag for where a thing of Compute Engine is: a region, or everywhere."""
    steps = one.address.path.split("/")
    return "--global" if steps[4] == "global" else f"--region={steps[5]}"


def found(one: MonitoringPart) -> tuple[str, ...]:
    """Return the call that finds a thing of Cloud Monitoring's, whose name Google chose, by its labels."""
    key = labels_key(one.kind)
    _, items = COLLECTIONS[one.kind]
    ours = (f"{key}.{LABEL}={one.name}", f"{key}.{PART}={one.part}")
    return ("rest", "FIND", f"{one.address.api}.googleapis.com", f"/{one.address.made_at}", items, *ours)


_ASK = (
    "import hashlib, json, os, sys, urllib.request as web; host, path = sys.argv[1:]; "
    'head = {"Authorization": "Bearer " + sys.stdin.read().strip(), "Accept": "%s", "Host": host}; '
    'base = os.environ.get("HOMEPORT_GOOGLE_URL") or "https://" + host; '
    'text = web.urlopen(web.Request(base.rstrip("/") + path, headers=head)).read(); '
    'print(next((one["digest"] for one in json.loads(text).get("manifests", []) '
    'if one.get("platform", {}).get("architecture") == "amd64"), "sha256:" + hashlib.sha256(text).hexdigest()))'
)


def digest_of(image: MirroredImage) -> str:
    """
    Return the command that tells the digest of an image as its registry has it, for Cloud Run's platform.

    gcloud lists only what a repository has fetched before, so the registry itself is asked, or a rehearsal that stands in
    for it; the token is in no argument.
    """
    ask = shlex.quote(_ASK % ", ".join(TYPES))
    return (
        f"gcloud auth print-access-token | python3 -c {ask} {image.host} {shlex.quote(image.manifest_path)}"
    )


class Blanks:
    """What is filled in when it is known: a mark in the file for each reference, and the shell that tells its value."""

    def __init__(self, things: Things) -> None:
        self._things = things
        self._refs: dict[str, Ref] = {}

    def mark(self, ref: Ref) -> str:
        """Return the mark that stands in the file."""
        name = word(f"{ref.id}-{ref.path}").replace("-", "_").upper()
        self._refs[name] = ref
        return f"__{name}__"

    def lookup_lines(self) -> list[str]:
        """Return the lines of a shell that ask for all values, each into a variable."""
        lines, variables = [], dict[str, str]()
        for name, ref in self._refs.items():
            value = shell_reference(self._things.by_id(ref.id), ref)
            for question, known in variables.items():  # What is told already need not be asked again.
                value = value.replace(question, f'"${known}"')
            lines.append(f"{name}={value}")
            variables[value] = name
        return lines

    def pairs(self) -> list[str]:
        """Return each mark, and its value as the shell has it after `lookup_lines`."""
        return [word for name in self._refs for word in (f"__{name}__", f'"${name}"')]

    def variables(self) -> dict[str, str]:
        """Return the shell's word for each value after `lookup_lines`, by its mark."""
        return {f"__{name}__": f"${name}" for name in self._refs}

    def filled(self, text: str) -> list[str]:
        """Return the lines that fill all values into the variable `text`, whatever signs are in them."""
        return [f'{text}=${{{text}//__{name}__/"${name}"}}' for name in self._refs]


def word(text: str) -> str:
    """Return a text as one word of letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def _never(ref: Ref) -> str:
    raise TypeError(f"a build refers to {ref.id} at {ref.path!r}, which nobody knows when it is submitted")
