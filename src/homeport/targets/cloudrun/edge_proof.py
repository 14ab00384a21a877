"""The way of a proof to a service that is closed: through its load balancer, and to a new revision by a header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from homeport.endpoint import Endpoint
from homeport.errors import ApiDisabled, HomeportError, NotFound
from homeport.google import Google
from homeport.google.credentials import GoogleIdentity
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.resources.google.release import Prove
from homeport.resources.google.traffic import CLOSED, OPEN, Body, is_closed, is_tagged
from homeport.targets.cloudrun.api_gateway_proof import with_api_gateway
from homeport.targets.cloudrun.edge import EdgeParts, EndpointEdge
from homeport.targets.cloudrun.edge_backends import find_backends
from homeport.targets.cloudrun.edge_names import EdgeNames
from homeport.targets.cloudrun.expected import promise_of
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight.networks import paths_of
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification import Expectation, outside

_ANSWERS = 200
_MODELS = "/v1/models"
_FROM_CLOUD_RUN = frozenset({401, 403})
"""Cloud Run's own refusals: the way is there, and it is the caller who is not let in."""


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
        network=paths_of(target.asked()) if edge.kind == "internal" else ("", ""),
    )
    at = names if edge.regions else None
    ask = asks(target.google, edge.address, tuple(edge.backends), via=via, only=at)
    calls = any(companion.calls_model for companion in target.companions)
    endpoint_edge = EndpointEdge(
        parts=parts,
        ask=ask,
        prove=prove,
        of=names if first else None,
        service=await _service(target.google, target.names),
        keeps_address=calls,
    )
    return replace(target, edge=endpoint_edge)


async def _service(google: Google, names: Names) -> Body:
    try:
        return dict(await google.get("run", f"v2/{names.service}"))
    except (NotFound, ApiDisabled):
        return {}


def asks(
    google: Google, address: str, paths: Sequence[str] = (), *, via: str = "", only: Names | None = None
) -> Callable[[Body], Awaitable[str]]:
    """
    Return what asks the edge for its models, and for those at each of `paths`, as the logged-in user. Where there are several regions
    it asks as clients do, then for those of the service `only`.
    """

    async def ask(_: Body) -> str:
        identity = GoogleIdentity(google.credentials, address)
        try:
            ways: list[tuple[Mapping[str, str], str]] = [({}, "")]
            if only is not None:
                called = EdgeNames(name=only.name).only_in(only.region)
                ways.append((await _headers_to(google, called), f" for {only.region}"))
            for headers, region in ways:
                async with outside(via, headers) as sender:
                    token = await identity.token()
                    for path in ("", *paths):
                        status = await sender.status(address, f"{path}{_MODELS}", token=token)
                        if status != _ANSWERS and status not in _FROM_CLOUD_RUN:
                            return f"it says {status}{f' at {path}' if path else ''}{region}"
        except HomeportError as error:
            return str(error)
        return ""

    return ask


async def proven_at(
    parts: EdgeParts | None, names: Names, endpoint: Endpoint, service: Body, revision: str
) -> Endpoint:
    """
    Return the endpoint so that `revision` of the service of `names` answers: with the candidate's header where the only way to it is
    through the load balancer of `parts`. Where that leads to several regions, what serves in each has a header, too.
    """
    if parts is None or not is_closed(service):
        return endpoint
    called = EdgeNames(name=names.name)
    if is_tagged(service, revision):
        name = called.candidate_in(names.region if names.further else "")
    elif parts.edge.regions:
        name = called.only_in(names.region)
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
    if edge is None:
        return promise
    ingress = str(service.get("ingress") or OPEN) if proving else CLOSED
    # A new revision is not held to what becomes of others.
    through = at.root_url == edge.address and not is_tagged(service, revision)
    behind = tuple(backend.other for backend in edge.parts.behind) if through else ()
    return replace(promise, planned=replace(promise.planned, ingress=ingress, behind=behind))


__all__ = ["asks", "expected_at", "proven_at", "with_edge"]
