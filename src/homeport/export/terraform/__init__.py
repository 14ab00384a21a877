"""The resources as Terraform's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from homeport.export.builds import builds
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform import edge, file_names, service, variables
from homeport.export.terraform.addresses import Addresses, is_early, of_a_zone
from homeport.export.terraform.edge_regions import ADDRESS
from homeport.export.terraform.foundations import KNOWS as FOUNDATIONS
from homeport.export.terraform.foundations import FoundationBlocks
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, Note, to_hcl
from homeport.export.terraform.network import KNOWS as NETWORK
from homeport.export.terraform.service import let_in
from homeport.export.terraform.steps import build_file, opening
from homeport.export.terraform.tables import AGENT, GUARD, OBSERVE
from homeport.export.terraform.tables import KNOWS as TABLES
from homeport.export.text import head
from homeport.reconcile import Resource
from homeport.resources.google.dns import RecordSet
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.service import Service

_MADE_HERE: frozenset[str] = frozenset({*FOUNDATIONS, *NETWORK, *TABLES})
KNOWS: frozenset[str] = frozenset(
    {
        *_MADE_HERE,
        ResourceKind.IMAGE,
        ResourceKind.WEIGHTS,
        ResourceKind.STARTUP_CACHE,
        ResourceKind.SERVICE,
        ResourceKind.RELEASE,
        ResourceKind.ANSWERING,
        ResourceKind.DOOR,
    }
)
_SUBNETWORK: frozenset[str] = frozenset((ResourceKind.SUBNETWORK,))
_CALLERS = ("google_cloud_run_v2_service_iam_member.", "google_iap_web_cloud_run_service_iam_member.")
_GRANTED = "Nothing refers to a grant, and without it the first instance would not start."
_CALLS = "Nothing refers to a grant, and without it the first call of another service would be refused."
_CALLED = "Clients are led to a region once those whom the file names may call it."
_IN_TURN = "Region by region: one that does not become ready keeps those behind it as they are."


def files(things: Things) -> dict[str, str]:
    """Return the module, by names of files, with the builds that it leaves to others."""
    addresses = Addresses(things)
    ordered = _Ordered(things, addresses)
    parts: dict[str, list[Item]] = {
        file_names.MAIN: [*variables.shared(things), *ordered.blocks(set(FOUNDATIONS))],
        file_names.NETWORK: [*variables.private_domains(things), *ordered.blocks(set(NETWORK))],
        file_names.AGENT: ordered.blocks(set(AGENT)),
        file_names.GUARD: ordered.blocks(set(GUARD)),
        file_names.OBSERVE: ordered.blocks(set(OBSERVE)),
        file_names.EDGE: ordered.blocks(set(edge.KNOWS)),
        file_names.SERVICE: [*ordered.services(), *service.callers(things, addresses)],
        file_names.OUTPUTS: variables.outputs(things, addresses),
        file_names.VERSIONS: variables.versions(),
    }
    for name, items in _further(things, addresses, ordered):
        parts[name] = [*parts.get(name, ()), *items]
    texts = {name: to_hcl(items) for name, items in parts.items() if items}
    texts[file_names.VARIABLES] = to_hcl(variables.variables(things, addresses, "".join(texts.values())))
    heads = {file_names.MAIN: opening(things)}
    short = head("terraform")
    written = {name: f"{heads.get(name, short)}\n{text}" for name, text in sorted(texts.items())}
    note = "As `homeport up` submits it: gcloud builds submit --no-source --region={} --config={}"
    for region in things.regions:
        for build in builds(region):
            file = build_file(region, build)
            written[file] = head("terraform", note.format(build.thing.region, file)) + build.yaml
    return written | _beside(things) | edge.beside(things)


def _further(things: Things, addresses: Addresses, first: _Ordered) -> Iterator[tuple[str, list[Item]]]:
    """
    Return what each further region has alone, by files: one of its name has all but the subnetwork, which is in that of the
    network and leaves with it.
    """
    before = addresses.of(things.service)
    for region in things.further:
        there = addresses.in_region(region.region)
        ordered = _Ordered(region, there, reaches=first.reaches, service_before=before)
        own = [*ordered.blocks(KNOWS - _SUBNETWORK), *ordered.services(), *service.callers(region, there)]
        yield file_names.of_region(region.region), own
        yield file_names.NETWORK, ordered.blocks(_SUBNETWORK)
        before = there.of(region.service)


def _beside(things: Things) -> dict[str, str]:
    """Return the contents of objects that are files. What one region's objects hold that of another does, too."""
    texts = dict(things.beside)
    for region in things.further:
        for name, text in region.beside.items():
            if texts.setdefault(name, text) != text:
                raise TypeError(f"{name} differs between {things.region} and {region.region}")
    return texts


def _beside_kind(things: Things, resource: Resource) -> str:
    """Return the kind whose file a resource is in: a name that leads to an endpoint is beside that, so that no other file needs it."""
    if isinstance(resource, RecordSet) and not of_a_zone(things, resource):
        return ResourceKind.ENDPOINT
    return resource.kind


class _Ordered:
    """The blocks, each told to wait for what it needs and does not refer to."""

    def __init__(
        self,
        things: Things,
        addresses: Addresses,
        *,
        reaches: dict[str, set[str]] | None = None,
        service_before: str = "",
    ) -> None:
        self._things, self._addresses = things, addresses
        self._service_before = service_before
        known = FoundationBlocks(things, addresses)
        self._blocks: dict[str, tuple[str, Block]] = {}
        """By address. `things` come each after what it needs, so that what is referred to is there before."""
        self.reaches: dict[str, set[str]] = {} if reaches is None else reaches
        """All addresses that the one at an address comes after."""
        for resource in things.own:
            kind = resource.kind
            if kind in _MADE_HERE and not (isinstance(resource, Grant) and resource.on.api in {"run", "iap"}):
                for block in known.blocks(resource):
                    self._blocks[addresses.of(resource)] = (
                        _beside_kind(things, resource),
                        self._waiting(resource, block),
                    )

    def blocks(self, kinds: frozenset[str] | set[str]) -> list[Item]:
        """Return those of some kinds, in order."""
        return [block for kind, block in self._blocks.values() if kind in kinds]

    def services(self) -> list[Block]:
        """Return those of the services."""
        pairs = (
            (cloud_service, service.service(self._things, cloud_service, self._addresses))
            for cloud_service in self._things.services
            if cloud_service in self._things.own
        )
        return [self._waiting(cloud_service, block) for cloud_service, block in pairs]

    def _waiting(self, resource: Resource, block: Block) -> Block:
        address = self._addresses.of(resource)
        referred = set(ADDRESS.findall(to_hcl([block]))) - {address}
        reached = self._closed(referred)
        needed = {
            needed_address
            for need in resource.needs
            if not (is_early(resource) and isinstance(self._things.by_id(need), Service))
            if (needed_address := self._addresses.known(need)) is not None
        }
        if isinstance(resource, Backend) and any(each.startswith(_CALLERS) for each in needed):
            # Of a further region `up` makes them before; the first one's, only as its service is released.
            needed |= {self._addresses.of(each) for each in let_in(self._things, self._things.service)}
        if self._service_before and resource is self._things.service:
            needed.add(self._service_before)
        wanting = sorted(needed - reached)
        # What comes anyway after another that is waited for need not be said.
        waits = [
            each for each in wanting if not any(each in self._closed({other}) - {other} for other in wanting)
        ]
        self.reaches[address] = reached | self._closed(set(wanting))
        if not waits:
            return block
        depends = [Attribute("depends_on", [Code(each) for each in waits])]
        return replace(block, body=(*block.body, *self._why(resource, waits), *depends))

    def _why(self, resource: Resource, waits: list[str]) -> list[Item]:
        """Return what to say of some things that a resource waits for."""
        granted = [each for each in waits if "_iam_member." in each]
        called = [each for each in granted if each.startswith(_CALLERS)]
        notes: list[str] = []
        if isinstance(resource, Service):
            notes = [_GRANTED] if len(granted) > len(called) else [_CALLS] if called else []
        elif isinstance(resource, Backend) and called:
            notes = [_CALLED]
        notes += [_IN_TURN] if self._service_before in waits else []
        return [Note(note) for note in notes]

    def _closed(self, addresses: set[str]) -> set[str]:
        return addresses.union(*(self.reaches.get(each, set()) for each in addresses))


__all__ = ["KNOWS", "files"]
