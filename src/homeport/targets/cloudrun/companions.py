"""A service of an endpoint beside its model's: small, without a GPU, and found by its role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any

from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.google import IamResource
from homeport.reconcile import Ref, Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.service import Service, ServiceIdentity, ServiceRole, service
from homeport.resources.google.service_account import account
from homeport.targets.cloudrun.containers import ServiceContainer, volumes_of
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_spec import ingress, network_interface


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """What is asked for. It goes up after the model's service is verified, and down before it."""

    role: ServiceRole
    word: str = ""
    """What stands behind the endpoint's name in its own; '' for its role."""
    containers: tuple[ServiceContainer, ...] = ()
    """One of them has a port, which takes the requests."""
    elsewhere: bool = False
    """Whether it runs in the endpoint's first region, and what it asks at the load balancer may be answered in this one."""
    calls_model: bool = True
    """Whether its account may call the model's service."""
    egress: str = "ALL_TRAFFIC"
    """What of its traffic goes through the network, as run.v2 names it."""
    callers: tuple[str, ...] = ()
    """Members that may call it; nobody else may."""
    min_instances: int = 0
    max_instances: int = 1
    concurrency: int = 80
    timeout_s: int = 300
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of its service, and of the model's, that tell of what it had once."""
    resources: tuple[Resource, ...] = ()
    """What is made for it alone, such as its image."""
    facts: tuple[Fact, ...] = ()
    """What a plan tells of it beside its size and price."""

    @property
    def size(self) -> CpuAndMemory:
        """Return CPU and memory of one of its instances."""
        return reduce(add, (container.size for container in self.containers), CpuAndMemory())

    @property
    def most(self) -> CpuAndMemory:
        """Return CPU and memory of as many instances as there may be."""
        size = self.size
        return CpuAndMemory(
            cpu=size.cpu * self.max_instances, memory_gib=size.memory_gib * self.max_instances
        )

    def identity(self, names: Names) -> ServiceIdentity:
        """Return which service it is. It has no release: its newest revision has all traffic."""
        return ServiceIdentity(
            endpoint=names.name,
            region=names.region,
            name=names.companion(self.word or self.role),
            role=self.role,
        )

    def account(self, names: Names) -> str:
        """Return the service account that it runs as."""
        return names.companion_account(self.word or self.role)

    def member(self, names: Names) -> str:
        """Return its account as policies name it."""
        return f"serviceAccount:{names.email(self.account(names))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanionServices:
    """All services beside the model's, and what they need of their own."""

    foundations: Foundations
    """What they share with the model's service, such as the network that everything is sent through."""
    companions: tuple[Companion, ...]
    answers: str = ""
    """The id of what says that the load balancer before the model answers; '' where there is none, and it is asked at its own address."""

    def resources(self) -> list[Resource]:
        """Return their accounts, services and grants."""
        return [resource for companion in self.companions for resource in self._of(companion)]

    def unwanted(self, granted: Sequence[Grant] = ()) -> list[Resource]:
        """
        Return the services, and their accounts, that another state of the file may have had: to be taken away.

        A service goes before what its account is `granted`: it would fail without.
        """
        roles = {companion.role for companion in self.companions}
        google, names = self.foundations.google, self.names
        resources: list[Resource] = []
        for role in ServiceRole:
            if role is ServiceRole.MODEL or role in roles:
                continue
            runs_as = account(google, names.name, names.companion_account(role), "")
            identity = ServiceIdentity(
                endpoint=names.name, region=names.region, name=names.companion(role), role=role
            )
            own = (grant.id for grant in granted if runs_as.id in grant.needs)
            resources += [runs_as, service(google, identity, {}, after=(runs_as.id, *own))]
        return resources

    @property
    def names(self) -> Names:
        """Return what things are called."""
        return self.foundations.names

    @property
    def egress(self) -> tuple[str, ...]:
        """Return what of the traffic of each goes through the network, as an organisation's policy names it."""
        wanted = {companion.egress for companion in self.companions if not companion.elsewhere}
        return tuple(sorted(egress.replace("_", "-").lower() for egress in wanted))

    @property
    def led(self) -> tuple[str, ...]:
        """Return the ids of those that ask for the model, and so at its load balancer where there is one."""
        return tuple(
            f"service/{companion.identity(self.names).own_name}"
            for companion in self.companions
            if companion.calls_model and not companion.elsewhere
        )

    @property
    def callers(self) -> tuple[str, ...]:
        """Return the members among them that may call the model's service."""
        return tuple(companion.member(self.names) for companion in self.companions if companion.calls_model)

    def _of(self, companion: Companion) -> Iterable[Resource]:
        names, identity = self.names, companion.identity(self.names)
        if companion.elsewhere:
            needs = (f"release/{names.name}", f"service-account/{companion.account(names)}")
            yield self._invoker(companion.member(names), names.name, needs)
            return
        runs_as = account(
            self.foundations.google,
            names.name,
            companion.account(names),
            f"homeport {names.name}: runs {identity.own_name}",
        )
        runs_as = replace(runs_as, after=(self.foundations.apis.id,))
        grants: list[Resource] = []
        asked = (self.answers,) if self.answers and companion.calls_model else ()
        if companion.calls_model:
            # As any other caller: once something verified serves.
            needs = (f"release/{names.name}", runs_as.id, *asked)
            grants.append(self._invoker(companion.member(names), names.name, needs))
        # What it may do is there before an instance starts, which is refused without it.
        granted = [*grants, *(resource for resource in companion.resources if isinstance(resource, Grant))]
        companion_service = self._service(
            companion,
            identity,
            (f"service/{names.name}", f"release/{names.name}", *asked, *(grant.id for grant in granted)),
        )
        yield from companion.resources
        yield runs_as
        yield from grants
        yield companion_service
        for member in companion.callers:
            yield self._invoker(member, companion_service.own_name, (companion_service.id,))

    def _service(self, companion: Companion, identity: ServiceIdentity, after: tuple[str, ...]) -> Service:
        foundations = self.foundations
        interface = network_interface(foundations.network, own=foundations.cloudrun.network is None)
        template: dict[str, Any] = {  # Any: JSON, and Refs
            "serviceAccount": Ref(f"service-account/{companion.account(self.names)}", "email"),
            "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
            "maxInstanceRequestConcurrency": companion.concurrency,
            "timeout": f"{companion.timeout_s}s",
            "scaling": {"maxInstanceCount": companion.max_instances},
            "vpcAccess": {"egress": companion.egress, "networkInterfaces": [interface]},
            "containers": [container.body() for container in companion.containers],
        }
        volumes = volumes_of(companion.containers)
        if volumes:
            template["volumes"] = volumes
        if foundations.key:
            template["encryptionKey"] = foundations.key
        body = {
            "labels": dict(companion.labels),
            "ingress": ingress(foundations.access),
            "invokerIamDisabled": False,
            "scaling": {"minInstanceCount": companion.min_instances},
            "template": template,
        }
        before = (foundations.apis.id, *foundations.guards, *after)
        return service(foundations.google, identity, body, after=before)

    def _invoker(self, member: str, called: str, needs: tuple[str, ...]) -> Grant:
        return Grant(
            google=self.foundations.google,
            role=INVOKERS[0],
            member=member,
            on=IamResource(api="run", path=f"v2/{self.names.full(called)}"),
            known_as=f"service/{called}",
            needs=needs,
        )
