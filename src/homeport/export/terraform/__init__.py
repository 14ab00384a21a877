"""The resources as Terraform's files."""

from __future__ import annotations

import re
from dataclasses import replace
from textwrap import wrap

from homeport.export import agents, encryption
from homeport.export.builds import builds, left_behind, shell_reference
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform import edge, service, variables
from homeport.export.terraform.addresses import Addresses, image_variable, is_early
from homeport.export.terraform.foundations import KNOWS as FOUNDATIONS
from homeport.export.terraform.foundations import FoundationBlocks
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, Note, to_hcl
from homeport.export.terraform.tables import AGENT, GUARD, OBSERVE
from homeport.export.terraform.tables import KNOWS as TABLES
from homeport.export.text import CACHE_NOTE, WIDTH, head, listed
from homeport.reconcile import Ref, Resource
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.service import Service
from homeport.resources.google.startup_cache import StartupCache
from homeport.resources.google.traffic import BACK_DOOR

KNOWS: frozenset[str] = frozenset(
    {
        *FOUNDATIONS,
        *TABLES,
        ResourceKind.IMAGE,
        ResourceKind.WEIGHTS,
        ResourceKind.STARTUP_CACHE,
        ResourceKind.SERVICE,
        ResourceKind.RELEASE,
        ResourceKind.DOOR,
    }
)
VALUES = "image.auto.tfvars"
"""What Terraform reads by itself: the identities of what was built."""
NETWORK: frozenset[str] = frozenset(
    (
        ResourceKind.NETWORK,
        ResourceKind.SUBNETWORK,
        ResourceKind.FIREWALL,
        ResourceKind.ZONE,
        ResourceKind.RECORD,
    )
)
_GRANTED = "Nothing refers to a grant, and without it the first instance would not start."
_ADDRESS = re.compile(r"\bgoogle_\w+\.\w+")


def files(things: Things) -> dict[str, str]:
    """Return the module, by names of files, with the builds that it leaves to others."""
    addresses = Addresses(things)
    ordered = _Ordered(things, addresses)
    parts: dict[str, list[Item]] = {
        "main.tf": [*variables.shared(things), *ordered.blocks(set(FOUNDATIONS) - NETWORK)],
        "network.tf": ordered.blocks(NETWORK),
        "agent.tf": ordered.blocks(set(AGENT)),
        "guard.tf": ordered.blocks(set(GUARD)),
        "observe.tf": ordered.blocks(set(OBSERVE)),
        "edge.tf": ordered.blocks(set(edge.KNOWS)),
        "service.tf": [*ordered.services(), *service.callers(things, addresses)],
        "outputs.tf": variables.outputs(things, addresses),
        "versions.tf": variables.versions(),
    }
    texts = {name: to_hcl(items) for name, items in parts.items() if items}
    texts["variables.tf"] = to_hcl(variables.variables(things, addresses, "".join(texts.values())))
    heads = {"main.tf": _head(things)}
    short = head("terraform")
    written = {name: f"{heads.get(name, short)}\n{text}" for name, text in sorted(texts.items())}
    note = "As `homeport up` submits it: gcloud builds submit --no-source --region={} --config={}"
    for build in builds(things):
        written[build.file] = head("terraform", note.format(build.thing.region, build.file)) + build.yaml
    return written | things.beside | edge.beside(things)


class _Ordered:
    """The blocks, each told to wait for what it needs and does not refer to."""

    def __init__(self, things: Things, addresses: Addresses) -> None:
        self._things, self._addresses = things, addresses
        known = FoundationBlocks(things, addresses)
        self._blocks: dict[str, tuple[str, Block]] = {}
        """By address. `things` come each after what it needs, so that what is referred to is there before."""
        self._reaches: dict[str, set[str]] = {}
        """All addresses that the one at an address comes after."""
        for resource in things.resources:
            kind = resource.kind
            if (kind in FOUNDATIONS or kind in TABLES) and not (
                isinstance(resource, Grant) and resource.on.api == "run"
            ):
                for block in known.blocks(resource):
                    self._blocks[addresses.of(resource)] = (kind, self._waiting(resource, block))

    def blocks(self, kinds: frozenset[str] | set[str]) -> list[Item]:
        """Return those of some kinds, in order."""
        return [block for kind, block in self._blocks.values() if kind in kinds]

    def services(self) -> list[Block]:
        """Return those of the services."""
        pairs = (
            (cloud_service, service.service(self._things, cloud_service, self._addresses))
            for cloud_service in self._things.services
        )
        return [self._waiting(cloud_service, block) for cloud_service, block in pairs]

    def _waiting(self, resource: Resource, block: Block) -> Block:
        address = self._addresses.of(resource)
        referred = set(_ADDRESS.findall(to_hcl([block]))) - {address}
        reached = self._closed(referred)
        needed = {
            needed_address
            for need in resource.needs
            if not (is_early(resource) and isinstance(self._things.by_id(need), Service))
            if (needed_address := self._addresses.known(need)) is not None
        }
        wanting = sorted(needed - reached)
        # What comes anyway after another that is waited for need not be said.
        waits = [
            each for each in wanting if not any(each in self._closed({other}) - {other} for other in wanting)
        ]
        self._reaches[address] = reached | self._closed(set(wanting))
        if not waits:
            return block
        depends = [Attribute("depends_on", [Code(each) for each in waits])]
        why = [Note(_GRANTED)] if any("_iam_member." in each for each in waits) else []
        return replace(block, body=(*block.body, *why, *depends))

    def _closed(self, addresses: set[str]) -> set[str]:
        return addresses.union(*(self._reaches.get(each, set()) for each in addresses))


def _head(things: Things) -> str:
    lines = ["In this order:", ""]
    for place, (instruction, commands) in enumerate(_steps(things), 1):
        lines += wrap(
            f"{place}. {instruction}",
            WIDTH,
            subsequent_indent="   ",
            break_on_hyphens=False,
            break_long_words=False,
        )
        lines += [*(f"     {command}" for command in commands), ""]
    return (
        head("terraform", *_notes(things))
        + "#\n"
        + "".join(f"# {line}".rstrip() + "\n" for line in lines[:-1])
    )


def _notes(things: Things) -> list[str]:
    notes = [
        (
            "Makes in Google Cloud what `homeport up --on cloudrun` makes, each thing with the label homeport="
            f"{things.name}. It begins with nothing: what is there already, Terraform does not know of. After it,"
            " `homeport up --on cloudrun` finds nothing to do but the proof."
        )
    ]
    if things.all(StartupCache):
        notes.append(f"Not made here: {CACHE_NOTE}")
    secrets = [secret.secret_id for secret in things.secrets]
    if secrets:
        notes.append(f"The value of {listed(secrets)} is a variable that neither a plan nor the state keeps.")
    notes += [
        (
            "Where a first create of the service fails, Terraform holds it for tainted, and deletion_protection keeps it from "
            "replacing it: say `terraform untaint 'ADDRESS'` with the address that it names, mend the cause, and apply again."
        ),
        *_network_notes(things),
        *encryption.notes(things),
        *agents.notes(things),
    ]
    return notes


def _network_notes(things: Things) -> list[str]:
    if ResourceKind.SUBNETWORK not in things.kinds():
        return []
    return [
        (
            "Cloud Run keeps addresses in the subnetwork for one to two hours after its service is gone. A destroy fails there "
            "until then (it is in use): run `terraform destroy` again later."
        )
    ]


def _steps(things: Things) -> list[tuple[str, list[str]]]:
    """
    Return what to do, in order, with commands. Terraform keeps things; an image and weights are made once, by
    a build.
    """
    images, project, left = things.images, things.project, left_behind(things)
    submitted = [
        f"gcloud builds submit --no-source --project={project} --region={build.thing.region} --config={build.file}"
        for build in builds(things)
    ]
    values = [(image_variable(things, image), Ref(image.id, "reference")) for image in images]
    stored = [Ref(weights.id, "digest") for weights in things.all(StoredWeights)]
    values += [("weights_digest", ref) for ref in stored if not things.known(ref)]
    commands = [
        f"printf '{name} = \"%s\"\\n' {shell_reference(things.by_id(ref.id), ref)}" for name, ref in values
    ]
    written = [f"{command} {'>' if place == 0 else '>>'} {VALUES}" for place, command in enumerate(commands)]
    first = "Everything but the service. Terraform cannot switch on the very API that it asks for projects, in a new project:"
    enabled = (
        "gcloud services enable cloudresourcemanager.googleapis.com serviceusage.googleapis.com"
        f" --project={project}"
    )
    done = "What is done once, where it is not there yet: Terraform builds no image and copies no weights."
    if left:
        done += (
            f" The weights at {listed(left)} come from one machine, and only `homeport up --on cloudrun` carries them:"
            " let it make all of it."
        )
    served = f"The service, which has all traffic from its start. Keep {VALUES}: each apply needs it."
    proof = (
        "The proof, which Terraform does not make: a model that answers. From then on traffic is bound to a revision,"
        " and a new one waits for `up` or `swap`."
    )
    return [
        (first, [enabled, "terraform init && terraform apply"]),
        (done, submitted),
        (served, [*written, "terraform apply"]),
        *_closing(things),
        (proof, ["homeport up --on cloudrun"]),
    ]


def _closing(things: Things) -> list[tuple[str, list[str]]]:
    door = things.door
    if door is None:
        return []
    when = (
        f"Once {door.address}/v1/models answers (the output dns says which records the domain wants; a new load balancer takes some "
        "minutes): the service's own address is closed. Not before, since Terraform does not ask. To open it, as before "
        f"[edge] leaves homeport.toml: remove {edge.CLOSING} and apply. Where nothing is written the service tells no address, since `up` "
        f"has closed it: its annotation {BACK_DOOR} has the one that {edge.CLOSING} wants."
    )
    # An empty one would open what is closed.
    told = f'url=$(terraform output -raw url) && [ -n "$url" ] && printf \'back_door = "%s"\\n\' "$url" > {edge.CLOSING}'
    return [(when, [f"{told} && terraform apply"])]


__all__ = ["KNOWS", "files"]
