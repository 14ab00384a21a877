"""The API gateway of the file: keys for clients without a load balancer. The service itself stays as it is, private."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from homeport.catalog.prices import Prices
from homeport.errors import HomeportError
from homeport.google import Google, IamResource
from homeport.json_types import JsonObject
from homeport.reconcile import Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google.api_gateway import (
    KEY_HEADER,
    ApiConfig,
    AskGateway,
    ClientKey,
    Gateway,
    ManagedService,
    api,
    config,
    gateway,
)
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL, RestResource
from homeport.resources.google.service_account import account
from homeport.spec import Edge
from homeport.targets.cloudrun.api_gateway.fact import ApiGatewayFact
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.finding import ok, problem, unseen

APIS = ("apigateway", "apikeys", "servicecontrol", "servicemanagement")
"""What it needs beside what every endpoint needs, by Google's guides."""
WORD = "homeport-role=edge"
"""In the description of the account, by which it is told from the endpoint's others."""
PATHS: Mapping[str, str] = {
    "/v1/chat/completions": "post",
    "/v1/completions": "post",
    "/v1/embeddings": "post",
    "/v1/responses": "post",
    "/v1/models": "get",
    "/v1/models/{model}": "get",
}
"""What clients may call: what OpenAI clients do. Whatever else an engine answers is answered with 404."""
METRIC, LIMIT = "requests", "requests-per-minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointApiGateway:
    """A gateway before the service, the account that it calls the service as, and the keys of its clients."""

    google: Google
    names: Names
    edge: Edge
    deadline_s: int
    """What an answer may take from its request to its end: as long as the service lets it."""
    ask: AskGateway

    @property
    def apis(self) -> tuple[str, ...]:
        """Return the APIs that it needs beside what every endpoint needs."""
        return APIS

    @property
    def region(self) -> str:
        """Return where the gateway is."""
        wanted = self.edge.gateway_region
        return self.names.region if wanted == "auto" else wanted

    @property
    def member(self) -> str:
        """Return whom the gateway calls the service as, as policies name it."""
        return f"serviceAccount:{self.names.email(self.names.edge_account)}"

    def facts(self, prices: Prices) -> Iterator[Fact]:
        """Yield what a plan tells of it."""
        yield ApiGatewayFact.of(self.edge, self.region, self.deadline_s, prices)

    async def findings(self) -> tuple[PreflightFinding, ...]:
        """Return what stands in its way: whether Google has API Gateway where it is wanted. Reads only."""
        path = f"v1/projects/{self.google.project}/locations"
        try:
            pages = self.google.pages("apigateway", path, "locations")
            regions = sorted([str(place["locationId"]) async for place in pages])
        except HomeportError as error:
            return (unseen("edge/region", error),)
        if self.region in regions:
            return (ok("edge/region", f"API Gateway is in {self.region}"),)
        where = f"set gateway_region in [edge] to one of {', '.join(regions)}: the service stays where it is"
        return (problem("edge/region", f"API Gateway is not in {self.region}", where),)

    def resources(self) -> list[Resource]:
        """Return all of it, each after what it needs."""
        who, keys = self.account, self.keys
        # A config that nobody may call the service with is no use, and a gateway without keys cannot be seen to answer.
        wanted = replace(self.config, after=(*self.config.after, self.grant.id))
        serving = replace(self.gateway, after=tuple(key.id for key in keys))
        return [
            who,
            self.grant,
            self.api,
            ManagedService(google=self.google, name=self.names.name),
            *keys,
            wanted,
            serving,
        ]

    @property
    def account(self) -> RestResource:
        """Return the account that the gateway calls the service as."""
        return account_of(self.google, self.names)

    @property
    def grant(self) -> Grant:
        """Return what lets that account call the service, and nothing else."""
        service = f"service/{self.names.name}"
        return Grant(
            google=self.google,
            role=INVOKERS[0],
            member=self.member,
            on=IamResource(api="run", path=f"v2/{self.names.service}"),
            known_as=service,
            needs=(f"release/{self.names.name}", self.account.id),
        )

    @property
    def api(self) -> RestResource:
        """Return the API."""
        # The account tells of it: nothing may be made before, or an `up` that was broken off would leave it unseen.
        return replace(api(self.google, self.names.name), after=("apis", self.account.id))

    @property
    def config(self) -> ApiConfig:
        """Return the config, whose name is a checksum of what it says."""
        document, email = self._document, self.names.email(self.names.edge_account)
        unique = sha256(repr((self.names.service, sorted(document.items()))).encode()).hexdigest()[:12]
        service = f"service/{self.names.name}"
        made = config(self.google, self.names.name, f"c{unique}", service, email, document)
        # Of an API one config is made at a time, and keys need what it makes.
        return replace(made, after=(service, f"api/{self.names.name}", self.account.id))

    @property
    def gateway(self) -> Gateway:
        """Return the gateway."""
        config_id = self.config.address.path.rpartition("/")[2]
        return gateway(self.google, self.names.name, self.region, config_id, self.ask)

    @property
    def keys(self) -> tuple[ClientKey, ...]:
        """Return a key for each client."""
        return tuple(
            ClientKey(google=self.google, name=self.names.name, client=client) for client in self.edge.clients
        )

    @property
    def _document(self) -> dict[str, Any]:  # Any: JSON
        """Return what the config says, in OpenAPI's words and Google's, without the service's address."""
        per_minute = self.edge.requests_per_minute
        cost = {"x-google-quota": {"metricCosts": {METRIC: 1}}} if per_minute else {}
        answers = {"200": {"description": "the answer"}}
        paths: JsonObject = {}
        for path, verb in PATHS.items():
            operation_id = f"{verb}{path.title().replace('/', '').replace('{', '').replace('}', '')}"
            call: JsonObject = {"operationId": operation_id, "responses": answers, **cost}
            if "{model}" in path:
                call["parameters"] = [{"name": "model", "in": "path", "required": True, "type": "string"}]
            paths[path] = {verb: call}
        document: JsonObject = {
            "swagger": "2.0",
            "info": {"title": self.names.name, "version": "1"},
            "schemes": ["https"],
            "paths": paths,
            "securityDefinitions": {"client": {"type": "apiKey", "name": KEY_HEADER, "in": "header"}},
            "security": [{"client": []}],
            "x-google-backend": {
                "path_translation": "APPEND_PATH_TO_ADDRESS",
                "protocol": "h2",
                "deadline": float(self.deadline_s),
            },
        }
        if per_minute:
            limit = {
                "name": LIMIT,
                "metric": METRIC,
                "unit": "1/min/{project}",
                "values": {"STANDARD": per_minute},
            }
            metric = {"name": METRIC, "displayName": "requests", "valueType": "INT64", "metricKind": "DELTA"}
            document["x-google-management"] = {"metrics": [metric], "quota": {"limits": [limit]}}
        return document


def account_of(google: Google, names: Names) -> RestResource:
    """Return the account that an endpoint's gateway calls its service as: what tells that there is one."""
    title = f"homeport {names.name}: calls the service for clients with a key"
    who = account(google, names.name, names.edge_account, title)
    described_so = {**who.wanted, "description": f"{LABEL}={names.name} {WORD}"}
    return replace(who, wanted=described_so, after=("apis",))


__all__ = ["APIS", "PATHS", "WORD", "EndpointApiGateway", "account_of"]
