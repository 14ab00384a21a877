"""Other endpoints behind the address of an edge: found by their label, and looked at before anything is made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from homeport.errors import HomeportError, NoCredentials
from homeport.google import Google
from homeport.resources.google.traffic import WITHIN, Body
from homeport.spec import Edge, Spec, split_way
from homeport.targets.cloudrun.endpoints import serving_revisions
from homeport.targets.cloudrun.front import screening_gateway
from homeport.targets.cloudrun.inventory import SERVICES, Inventory, take_inventory
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.finding import ok, problem, warning
from homeport.targets.cloudrun.service_labels import ROAD_LABEL
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.verification.observed_deployment import OtherEndpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBackend:
    """One line of `edge.backends` or `edge.shares`, with the service that was found for it."""

    path: str = ""
    """By which it is reached: the first part, such as `/small`."""
    header: tuple[str, str] = ("", "")
    """By which it is reached: its name in lower case, and its whole value."""
    percent: int = 0
    """What it answers of the requests that nothing else tells apart."""
    endpoint: str
    service: Body = field(default_factory=dict)
    """Empty where none was found."""
    model: str = ""
    """What it serves; '' where that is not told, or not the same of all that has traffic."""
    mixed: tuple[str, ...] = ()
    """What its revisions with traffic serve, where that is not one model; '' of one that does not tell."""
    screened: bool | None = None
    """Whether each revision that has traffic sends its requests to a gateway that screens them; None where that is not known."""
    unread: str = ""
    """Why what serves could not be read."""
    why_none: str = ""

    @property
    def way(self) -> str:
        """Return in words what leads to it."""
        if self.percent:
            return f"{self.percent}% of the requests"
        return self.path or ": ".join(self.header)

    @property
    def key(self) -> str:
        """Return what of the file makes it be led to, to be taken out."""
        return f"{self.endpoint} out of edge.shares" if self.percent else f"{self.way} out of edge.backends"

    @property
    def subject(self) -> str:
        """Return what a finding of it is called."""
        if self.percent:
            return f"share/{self.endpoint}"
        return f"backend/{self.path.strip('/') or '='.join(self.header)}"

    @property
    def listed(self) -> str:
        """Return what no other way of the file has: its path, its header, or the endpoint that shares."""
        return self.endpoint if self.percent else self.way

    @property
    def past_its_screen(self) -> bool:
        """Tell whether it is screened at its own load balancer, which another one's requests do not pass, or may be."""
        return ROAD_LABEL in self.service.get("labels", {}) and not self.screened

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
    def asked_for(self) -> str:
        """Return where it is asked, in words."""
        return f"at {self.path}" if self.path else f"with {self.way}"

    @property
    def why_no_model(self) -> str:
        """Return why it is not known what it serves."""
        if self.mixed:
            return f"its revisions with traffic serve {_listed(self.mixed)}"
        return self.why_none or self.unread or "its revision does not say what it serves"

    @property
    def other(self) -> OtherEndpoint:
        """Return what a check holds it to."""
        header, value = self.header
        return OtherEndpoint(
            way=self.way,
            path=self.path,
            headers={header: value} if header else {},
            is_share=bool(self.percent),
            name=self.endpoint,
            model=self.model,
            why_no_model="" if self.model else self.why_no_model,
            public=self.public,
        )


async def find_backends(google: Google, edge: Edge, region: str) -> tuple[NamedBackend, ...]:
    """Return what the file's `edge.backends` and `edge.shares` name; in `region` where an endpoint is in several."""
    if not edge.ways:
        return ()
    inventory = await take_inventory(google, regions=(region,), kinds=(SERVICES,))
    named = [_find_backend(inventory, backend, region) for backend in named_backends(edge)]
    return tuple(await asyncio.gather(*(_with_serving(google, backend) for backend in named)))


def named_backends(edge: Edge) -> Iterator[NamedBackend]:
    """Yield what the file names, without what is there of it: paths first, then headers, then those that share the rest."""
    for way, endpoint in sorted(edge.backends.items()):
        path, header, value = split_way(way)
        yield NamedBackend(endpoint=endpoint, path=path, header=(header, value))
    for endpoint, percent in sorted(edge.shares.items()):
        yield NamedBackend(endpoint=endpoint, percent=percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndpoint:
    """What the endpoint of the file says of itself, to whose address others come."""

    guarded: bool
    """Whether its file has a `[guard]`."""
    model: str
    """What it serves, by the name that clients say."""
    public: bool
    """Whether it takes requests without a token."""
    behind_iap: bool = False
    """Whether Identity-Aware Proxy stands before its service: programs sign for the address then, and ID tokens are taken nowhere."""

    @classmethod
    def of(cls, spec: Spec, model: str) -> FrontEndpoint:
        """Return what a file says, by which `model` is served."""
        return cls(
            guarded=spec.guard is not None,
            model=model,
            public=spec.access.public,
            behind_iap=bool(spec.access.iap),
        )


class Misfit(NamedTuple):
    """Why an endpoint may not be led to as the file says."""

    text: str
    hint: str
    known: bool = True
    """Whether it was seen; False where it could not be told."""


def findings(
    behind: tuple[NamedBackend, ...],
    address: str,
    front: FrontEndpoint,
    *,
    region: str = "",
    is_internal: bool = False,
) -> Iterator[PreflightFinding]:
    """
    Yield what was found of the endpoints that the edge at `address` is to lead to; `region` is that of one that is not global, such
    as an internal one.
    """
    for backend in behind:
        subject, remedy = backend.subject, f"take {backend.key}"
        if not backend.service:
            yield problem(
                subject,
                backend.why_none,
                f"say `homeport up --on cloudrun` with the file of {backend.endpoint} first, or {remedy}",
            )
        elif backend.past_its_screen:
            yield problem(subject, *_past_its_screen(backend))
        elif region and backend.region != region:
            yield problem(
                subject,
                f"{backend.endpoint} is in {backend.region}, and a load balancer of {region} leads to nothing there",
                # One in a network of the user's has a reason to be there.
                ("" if is_internal else 'set kind = "global", or ') + remedy,
            )
        # "Internal" ingress admits internal Application Load Balancers, by Google's page on ingress settings.
        elif backend.service.get("ingress") == WITHIN and not is_internal:
            yield problem(subject, *_within_its_network(backend))
        elif other_credentials := _other_credentials(backend, front):
            yield problem(subject, *other_credentials)
        elif (
            not front.behind_iap
            and address not in backend.service.get("customAudiences", ())
            and not backend.public
        ):
            yield problem(
                subject,
                f"{backend.endpoint} would refuse tokens that are made for {address}: they are not for its own address",
                f'add audience = "{address}" to [access] in the file of {backend.endpoint}, and say `homeport up --on cloudrun` with it',
            )
        elif misfit := misfit_of(backend, front):
            yield problem(subject, misfit.text, misfit.hint)
        elif front.guarded and not backend.screened:
            yield _unscreened(subject, backend)
        else:
            yield ok(subject, f"{backend.endpoint} is there, in {backend.region}")


def _within_its_network(backend: NamedBackend) -> tuple[str, str]:
    name = backend.endpoint
    return (
        f"{name} takes requests from within its network alone, which no load balancer of the internet is in",
        f"remove isolated from [access] in the file of {name}, or take {backend.key}",
    )


def _past_its_screen(backend: NamedBackend) -> tuple[str, str]:
    name = backend.endpoint
    return (
        f"{name} is screened at its own load balancer alone, by one of Google's roads, and this one leads past that",
        f'set where = "gateway" in the [guard] of the file of {name}, and say `homeport up --on cloudrun` with it, or take {backend.key}',
    )


def _other_credentials(backend: NamedBackend, front: FrontEndpoint) -> tuple[str, str] | None:
    """Return that one of the two stands behind Identity-Aware Proxy and the other does not, so that what opens one is refused by the other; None for alike."""
    name = backend.endpoint
    if bool(backend.service.get("iapEnabled")) is front.behind_iap:
        return None
    if front.behind_iap:
        return (
            f"{name} does not stand behind Identity-Aware Proxy as this endpoint does, and takes none of what is signed for this address",
            f"let iap take the place of callers and audience in the [access] of the file of {name}, and say `homeport up --on cloudrun` with it, or take {backend.key}",
        )
    return (
        f"{name} stands behind Identity-Aware Proxy, which does not take the ID tokens by which callers come to this address",
        f"let callers take the place of iap in the [access] of the file of {name}, and say `homeport up --on cloudrun` with it, or take {backend.key}",
    )


def misfit_of(backend: NamedBackend, front: FrontEndpoint) -> Misfit | None:
    """Return why an endpoint that was found may not be led to: past its screen, behind Identity-Aware Proxy where this one is not or the other way round, or where it shares and differs; None for nothing."""
    if backend.past_its_screen:
        return Misfit(*_past_its_screen(backend))
    if other_credentials := _other_credentials(backend, front):
        return Misfit(*other_credentials)
    return _unlike(backend, front) if backend.percent else None


def _unlike(backend: NamedBackend, front: FrontEndpoint) -> Misfit | None:
    """Return in what an endpoint differs that may not where clients cannot choose; None for nothing."""
    name, out = backend.endpoint, f"take {backend.key}"
    if backend.mixed:
        return Misfit(
            f"the revisions of {name} with traffic serve {_listed(backend.mixed)}, and this file {front.model}: not each answers to one name",
            f"let one revision of {name} have all of its traffic, or {out}",
        )
    if not backend.model:
        return Misfit(
            f"whether {name} serves {front.model} is not known: {backend.why_no_model}",
            f"say `homeport status --on cloudrun` with its file, or {out}",
            known=False,
        )
    if backend.model != front.model:
        return Misfit(
            f"{name} serves {backend.model}, and this file {front.model}: clients would say the one name and come to the other",
            f"let both serve a model of one name, or {out}; by a path or a header in edge.backends {name} may serve another",
        )
    if backend.public is not front.public:
        open_one, other = (name, "this endpoint") if backend.public else ("this endpoint", name)
        return Misfit(
            f"{open_one} takes requests without a token, and {other} none: a client that asks again comes to the open one",
            f"let [access] of both files say the same, or {out}",
        )
    if front.guarded and not backend.screened:
        known = (
            f"is not known: {backend.unread}"
            if backend.screened is None
            else "is not so, or not of all of it"
        )
        return Misfit(
            f"that what {name} answers is screened {known}; no client can tell where its request goes",
            f"add [guard] to the file of {name}, and say `homeport up --on cloudrun` with it, or {out}",
            known=backend.screened is not None,
        )
    return None


def _listed(models: tuple[str, ...]) -> str:
    return ", ".join(model or "what one does not say" for model in models)


def _unscreened(subject: str, backend: NamedBackend) -> PreflightFinding:
    if backend.screened is None:
        return warning(
            subject,
            f"whether what is asked for {backend.asked_for} is screened is not known: {backend.unread}",
            f"say `homeport status --on cloudrun` with the file of {backend.endpoint}: this file's [guard] is before its own model alone",
        )
    return warning(
        subject,
        f"what is asked for {backend.asked_for} is not screened, or not all of it: of {backend.endpoint} a revision with traffic has no [guard], and this file's is before its own model",
        f"add [guard] to the file of {backend.endpoint}, and say `homeport up --on cloudrun` with it",
    )


def _find_backend(inventory: Inventory, backend: NamedBackend, region: str) -> NamedBackend:
    name = backend.endpoint
    served = sorted(
        (thing for thing in inventory.of(name) if thing.is_service_of_model),
        key=lambda thing: (thing.region != region, thing.region),
    )
    if served:
        return replace(backend, service=served[0].body)
    why = f"there is no endpoint {name} on Cloud Run in {inventory.project}"
    if inventory.unread:
        why = f"whether there is an endpoint {name} is not known: {inventory.unread[0].text}"
    return replace(backend, why_none=why)


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
    told = {str(revision.get("annotations", {}).get(f"{ANNOTATION}model", "")): None for revision in serving}
    model, *more = told
    return replace(
        backend,
        model="" if more else model,
        mixed=(model, *more) if more else (),
        screened=all(screening_gateway(revision) is not None for revision in serving),
    )


__all__ = [
    "FrontEndpoint",
    "Misfit",
    "NamedBackend",
    "find_backends",
    "findings",
    "misfit_of",
    "named_backends",
]
