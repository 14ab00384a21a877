"""
Load balancers as Envoy's configuration: what was created in the cloud, forwarding rule by forwarding rule.

A route leads back to the rehearsal, with a header that says which service it chose. Of Cloud Armor only `throttle` for
everybody is here, by a local rate limit; where a URL map or a policy says what is not here, Envoy answers 501 with the words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import at
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime import envoy_callouts
from gcp_rehearsal.runtime.balancing import Listener, LoadBalancers, NoWay, ServerlessGoal
from gcp_rehearsal.runtime.content_callouts import ContentCallout, ContentCallouts
from gcp_rehearsal.runtime.envoy_regions import RegionalCluster
from gcp_rehearsal.runtime.envoy_routes import UNACTED, rewritten, routes_of
from gcp_rehearsal.runtime.launch_adaptation import HOST

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

GOAL_HEADER = "x-rehearsal-goal"
NO_TAG = "-"
INTERNAL, EXTERNAL = "internal", "external"
_KEY_HEADER = "x-rehearsal-key"
_KEY_BYTES = 128
"""How many bytes of a header's value Cloud Armor tells keys apart by."""
_UPSTREAM = "rehearsal"
_TYPES = "type.googleapis.com/envoy"
_MANAGER = f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A listener, where Envoy listens for it, and what it shows: a certificate's chain and its key, as PEM."""

    listener: Listener
    socket: Path
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way from Envoy back to the rehearsal."""

    port: int
    secret: str
    """What only Envoy knows, so that nobody else chooses a service by that header."""
    folder: Path
    """Where it asks the callouts."""

    def goal(self, goal: ServerlessGoal) -> str:
        """Return the header's value that leads to a service."""
        side = INTERNAL if goal.internal else EXTERNAL
        return f"{self.secret} {goal.service} {goal.tag or NO_TAG} {side}"


class EnvoyConfig:
    """Writes the configuration of one Envoy for all load balancers of a cloud."""

    def __init__(self, cloud: Cloud, balancers: LoadBalancers, way: Way) -> None:
        self._cloud, self._balancers, self._way = cloud, balancers, way
        self._callouts = ContentCallouts(cloud)

    def whole(self, shown: Iterable[Shown]) -> JsonObject:
        """Return it, without an admin's port."""
        exposed = list(shown)
        several = list(self._several(exposed))
        upstream = {"address": {"socket_address": {"address": HOST, "port_value": self._way.port}}}
        cluster = {
            "name": _UPSTREAM,
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": _UPSTREAM,
                "endpoints": [{"lb_endpoints": [{"endpoint": upstream}]}],
            },
        }
        return {
            "static_resources": {
                "listeners": [
                    *(self._listener(one) for one in exposed),
                    *(member for one in several for member in one.listeners(GOAL_HEADER, _UPSTREAM)),
                ],
                "clusters": [
                    cluster,
                    *([envoy_callouts.cluster(self._way.folder)] if self._are_called(exposed) else []),
                    *(made for one in several for made in one.clusters()),
                ],
            }
        }

    def _are_called(self, exposed: Sequence[Shown]) -> bool:
        return any(self._callouts.of(one.listener.rule) for one in exposed)

    def _several(self, exposed: Sequence[Shown]) -> Iterator[RegionalCluster]:
        """Yield the backend services, among those that are led to, with groups of several regions."""
        folder = next((one.socket.parent for one in exposed), Path("@"))
        for url in sorted(set().union(*(_backends(one.listener.routes.body) for one in exposed))):
            backend = at(self._cloud, url)
            if backend is not None and (made := self._in_several(backend.body, folder)) is not None:
                yield made

    def _in_several(self, backend: Mapping[str, Json], folder: Path) -> RegionalCluster | None:
        members = self._balancers.members(backend)
        if len(members) < 2:
            return None
        return RegionalCluster(
            name=str(backend["name"]),
            members=[self._way.goal(goal) for goal in members],
            ejected=backend.get("outlierDetection") or {},
            folder=folder,
        )

    def _listener(self, shown: Shown) -> JsonObject:
        called = self._callouts.of(shown.listener.rule)
        chain: JsonObject = {
            "filters": [{"name": "http", "typed_config": self._manager(shown.listener.routes.body, called)}]
        }
        if shown.certificate:
            pair = {
                "certificate_chain": {"inline_string": shown.certificate},
                "private_key": {"inline_string": shown.key},
            }
            chain["transport_socket"] = {
                "name": "tls",
                "typed_config": {
                    "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {"tls_certificates": [pair], "alpn_protocols": ["http/1.1"]},
                },
            }
        name = shown.listener.rule.name.rpartition("/")[2]
        held = {"per_connection_buffer_limit_bytes": envoy_callouts.LARGEST} if called else {}
        place = {"pipe": {"path": str(shown.socket)}}
        return {"name": name, "address": place, "filter_chains": [chain], **held}

    def _manager(self, routes: Mapping[str, Json], called: Sequence[ContentCallout]) -> JsonObject:
        filters = [*self._limits(routes), *envoy_callouts.filters_of(called, self._way.secret)]
        hosts = list(self._hosts(routes))
        if unacted := envoy_callouts.unacted_of(called):
            match: JsonObject = {"prefix": "/"}
            filters = []
            hosts = [{"name": "rest", "domains": ["*"], "routes": [{"match": match, **_cannot(unacted)}]}]
        router = {
            "name": "router",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
                "suppress_envoy_headers": True,
            },
        }
        return {
            "@type": _MANAGER,
            "stat_prefix": "edge",
            "via": "1.1 google",
            "generate_request_id": False,
            "server_header_transformation": "PASS_THROUGH",
            "strip_any_host_port": True,
            "use_remote_address": True,
            "stream_idle_timeout": "0s",  # Cloud Run's own timeout counts, and a model may think for long.
            "http_filters": [*filters, router],
            "route_config": {"name": "map", "virtual_hosts": hosts},
        }

    def _hosts(self, routes: Mapping[str, Json]) -> Iterator[JsonObject]:
        matchers = {matcher.get("name"): matcher for matcher in routes.get("pathMatchers") or ()}
        named: set[str] = set()
        for number, rule in enumerate(routes.get("hostRules") or ()):
            domains = [str(host) for host in rule.get("hosts") or ()]
            named.update(domains)
            holder = matchers.get(rule.get("pathMatcher")) or {}
            yield {"name": f"hosts-{number}", "domains": domains, "routes": self._routes(holder)}
        if "*" not in named:
            defaults = {key: value for key, value in routes.items() if key.startswith("default")}
            yield {"name": "rest", "domains": ["*"], "routes": self._routes(defaults)}

    def _routes(self, matcher: Mapping[str, Json]) -> list[JsonObject]:
        return [
            {"match": match, **self._action(holder, prefix)} for match, holder, prefix in routes_of(matcher)
        ]

    def _action(self, holder: Mapping[str, Json], default: str) -> JsonObject:
        """Return where a rule leads. `default` is how the keys of the holder begin."""
        if UNACTED in holder:
            return _cannot(f"the rehearsal's Envoy does not act out {holder[UNACTED]} of a URL map")
        service, action, redirect = (
            ("defaultService", "defaultRouteAction", "defaultUrlRedirect")
            if default
            else ("service", "routeAction", "urlRedirect")
        )
        done = rewritten(holder.get(action) or {}, holder.get(redirect) or {})
        if "cannot" in done:
            return _cannot(done["cannot"])
        if "redirect" in done:
            return done
        split = (holder.get(action) or {}).get("weightedBackendServices") or [
            {"backendService": holder.get(service) or "", "weight": 1}
        ]
        try:
            weighted = [self._weighted(share) for share in split]
        except NoWay as why:
            return {"direct_response": {"status": why.status, "body": {"inline_string": f"{why.text}\n"}}}
        for share in split:
            if unacted := self._unacted(str(share["backendService"])):
                return _cannot(f"the rehearsal's Envoy does not act out {unacted}")
        return {"route": {"timeout": "0s", "weighted_clusters": {"clusters": weighted}, **done}}

    def _weighted(self, share: Mapping[str, Json]) -> JsonObject:
        backend = at(self._cloud, str(share.get("backendService") or ""))
        if backend is None:
            raise NoWay(404, "no backend service of the URL map is there")
        limit = self._switched_on(str(share["backendService"]))
        several = self._in_several(backend.body, Path())
        if several is not None:
            weight = int(share.get("weight") or 0)
            return {
                "name": several.cluster,
                "weight": weight,
                "request_headers_to_remove": [_KEY_HEADER],
                **limit,
            }
        goal = self._balancers.behind(backend.body)
        header = {"key": GOAL_HEADER, "value": self._way.goal(goal)}
        return {
            "name": _UPSTREAM,
            "weight": int(share.get("weight") or 0),
            "request_headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}],
            "request_headers_to_remove": [_KEY_HEADER],
            **limit,
        }

    def _switched_on(self, url: str) -> JsonObject:
        """Return what switches on the filters by which a backend service is limited; nothing for one without a limit."""
        if not (name := self._limited(url)):
            return {}
        on = {"@type": f"{_TYPES}.config.route.v3.FilterConfig", "config": {}}
        return {"typed_per_filter_config": {f"{kind}/{name}": on for kind in ("key", "limit")}}

    def _limited(self, url: str) -> str:
        """Return the name of a backend service with a limit; '' for one without."""
        backend = at(self._cloud, url)
        return str(backend.body["name"]) if backend is not None and self._throttles(backend.body) else ""

    def _unacted(self, url: str) -> str:
        """Return the first rule before a backend service that would refuse or let pass in a way that is not acted out; '' for none."""
        backend = at(self._cloud, url)
        rules = self._rules(backend.body) if backend is not None else []
        acted = self._throttles(backend.body) if backend is not None else []
        for rule in rules:
            last_word = rule is rules[-1] and rule["action"] == "allow" and _for_everybody(rule)
            if rule not in acted and not rule.get("preview") and not last_word:
                return f"{rule['action']} of Cloud Armor's rule {rule['priority']}"
        return ""

    def _rules(self, backend: Mapping[str, Json]) -> list[JsonObject]:
        policy = at(self._cloud, str(backend.get("securityPolicy") or ""))
        return sorted(policy.body["rules"], key=lambda rule: int(rule["priority"])) if policy else []

    def _throttles(self, backend: Mapping[str, Json]) -> list[JsonObject]:
        """Return the rule of a backend service's policy that limits how often everybody may ask, if there is one."""
        return [
            rule for rule in self._rules(backend) if rule["action"] == "throttle" and _for_everybody(rule)
        ][:1]

    def _limits(self, routes: Mapping[str, Json]) -> Iterator[JsonObject]:
        """Yield a filter that reads the key and one that counts, for each backend service with a limit; routes switch them on."""
        for url in sorted(_backends(routes)):
            backend = at(self._cloud, url)
            for rule in self._throttles(backend.body) if backend else ():
                assert backend is not None
                yield from _limit(str(backend.body["name"]), rule)


def _for_everybody(rule: Mapping[str, Json]) -> bool:
    return (rule["match"].get("config") or {}).get("srcIpRanges") in (["*"], ["0.0.0.0/0"])


def _cannot(why: str) -> JsonObject:
    return {"direct_response": {"status": 501, "body": {"inline_string": f"{why}\n"}}}


def _limit(name: str, rule: Mapping[str, Json]) -> Iterator[JsonObject]:
    options = rule["rateLimitOptions"]
    threshold = options["rateLimitThreshold"]
    bucket = {
        "max_tokens": int(threshold["count"]),
        "tokens_per_fill": int(threshold["count"]),
        "fill_interval": f"{int(threshold['intervalSec'])}s",
    }
    header = str(options.get("enforceOnKeyName") or "")
    key = f"%REQ({header}):{_KEY_BYTES}%" if options.get("enforceOnKey") == "HTTP_HEADER" else "all"
    mutation = {"header": {"key": _KEY_HEADER, "value": key}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    yield {
        "name": f"key/{name}",
        "disabled": True,
        "typed_config": {
            "@type": f"{_TYPES}.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {"request_mutations": [{"append": mutation}]},
        },
    }
    by_key = {"request_headers": {"header_name": _KEY_HEADER, "descriptor_key": "key"}}
    enforced = 0 if rule.get("preview") else 100
    yield {
        "name": f"limit/{name}",
        "disabled": True,
        "typed_config": {
            "@type": f"{_TYPES}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": name,
            "token_bucket": bucket,
            "always_consume_default_token_bucket": False,
            "filter_enabled": {"default_value": {"numerator": 100, "denominator": "HUNDRED"}},
            "filter_enforced": {"default_value": {"numerator": enforced, "denominator": "HUNDRED"}},
            "max_dynamic_descriptors": 10_000,
            "rate_limits": [{"actions": [by_key]}],
            "descriptors": [{"entries": [{"key": "key"}], "token_bucket": bucket}],
        },
    }


def _backends(value: Json) -> set[str]:
    """Return all addresses of backend services that a map names."""
    if isinstance(value, dict):
        return set().union(*(_backends(child) for child in value.values()))
    if isinstance(value, list):
        return set().union(*(_backends(child) for child in value))
    return {value} if isinstance(value, str) and "/backendServices/" in value else set()


__all__ = ["EXTERNAL", "GOAL_HEADER", "INTERNAL", "NO_TAG", "EnvoyConfig", "Shown", "Way"]
