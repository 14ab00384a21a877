"""What a load balancer of Compute Engine is made of: each thing by its name, changed under its fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from homeport.google import Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs, Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.propagation import patient
from homeport.resources.google.rest import LABEL, Address, RestResource

CANDIDATE_HEADER = "x-homeport-candidate"
"""
The header by which the proof reaches a revision that has no traffic yet. Its value is the number that Google gave to the
backend service of that revision: who may read the load balancer knows it, and nobody else. It opens nothing that a
caller's token does not open.
"""
GROUP, BACKEND, MAP = "endpoint group", "backend service", "URL map"
HTTPS_PROXY, HTTP_PROXY = "HTTPS proxy", "HTTP proxy"
RULE, ADDRESS = "forwarding rule", "address"
CERTIFICATE, POLICY = "TLS certificate", "security policy"
COLLECTIONS: Mapping[str, str] = {
    GROUP: "networkEndpointGroups",
    BACKEND: "backendServices",
    MAP: "urlMaps",
    HTTPS_PROXY: "targetHttpsProxies",
    HTTP_PROXY: "targetHttpProxies",
    RULE: "forwardingRules",
    ADDRESS: "addresses",
    CERTIFICATE: "sslCertificates",
    POLICY: "securityPolicies",
}
"""Where Compute Engine has the things of each kind."""
_WITHOUT_GLOBAL = frozenset(("setSslCertificates", "setUrlMap"))
_OPTIONAL = ("outlierDetection",)
"""Of a backend service, what it has with some files alone."""
_FIXED = frozenset(("name", "description"))
RULES: Mapping[str, Rules] = {
    # Google gives an endpoint group back with what it means by itself; nothing of it can be changed.
    GROUP: Rules(immutable=_FIXED | {"networkEndpointType", "cloudRun"}),
    BACKEND: Rules(
        immutable=_FIXED | {"loadBalancingScheme", "protocol"},
        references=frozenset(("backends[].group",)),
        keys={"backends": "group"},
    ),
    MAP: Rules(
        immutable=_FIXED,
        references=frozenset(
            (
                "defaultService",
                "pathMatchers[].defaultService",
                "pathMatchers[].defaultRouteAction.weightedBackendServices[].backendService",
                "pathMatchers[].routeRules[].service",
                "tests[].service",
            )
        ),
        keys={
            "hostRules": "pathMatcher",
            "pathMatchers": "name",
            "pathMatchers[].defaultRouteAction.weightedBackendServices": "backendService",
            "pathMatchers[].routeRules": "priority",
            "tests": "description",
        },
    ),
    HTTPS_PROXY: Rules(
        immutable=_FIXED, references=frozenset(("urlMap", "sslCertificates[]", "certificateMap"))
    ),
    HTTP_PROXY: Rules(immutable=_FIXED, references=frozenset(("urlMap",))),
    RULE: Rules(
        immutable=_FIXED
        | {
            "IPAddress",
            "IPProtocol",
            "portRange",
            "loadBalancingScheme",
            "networkTier",
            "network",
            "subnetwork",
            "target",
        },
        references=frozenset(("target", "network", "subnetwork")),
    ),
    ADDRESS: Rules(
        immutable=_FIXED | {"addressType", "ipVersion", "networkTier", "purpose", "subnetwork"},
        references=frozenset(("subnetwork",)),
    ),
    CERTIFICATE: Rules(
        immutable=_FIXED | {"type", "selfManaged"}, unread=frozenset(("selfManaged.privateKey",))
    ),
    POLICY: Rules(immutable=_FIXED | {"type"}, keys={"rules": "priority"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerPart(RestResource):
    """One part of a load balancer. A PATCH names the fingerprint of what was read, so that nobody's change is lost."""

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what differs, if it is still as it was read."""
        body = {key: value for key, value in self._body(outputs).items() if key not in self.rules.immutable}
        body |= self._cleared(live)
        if live.get("fingerprint"):
            body["fingerprint"] = live["fingerprint"]
        google = patient(self.google, outputs, self.needs)
        changed = await google.patch("compute", self.address.path, body)
        return await self._settled(changed, progress)

    def _cleared(self, live: Json) -> JsonObject:
        """Return what is taken out, as null: a PATCH leaves what it does not name."""
        del live
        return {}

    async def _act(self, action: str, body: JsonObject, progress: Progress, **query: Json) -> None:
        """Do one of its own actions, and wait until it is done. What it is told is absolute, so it may be said again."""
        # The oldest actions of global proxies have a path without the word.
        path = self.address.path.replace("/global/", "/") if action in _WITHOUT_GLOBAL else self.address.path
        operation = await self.google.post("compute", f"{path}/{action}", body, repeatable=True, **query)
        await self._finished(operation, progress)

    async def _fresh(self) -> Json:
        return await self.google.get("compute", self.address.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProxy(BalancerPart):
    """A proxy without certificates. One of a region takes no PATCH."""

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Set its URL map."""
        await self._act("setUrlMap", {"urlMap": self._body(outputs)["urlMap"]}, progress)
        return await self._fresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsProxy(BalancerPart):
    """A proxy with certificates. What it shows is set by actions of its own, and a PATCH leaves it."""

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Set its URL map, and the certificates or the map of them."""
        body = self._body(outputs)
        if _last(live.get("urlMap")) != _last(body["urlMap"]):
            await self._act("setUrlMap", {"urlMap": body["urlMap"]}, progress)
        # While both are there the map counts: it goes in before the certificates go, and goes after they are in.
        if "certificateMap" in body:
            await self._act("setCertificateMap", {"certificateMap": body["certificateMap"]}, progress)
            if live.get("sslCertificates"):
                await self._act("setSslCertificates", {"sslCertificates": []}, progress)
        else:
            await self._act("setSslCertificates", {"sslCertificates": body["sslCertificates"]}, progress)
            if live.get("certificateMap"):
                await self._act("setCertificateMap", {}, progress)
        return await self._fresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend(BalancerPart):
    """A backend service, with the security policy that is attached to it by an action of its own."""

    policy: Ref | None = None

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return how live differs, whether another policy guards it, and what of it is wanted no more."""
        changes = RestResource.diff(self, live, outputs)
        changes += tuple(Change(path=key, before=live[key], after=None) for key in self._cleared(live))
        before, after = _last(live.get("securityPolicy")), self._policy_name
        if before != after:
            return (*changes, Change(path="securityPolicy", before=before or None, after=after or None))
        return changes

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it, and attach its policy."""
        live = await RestResource.create(self, outputs, progress)
        return await self._guarded(live, outputs, progress)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Change what differs, and attach its policy."""
        changed = await BalancerPart.update(self, live, outputs, progress)
        return await self._guarded(changed, outputs, progress)

    def _cleared(self, live: Json) -> JsonObject:
        return {key: None for key in _OPTIONAL if live.get(key) and key not in self.wanted}

    async def _guarded(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        if _last(live.get("securityPolicy")) == self._policy_name:
            return live
        link = outputs[self.policy.id]["selfLink"] if self.policy else None
        await self._act("setSecurityPolicy", {"securityPolicy": link} if link else {}, progress)
        return await self._fresh()

    @property
    def _policy_name(self) -> str:
        return _last(self.policy.id) if self.policy else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(BalancerPart):
    """A security policy, whose rules are put in, changed and taken out one by one."""

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Let it have the wanted rules and no others."""
        priorities = {int(rule["priority"]) for rule in live.get("rules", ())}
        rules = {int(rule["priority"]): dict(rule) for rule in self._body(outputs)["rules"]}
        for priority, rule in rules.items():
            if priority in priorities:
                await self._act("patchRule", rule, progress, priority=priority)
            else:
                await self._act("addRule", rule, progress)
        for priority in sorted(priorities - set(rules)):
            await self._act("removeRule", {}, progress, priority=priority)
        return await self._fresh()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate(BalancerPart):
    """A certificate of the user's own. Its key is sent when it is made, and read from nowhere else."""

    key: Any = None  # Any: a function that returns the key as a Secret, called only where it is sent

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Make it of the certificate and its key."""
        body = self._body(outputs)
        own = {**body["selfManaged"], "privateKey": self.key().reveal()}
        google = patient(self.google, outputs, self.needs)
        operation = await google.post(
            "compute", self.address.made_at, {**body, "selfManaged": own}, repeatable=True
        )
        return await self._settled(operation, progress)


_CLASSES: Mapping[str, type[BalancerPart]] = {
    BACKEND: Backend,
    HTTPS_PROXY: HttpsProxy,
    HTTP_PROXY: HttpProxy,
    POLICY: Policy,
    CERTIFICATE: OwnCertificate,
}


def part(
    google: Google,
    owner: str,
    kind: str,
    name: str,
    wanted: Mapping[str, Any],  # Any: JSON, and Refs
    *,
    region: str = "",
) -> BalancerPart:
    """Return the part `name` of a kind, in a region or global, which belongs to the endpoint `owner`."""
    place = f"regions/{region}" if region else "global"
    parent = f"compute/v1/projects/{google.project}/{place}/{COLLECTIONS[kind]}"
    return _CLASSES.get(kind, BalancerPart)(
        google=google,
        name=owner,
        id=f"{kind.lower().replace(' ', '-')}/{name}",
        kind=kind,
        address=Address(api="compute", path=f"{parent}/{name}", made_at=parent),
        wanted={"name": name, "description": f"{LABEL}={owner}", **wanted},
        rules=RULES[kind],
        change="merge",
        marked="description",
    )


def guarded_by(backend: BalancerPart, policy: BalancerPart) -> BalancerPart:
    """Return the backend service with a security policy before it."""
    assert isinstance(backend, Backend)
    return replace(backend, policy=Ref(policy.id, "selfLink"), after=(*backend.after, policy.id))


def _last(link: Any) -> str:  # Any: JSON
    return str(link or "").rpartition("/")[2]


__all__ = [
    "ADDRESS",
    "BACKEND",
    "CANDIDATE_HEADER",
    "CERTIFICATE",
    "COLLECTIONS",
    "GROUP",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MAP",
    "POLICY",
    "RULE",
    "Backend",
    "BalancerPart",
    "HttpProxy",
    "HttpsProxy",
    "OwnCertificate",
    "Policy",
    "guarded_by",
    "part",
]
