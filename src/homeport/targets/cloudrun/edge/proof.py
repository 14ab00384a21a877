"""The way of a proof to a service that is closed: through its load balancer, and to a new revision by a header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from homeport.endpoint import Endpoint
from homeport.errors import ApiDisabled, HomeportError, NotFound
from homeport.google import Google
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.resources.google.release import Prove
from homeport.resources.google.traffic import CLOSED, OPEN, WITHIN, Body, is_closed, is_tagged
from homeport.targets.cloudrun.api_gateway.proof import with_api_gateway
from homeport.targets.cloudrun.edge.backends import FrontEndpoint, NamedBackend, find_backends, misfit_of
from homeport.targets.cloudrun.edge.load_balancer import EdgeParts, EndpointEdge
from homeport.targets.cloudrun.edge.names import EdgeNames
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.networks import paths_of
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.expected import promise_of, while_proven
from homeport.targets.cloudrun.verification.observed_deployment import OtherEndpoint
from homeport.targets.cloudrun.verification.revision import Expectation, identity_for, outside

_ANSWERS = 200
_MODELS = "/v1/models"
_FROM_CLOUD_RUN = frozenset({401, 403})
"""Refusals of Cloud Run, and of Identity-Aware Proxy before a service: the way is there, and it is the caller who is not let in."""


async def with_edge(
    target: CloudRunTarget, prove: Prove, *, via: str = "", first: str = ""
) -> CloudRunTarget:
    """
    Return the target with the load balancer of its file's `[edge]`, or its API gateway; as it is where there is none.

    `first` is the region to which the load balancer belongs, '' where it is the target's own. Looks for the other endpoints that
    it leads to, if there are any.
    """
    edge = target.spec.edge
    if edge is None:
        return target
    if edge.is_api_gateway:
        return with_api_gateway(target, via=via)
    names = target.names
    owner = replace(names, region=first, further=False) if first else names
    behind = await find_backends(target.google, edge, owner.region)
    parts = EdgeParts(
        google=target.google,
        names=owner,
        edge=edge,
        base=target.spec_file.parent,
        behind=behind,
        network=paths_of(target.preflight_input()) if edge.kind == "internal" else ("", ""),
    )
    at = names if edge.regions else None
    ask = asks(parts, via=via, only=at)
    endpoint_edge = EndpointEdge(
        parts=parts,
        ask=ask,
        prove=prove,
        of=names if first else None,
        service=await _service(target.google, target.names),
        led=target.beside_it.led,
        is_judged=not via,
        is_isolated=target.spec.access.isolated,
    )
    return replace(target, edge=endpoint_edge)


async def _service(google: Google, names: Names) -> Body:
    try:
        return dict(await google.get("run", f"v2/{names.service}"))
    except (NotFound, ApiDisabled):
        return {}


def asks(parts: EdgeParts, *, via: str = "", only: Names | None = None) -> Callable[[Body], Awaitable[str]]:
    """
    Return what asks the edge for its models, and each endpoint behind it, as the logged-in user. Where there are several regions
    it asks as clients do, then for those of the service `only`.
    """
    google, address = parts.google, parts.edge.address

    async def ask(service: Body) -> str:
        identity = identity_for(google, service, address, address)
        try:
            async with outside(via) as sender:
                for path, headers, told in await _ways(parts, only):
                    token = await identity.token()
                    status = await sender.with_headers(headers).status(
                        address, f"{path}{_MODELS}", token=token
                    )
                    if status != _ANSWERS and status not in _FROM_CLOUD_RUN:
                        return f"it says {status}{told}"
        except HomeportError as error:
            return str(error)
        return ""

    return ask


async def _ways(parts: EdgeParts, only: Names | None) -> list[tuple[str, Mapping[str, str], str]]:
    """Return what is asked of an edge: the path before `/v1`, the headers, and how it is told in words."""
    called = EdgeNames(name=parts.names.name)
    ways: list[tuple[str, Mapping[str, str], str]] = [("", {}, "")]
    for backend in parts.behind:
        headers = backend.other.headers
        if backend.percent:
            headers = await _headers_to(parts.google, called.to(backend.endpoint), region=parts.region)
        ways.append((backend.path, headers, f" {backend.asked_for}"))
    if only is not None:
        in_region = EdgeNames(name=only.name).only_in(only.region)
        ways.append(("", await _headers_to(parts.google, in_region), f" for {only.region}"))
    return ways


async def proven_at(
    parts: EdgeParts | None, names: Names, endpoint: Endpoint, service: Body, revision: str
) -> Endpoint:
    """
    Return the endpoint so that `revision` of the service of `names` answers: with the candidate's header where the only way to it is
    through the load balancer of `parts`. Where that leads to several regions, or to endpoints that share the traffic, what serves in each has a header, too.
    """
    if parts is None or not is_closed(service):
        return endpoint
    called = EdgeNames(name=names.name)
    if is_tagged(service, revision):
        name = called.candidate_in(names.region if names.further else "")
    elif parts.edge.regions:
        name = called.only_in(names.region)
    elif parts.edge.shares:
        name = called.main
    else:
        return endpoint
    return replace(endpoint, headers=await _headers_to(parts.google, name, region=parts.region))


async def _headers_to(google: Google, backend: str, *, region: str = "") -> dict[str, str]:
    place = f"regions/{region}" if region else "global"
    live = await google.get(
        "compute", f"compute/v1/projects/{google.project}/{place}/backendServices/{backend}"
    )
    return {CANDIDATE_HEADER: str(live["id"])}


async def expected_at(target: CloudRunTarget, endpoint: Endpoint, service: Body, proving: str) -> Expectation:
    """
    Return what the endpoint is held to; `proving` is the revision that is released, '' for what serves.

    While a first revision is proven, the door of a service with a load balancer is still open.
    """
    edge, revision = target.edge, proving or "-"
    at = await proven_at(edge.parts if edge else None, target.names, endpoint, service, revision)
    promise = await promise_of(target, at)
    promise = while_proven(target, promise) if proving else promise
    if edge is None:
        return promise
    closed = WITHIN if edge.is_isolated else CLOSED
    ingress = str(service.get("ingress") or OPEN) if proving else closed
    # A new revision is not held to what becomes of others.
    through = at.root_url == edge.address and not is_tagged(service, revision)
    front = FrontEndpoint.of(target.spec, target.launch.model)
    behind = [await _other(edge.parts, backend, front) for backend in edge.parts.behind] if through else []
    return replace(promise, planned=replace(promise.planned, ingress=ingress, behind=tuple(behind)))


async def _other(parts: EdgeParts, backend: NamedBackend, front: FrontEndpoint) -> OtherEndpoint:
    """Return what a check holds it to, which is what `plan` asks of it, and how it reaches it where requests are drawn."""
    if not backend.service:
        return backend.other
    other, misfit = backend.other, misfit_of(backend, front)
    if misfit is not None:
        known = misfit.known
        other = replace(other, misfit=misfit.text if known else "", untold="" if known else misfit.text)
    if not backend.percent:
        return other
    name = EdgeNames(name=parts.names.name).to(backend.endpoint)
    try:
        return replace(other, headers=await _headers_to(parts.google, name, region=parts.region))
    except NotFound:
        why = "the load balancer does not lead to it yet: say `homeport up --on cloudrun`"
        return replace(other, model="", why_no_model=why)


__all__ = ["asks", "expected_at", "proven_at", "with_edge"]
