"""How a gateway is asked: by each client's key, by nobody's, and by one that there is not."""

from __future__ import annotations

from dataclasses import replace

from homeport.endpoint import Endpoint
from homeport.errors import HomeportError, NotFound, Unsupported
from homeport.google import Google
from homeport.resources.google.api_gateway import KEY_HEADER, AskGateway, ClientKey, address_of_gateway
from homeport.secret import Secret
from homeport.spec import Edge
from homeport.targets.cloudrun.api_gateway.gateway import EndpointApiGateway
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.revision import outside

REFUSED = frozenset({400, 401, 403})
"""What API Gateway says of a request without a key, and of a key that it does not know."""
_ANSWERS = 200
_MODELS = "/v1/models"


def with_api_gateway(target: CloudRunTarget, *, via: str = "") -> CloudRunTarget:
    """Return the target with the API gateway of its file."""
    edge = target.spec.edge
    assert edge is not None
    gateway = replace(
        gateway_of(target.google, target.names, edge, via=via),
        deadline_s=target.settings.timeout_s,
    )
    return replace(target, api_gateway=gateway)


def gateway_of(google: Google, names: Names, edge: Edge, *, via: str = "") -> EndpointApiGateway:
    """Return the gateway of a file, as far as its names go."""
    ask = asks_gateway(google, names.name, edge.clients[0], via=via)
    return EndpointApiGateway(google=google, names=names, edge=edge, deadline_s=0, ask=ask)


def asks_gateway(google: Google, name: str, client: str, *, via: str = "") -> AskGateway:
    """Return what asks a gateway for its models: with the key of `client`, and without one."""

    async def ask(address: str) -> str:
        try:
            key = await ClientKey(google=google, name=name, client=client).string()
            status = await status_with(address, _MODELS, key, via=via)
            if status != _ANSWERS:
                return f"it says {status} to the key of {client}"
            status = await status_with(address, _MODELS, "", via=via)
        except HomeportError as error:
            return str(error)
        return "" if status in REFUSED else f"it says {status} to a request without a key"

    return ask


async def status_with(address: str, path: str, key: str, *, via: str = "") -> int:
    """Return the HTTP status of a GET with a key; '' is without one. Raises `NetworkError` where nothing answers."""
    async with outside(via, {KEY_HEADER: key} if key else {}) as sender:
        return await sender.status(address, path, token=None)


async def client_endpoint(own: Endpoint, gateway: EndpointApiGateway, client: str) -> Endpoint:
    """
    Return an endpoint as one client of its gateway has it: at the gateway's address, with the client's key.

    Raises `NotFound` where there is no gateway or no key, `Unsupported` for a client that the file does not name.
    """
    if client not in gateway.edge.clients:
        raise Unsupported(
            f"{client} is no client of {own.name}",
            hint=f"clients in [edge] names {', '.join(gateway.edge.clients)}",
        )
    key = next(key for key in gateway.keys if key.client == client)
    live = await gateway.gateway.read()
    if live is None:
        raise NotFound(f"{own.name} has no gateway yet", hint="`homeport up --on cloudrun` makes it")
    return replace(
        own,
        base_url=f"{address_of_gateway(live)}/v1",
        identity=None,
        headers={KEY_HEADER: await key.string()},
    )


def variables_of(endpoint: Endpoint) -> dict[str, str]:
    """Return what OpenAI's clients read from the environment to come with this key. Holds it in clear."""
    key = Secret(endpoint.headers[KEY_HEADER])
    return {**endpoint.env(), "OPENAI_CUSTOM_HEADERS": f"{KEY_HEADER}: {key.reveal()}"}


__all__ = [
    "REFUSED",
    "asks_gateway",
    "client_endpoint",
    "gateway_of",
    "status_with",
    "variables_of",
    "with_api_gateway",
]
