"""Other endpoints behind the address of an edge: found by their label, and looked at before anything is made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.resources.google.traffic import Body
from homeport.spec import Edge
from homeport.targets.cloudrun.endpoints import serving_revisions
from homeport.targets.cloudrun.front import screening_gateway
from homeport.targets.cloudrun.inventory import SERVICES, Inventory, take_inventory
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.finding import ok, problem, warning
from homeport.targets.cloudrun.seen_deployment import OtherEndpoint
from homeport.targets.cloudrun.service_spec import ANNOTATION

_WITHIN_ITS_NETWORK = "INGRESS_TRAFFIC_INTERNAL_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBackend:
    """One line of `edge.backends`, with the service that was found for it."""

    path: str
    """Its first part, such as `/small`."""
    endpoint: str
    service: Body = field(default_factory=dict)
    """Empty where none was found."""
    model: str = ""
    """What it serves; '' where that is not told."""
    screened: bool | None = None
    """Whether each revision that has traffic sends its requests to a gateway that screens them; None where that is not known."""
    unread: str = ""
    """Why what serves could not be read."""
    why_none: str = ""

    @property
    def region(self) -> str:
        """Return where its service is."""
        return str(self.service["name"]).split("/")[3]

    @property
    def service_name(self) -> str:
        """Return what its service is called in its region."""
        return str(self.service["name"]).rpartition("/")[2]

    @property
    def public(self) -> bool:
        """Return True if it takes requests without a token."""
        return bool(self.service.get("invokerIamDisabled"))

    @property
    def _why_no_model(self) -> str:
        return self.why_none or self.unread or "its revision does not say what it serves"

    @property
    def other(self) -> OtherEndpoint:
        """Return what a check holds it to."""
        return OtherEndpoint(
            path=self.path,
            name=self.endpoint,
            model=self.model,
            why_no_model="" if self.model else self._why_no_model,
            public=self.public,
        )


async def find_backends(google: Google, edge: Edge, region: str) -> tuple[NamedBackend, ...]:
    """Return what the file's `edge.backends` names, by its paths; in `region` where an endpoint is in several."""
    if not edge.backends:
        return ()
    inventory = await take_inventory(google, regions=(region,), kinds=(SERVICES,))
    named = [_find_backend(inventory, path, name, region) for path, name in sorted(edge.backends.items())]
    return tuple(await asyncio.gather(*(_with_serving(google, backend) for backend in named)))


def findings(
    behind: tuple[NamedBackend, ...],
    address: str,
    *,
    guarded: bool,
    region: str = "",
    is_internal: bool = False,
) -> Iterator[PreflightFinding]:
    """
    Yield what was found of the endpoints that the edge at `address` is to lead to; `region` is that of one that is not global, such
    as an internal one.
    """
    for backend in behind:
        subject = f"backend/{backend.path.strip('/')}"
        if not backend.service:
            yield problem(
                subject,
                backend.why_none,
                f"say `homeport up --on cloudrun` with the file of {backend.endpoint} first, or take {backend.path} out of edge.backends",
            )
        elif region and backend.region != region:
            yield problem(
                subject,
                f"{backend.endpoint} is in {backend.region}, and a load balancer of {region} leads to nothing there",
                # One in a network of the user's has a reason to be there.
                ("" if is_internal else 'set kind = "global", or ')
                + f"take {backend.path} out of edge.backends",
            )
        # "Internal" ingress admits internal Application Load Balancers, by Google's page on ingress settings.
        elif backend.service.get("ingress") == _WITHIN_ITS_NETWORK and not is_internal:
            yield problem(
                subject,
                f"{backend.endpoint} takes requests from within its network alone, which no load balancer of the internet is in",
                f"remove isolated from [access] in the file of {backend.endpoint}, or take {backend.path} out of edge.backends",
            )
        elif address not in backend.service.get("customAudiences", ()) and not backend.public:
            yield problem(
                subject,
                f"{backend.endpoint} would refuse tokens that are made for {address}: they are not for its own address",
                f'add audience = "{address}" to [access] in the file of {backend.endpoint}, and say `homeport up --on cloudrun` with it',
            )
        elif guarded and not backend.screened:
            yield _unscreened(subject, backend)
        else:
            yield ok(subject, f"{backend.endpoint} is there, in {backend.region}")


def _unscreened(subject: str, backend: NamedBackend) -> PreflightFinding:
    if backend.screened is None:
        return warning(
            subject,
            f"whether what is asked for at {backend.path} is screened is not known: {backend.unread}",
            f"say `homeport status --on cloudrun` with the file of {backend.endpoint}: this file's [guard] is before its own model alone",
        )
    return warning(
        subject,
        f"what is asked for at {backend.path} is not screened, or not all of it: of {backend.endpoint} a revision with traffic has no [guard], and this file's is before its own model",
        f"add [guard] to the file of {backend.endpoint}, and say `homeport up --on cloudrun` with it",
    )


def _find_backend(inventory: Inventory, path: str, name: str, region: str) -> NamedBackend:
    served = sorted(
        (thing for thing in inventory.of(name) if thing.is_service_of_model),
        key=lambda thing: (thing.region != region, thing.region),
    )
    if served:
        return NamedBackend(path=path, endpoint=name, service=served[0].body)
    why = f"there is no endpoint {name} on Cloud Run in {inventory.project}"
    if inventory.unread:
        why = f"whether there is an endpoint {name} is not known: {inventory.unread[0].text}"
    return NamedBackend(path=path, endpoint=name, why_none=why)


async def _with_serving(google: Google, backend: NamedBackend) -> NamedBackend:
    """Return it with what is known of the revisions that have traffic: the template is only what was last asked for."""
    if not backend.service:
        return backend
    try:
        serving = await serving_revisions(google, backend.service)
    except NoCredentials:
        raise
    except HomeportError as error:
        return replace(backend, unread=str(error))  # The way there is looked at all the same.
    return replace(
        backend,
        model=serving[0].get("annotations", {}).get(f"{ANNOTATION}model", ""),
        screened=all(screening_gateway(revision) is not None for revision in serving),
    )


__all__ = ["NamedBackend", "find_backends", "findings"]
