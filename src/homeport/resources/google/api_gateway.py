"""What API Gateway is made of: an API, its configs, a gateway that serves one of them, and keys that clients show."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from homeport.backoff import Backoff
from homeport.errors import ApiDisabled, NotFound, OperationFailed
from homeport.google import Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import KNOWN_AFTER_APPLY, Change, Outputs, Ref, resolve
from homeport.reconcile.diff import Rules
from homeport.resources.base import BaseResource, DependentResource
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

API, CONFIG, GATEWAY, KEY, MANAGED = "API", "API config", "API gateway", "API key", "managed service"
KINDS = frozenset((API, CONFIG, GATEWAY, KEY, MANAGED))
CLIENT = "homeport-client"
"""The annotation of a key that says whose it is."""
KEY_HEADER = "x-api-key"
"""The only header that API Gateway takes a key in."""
PROVEN = "homeport-proven"
"""The label of a gateway that was seen to answer and to refuse: with the config that it had then."""
AskGateway = Callable[[str], Awaitable[str]]
"""Asks the gateway at an address with a key and without; '' once it answers the one and refuses the other, else what came instead."""
_WITHIN_S = 1200.0
"""How long a new gateway and new keys may take. No page of Google's has a figure for a gateway; a key takes minutes to be known."""
_FIRST_S, _LONGEST_S = 5.0, 30.0
_SPREADS_S = 120.0


def api(google: Google, name: str) -> RestResource:
    """Return the API of the endpoint `name`: what its configs and its managed service belong to."""
    parent = f"v1/projects/{google.project}/locations/global/apis"
    return RestResource(
        google=google,
        name=name,
        id=f"api/{name}",
        kind=API,
        address=Address(api="apigateway", path=f"{parent}/{name}", made_at=parent, query={"apiId": name}),
        wanted={"displayName": f"homeport {name}", "labels": {LABEL: name}},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiConfig(RestResource):
    """A config, whose document names the address of a service. Nothing of it can be changed: other content has another name."""

    service: str
    """The id of the service that it leads to."""
    document: Mapping[str, Any]  # Any: JSON
    """Without the address."""

    def _body(self, outputs: Outputs) -> dict[str, Any]:  # Any: JSON
        address = str(outputs[self.service]["uri"])
        backend = {**self.document["x-google-backend"], "address": address, "jwt_audience": address}
        text = json.dumps({**self.document, "x-google-backend": backend}, sort_keys=True)
        file = {"path": "openapi.json", "contents": base64.b64encode(text.encode()).decode()}
        body: JsonObject = resolve(self.wanted, outputs, final=True)
        return {**body, "openapiDocuments": [{"document": file}]}


def config(
    google: Google, name: str, config_id: str, service: str, email: str, document: Mapping[str, Json]
) -> ApiConfig:
    """Return the config `config_id` of an API of the same name as the endpoint; `email` is whom the gateway calls the service as."""
    parent = f"v1/projects/{google.project}/locations/global/apis/{name}/configs"
    return ApiConfig(
        google=google,
        name=name,
        id=f"api-config/{config_id}",
        kind=CONFIG,
        address=Address(
            api="apigateway", path=f"{parent}/{config_id}", made_at=parent, query={"apiConfigId": config_id}
        ),
        wanted={"gatewayServiceAccount": f"projects/-/serviceAccounts/{email}", "labels": {LABEL: name}},
        rules=Rules(
            immutable=frozenset(("gatewayServiceAccount",)), references=frozenset(("gatewayServiceAccount",))
        ),
        service=service,
        document=document,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway(RestResource):
    """
    A gateway, which is only called made when it was seen to answer to a key, and to refuse whoever has none.

    A label says with which config that was: an `up` that was broken off before asks again.
    """

    config_id: str
    ask: AskGateway

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return how live differs, and whether it was never seen to answer with this config."""
        changes = RestResource.diff(self, live, outputs)
        before = live.get("labels", {}).get(PROVEN)
        if before == self.config_id:
            return changes
        return (*changes, Change(path=f"labels.{PROVEN}", before=before, after=self.config_id))

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, and wait until it answers as it should."""
        live = await RestResource.create(self, outputs, progress)
        return await self._proven(live, progress)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Let it serve the wanted config, and wait until it answers as it should."""
        if RestResource.diff(self, live, outputs):
            live = await RestResource.update(self, live, outputs, progress)
        return await self._proven(live, progress)

    async def _proven(self, live: Json, progress: Progress) -> Json:
        address = address_of_gateway(live)
        wait = Backoff(
            what=f"{address} to answer", within=_WITHIN_S, first=_FIRST_S, factor=1.3, longest=_LONGEST_S
        )
        while why := await self.ask(address):
            if not wait.told:
                wait.told = True
                progress.note(
                    f"waiting for {wait.what}, {_WITHIN_S / 60:.0f} min at most: new gateways and keys take some minutes"
                )
            if not await wait.pause():
                raise OperationFailed(
                    f"{address} does not answer as it should: {why}; the service is reached as before",
                    hint="run the same command again: it goes on from here",
                )
        labels = {**live.get("labels", {}), LABEL: self.name, PROVEN: self.config_id}
        answer = await self.google.patch(
            "apigateway", self.address.path, {"labels": labels}, updateMask="labels"
        )
        return await self._settled(answer, progress)


async def _never(_: str) -> str:
    return "nobody asks it"


def gateway(google: Google, name: str, region: str, config_id: str, ask: AskGateway = _never) -> Gateway:
    """Return the gateway of the endpoint `name` in a region of API Gateway's, which streams."""
    parent = f"v1/projects/{google.project}/locations/{region}/gateways"
    return Gateway(
        google=google,
        name=name,
        id=f"api-gateway/{name}",
        kind=GATEWAY,
        address=Address(api="apigateway", path=f"{parent}/{name}", made_at=parent, query={"gatewayId": name}),
        wanted={
            "apiConfig": Ref(f"api-config/{config_id}", "name"),
            "labels": {LABEL: name},
            "streamingMode": "STREAMING_MODE_ENABLED",
        },
        rules=Rules(immutable=frozenset(("streamingMode",)), references=frozenset(("apiConfig",))),
        deadline=1800.0,
        config_id=config_id,
        ask=ask,
    )


def address_of_gateway(live: Json) -> str:
    """Return where clients reach a gateway, without `/v1`."""
    return f"https://{live['defaultHostname']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedService(DependentResource):
    """The service that an API has made, enabled in the project itself: without that no key of the project is taken."""

    google: Google
    name: str
    """Of the API, and so of the endpoint."""
    kind = MANAGED

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"managed-service/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the APIs, and of the API that makes it."""
        return ("apis", f"api/{self.name}")

    async def read(self) -> Json | None:
        """Return what is live of it, once it is enabled."""
        owner = await api(self.google, self.name).read()
        if owner is None:
            return None
        try:
            live = await self.google.get("serviceusage", self._path(owner))
        except NotFound:
            return None
        return live if live.get("state") == "ENABLED" else None

    def unchanged_after_update(self, live: Json) -> Json:
        """Return all of it: what is enabled stays so."""
        return live

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return no change: it is enabled or not."""
        return ()

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.kind} of {self.name}'s API, enabled in the project"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Enable it. One that was just made may not be known there yet."""
        google = patient(self.google, outputs, self.needs).patient(_SPREADS_S)
        path = self._path(outputs[f"api/{self.name}"])
        operation = await google.post("serviceusage", f"{path}:enable", {}, repeatable=True)
        await google.finish("serviceusage", operation, progress=progress, key=self.id)
        return await google.get("serviceusage", path)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Return `live`: there is nothing to change."""
        return live

    def _path(self, owner: Json) -> str:
        return f"v1/projects/{self.google.project}/services/{owner['managedService']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientKey(BaseResource):
    """
    The key of one client, which opens the endpoint's gateway and nothing else.

    Google keeps a deleted key's id for 30 days, and takes it back with the same string: so each key has an id that was never
    used, and is found by its annotations.
    """

    google: Google
    name: str
    """Of the endpoint."""
    client: str
    after: tuple[str, ...] = ()
    kind = KEY

    @property
    def id(self) -> str:
        """Return kind, endpoint and client."""
        return f"api-key/{self.name}-{self.client}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of what it opens."""
        return ("apis", f"api/{self.name}", f"managed-service/{self.name}", *self.after)

    async def read(self) -> Json | None:
        """Return what is live of it, without its string."""
        return next(iter(await self._live()), None)

    def is_managed(self, live: Json) -> bool:
        """Return True: it was found by its annotations."""
        return is_key_of(live, self.name)

    def unchanged_after_update(self, live: Json) -> Json:
        """Return its name: that stays."""
        return {"name": live["name"]}

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Tell whether it opens anything else."""
        targets = live.get("restrictions", {}).get("apiTargets", ())
        before = [target.get("service") for target in targets if not target.get("methods")]
        after = [outputs.get(f"api/{self.name}", {}).get("managedService", KNOWN_AFTER_APPLY)]
        if before == after and len(targets) == 1:
            return ()
        return (Change(path="restrictions.apiTargets", before=before, after=after),)

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        return f"{self.kind} of {self.client} for {self.name}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, under an id that was never used."""
        body = {
            "displayName": f"{self.name}: {self.client}"[:63],
            "annotations": {LABEL: self.name, CLIENT: self.client},
            "restrictions": self._restrictions(outputs),
        }
        google = patient(self.google, outputs, self.needs)
        operation = await google.post(
            "apikeys", self._parent, body, repeatable=True, keyId=f"k{token_hex(16)}"
        )
        return _shown(await google.finish("apikeys", operation, progress=progress, key=self.id))

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Let it open the endpoint's gateway and nothing else."""
        google = patient(self.google, outputs, self.needs)
        body = {"restrictions": self._restrictions(outputs)}
        operation = await google.patch("apikeys", f"v2/{live['name']}", body, updateMask="restrictions")
        return _shown(await google.finish("apikeys", operation, progress=progress, key=self.id))

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Unmake it: it opens nothing any more."""
        gone: tuple[str, ...] = ()
        for key in await self._live():
            try:
                operation = await self.google.delete("apikeys", f"v2/{key['name']}")
            except (NotFound, ApiDisabled):
                continue
            await self.google.finish("apikeys", operation, progress=progress, key=self.id)
            gone = (self.summary({}),)
        return gone

    async def string(self) -> str:
        """Return, in clear, what the client shows. Raises `NotFound` where there is no such key."""
        live = await self.read()
        if live is None:
            raise NotFound(
                f"{self.client} has no key of {self.name}", hint="`homeport up --on cloudrun` makes it"
            )
        answer = await self.google.get("apikeys", f"v2/{live['name']}/keyString")
        return str(answer["keyString"])

    async def _live(self) -> list[Json]:
        return [
            key
            for key in await keys_of(self.google, self.name)
            if key.get("annotations", {}).get(CLIENT) == self.client
        ]

    @property
    def _parent(self) -> str:
        return f"v2/projects/{self.google.project}/locations/global/keys"

    def _restrictions(self, outputs: Outputs) -> Json:
        return {"apiTargets": [{"service": outputs[f"api/{self.name}"]["managedService"]}]}


def _shown(key: Json) -> Json:
    """Return what of a key may be kept and printed. Google's page says so of no answer but the one to a change: that it lacks the string."""
    return {name: value for name, value in key.items() if name != "keyString"}


def is_key_of(live: Json, name: str) -> bool:
    """Tell whether a key is one of the endpoint `name`."""
    return bool(live.get("annotations", {}).get(LABEL) == name and live["annotations"].get(CLIENT))


async def keys_of(google: Google, name: str) -> list[Json]:
    """Return the keys that carry the mark of the endpoint `name`, without their strings. None where the API is off."""
    path = f"v2/projects/{google.project}/locations/global/keys"
    try:
        return [key async for key in google.pages("apikeys", path, "keys") if is_key_of(key, name)]
    except ApiDisabled:
        return []


__all__ = [
    "API", "CLIENT", "CONFIG", "GATEWAY", "KEY", "KEY_HEADER", "KINDS", "MANAGED", "PROVEN", "ApiConfig", "AskGateway",
    "ClientKey", "Gateway", "ManagedService", "address_of_gateway", "api", "config", "gateway", "is_key_of", "keys_of",
]  # fmt: skip
