"""The way of a proof to a service that is closed: through its load balancer, and to a new revision by a header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
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


async def with_edge(target: CloudRunTarget, prove: Prove, *, via: str = "") -> CloudRunTarget:
    """
    Return the target with the load balancer of its file's `[edge]`, or its API gateway; as it is where there is none.

    Looks for the other endpoints that it leads to, if there are any.
    """
    edge = target.spec.edge
    if edge is None:
        return target
    if edge.is_api_gateway:
        return with_api_gateway(target, via=via)
    behind = await find_backends(target.google, edge, target.names.region)
    parts = EdgeParts(
        google=target.google,
        names=target.names,
        edge=edge,
        base=target.spec_file.parent,
        behind=behind,
        network=paths_of(target.asked()) if edge.kind == "internal" else ("", ""),
    )
    ask = asks(target.google, edge.address, tuple(edge.backends), via=via)
    calls = any(companion.calls_model for companion in target.companions)
    endpoint_edge = EndpointEdge(
        parts=parts,
        ask=ask,
        prove=prove,
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
    google: Google, address: str, paths: Sequence[str] = (), *, via: str = ""
) -> Callable[[Body], Awaitable[str]]:
    """Return what asks the edge for its models, and for those at each of `paths`, as the logged-in user."""

    async def ask(_: Body) -> str:
        identity = GoogleIdentity(google.credentials, address)
        try:
            async with outside(via) as sender:
                token = await identity.token()
                for path in ("", *paths):
                    status = await sender.status(address, f"{path}{_MODELS}", token=token)
                    if status != _ANSWERS and status not in _FROM_CLOUD_RUN:
                        return f"it says {status}{f' at {path}' if path else ''}"
        except HomeportError as error:
            return str(error)
        return ""

    return ask


async def proven_at(
    google: Google, names: Names, endpoint: Endpoint, service: Body, revision: str, *, region: str = ""
) -> Endpoint:
    """
    Return the endpoint so that `revision` answers: with the candidate's header where the only way to it is through the load
    balancer, which is in `region`, or global.
    """
    if not is_closed(service) or not is_tagged(service, revision):
        return endpoint
    name = EdgeNames(name=names.name).candidate
    place = f"regions/{region}" if region else "global"
    backend = await google.get(
        "compute", f"compute/v1/projects/{google.project}/{place}/backendServices/{name}"
    )
    return replace(endpoint, headers={CANDIDATE_HEADER: str(backend["id"])})


async def expected_at(target: CloudRunTarget, endpoint: Endpoint, service: Body, proving: str) -> Expectation:
    """
    Return what the endpoint is held to; `proving` is the revision that is released, '' for what serves.

    While a first revision is proven, the door of a service with a load balancer is still open.
    """
    region = target.edge.parts.region if target.edge else ""
    at = await proven_at(target.google, target.names, endpoint, service, proving or "-", region=region)
    promise = await promise_of(target, at)
    if target.edge is None:
        return promise
    ingress = str(service.get("ingress") or OPEN) if proving else CLOSED
    # A new revision is not held to what becomes of others.
    through = at.root_url == target.edge.address and not at.headers
    behind = tuple(backend.other for backend in target.edge.parts.behind) if through else ()
    return replace(promise, planned=replace(promise.planned, ingress=ingress, behind=behind))


__all__ = ["asks", "expected_at", "proven_at", "with_edge"]
