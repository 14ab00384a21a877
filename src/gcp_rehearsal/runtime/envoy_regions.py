"""
A backend service with groups of several regions, as Envoy has it: a cluster with one member for each, in their order.

Each member is a socket of Envoy's own, which says which service it stands for and leads back to the rehearsal. The first is the nearest
to every client here; another gets requests while the first is ejected for its answers, as the backend service's outlier detection says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcp_rehearsal.json_types import Json, JsonObject

_TYPES = "type.googleapis.com/envoy"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionalCluster:
    """One such backend service."""

    name: str
    members: Sequence[str]
    """What leads to each member's service: values of the header that chooses it."""
    ejected: Mapping[str, Json]
    """Its outlier detection."""
    folder: Path
    """Where its sockets are."""

    @property
    def cluster(self) -> str:
        """Return what a route names."""
        return f"regions/{self.name}"

    def clusters(self) -> Iterator[JsonObject]:
        """Yield the cluster."""
        localities = [
            {
                "priority": number,
                "lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(self._socket(number))}}}}],
            }
            for number in range(len(self.members))
        ]
        made: JsonObject = {
            "name": self.cluster,
            "type": "STATIC",
            "load_assignment": {"cluster_name": self.cluster, "endpoints": localities},
            # One region that answers is enough, whatever the others do.
            "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        }
        if self.ejected:
            made["outlier_detection"] = _outliers(self.ejected)
        yield made

    def listeners(self, header: str, upstream: str) -> Iterator[JsonObject]:
        """Yield a listener for each member, which sends all to the cluster `upstream` with the header that chooses the service."""
        for number, goal in enumerate(self.members):
            added = {"header": {"key": header, "value": goal}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            route = {
                "match": {"prefix": "/"},
                "route": {"cluster": upstream, "timeout": "0s"},
                "request_headers_to_add": [added],
            }
            manager = {
                "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": f"{self.name}-{number}",
                "generate_request_id": False,
                "server_header_transformation": "PASS_THROUGH",
                "use_remote_address": False,
                "skip_xff_append": True,
                "stream_idle_timeout": "0s",
                "http_filters": [
                    {
                        "name": "router",
                        "typed_config": {
                            "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
                            "suppress_envoy_headers": True,
                        },
                    }
                ],
                "route_config": {
                    "name": "region",
                    "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
                },
            }
            yield {
                "name": f"{self.cluster}/{number}",
                "address": {"pipe": {"path": str(self._socket(number))}},
                "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
            }

    def _socket(self, number: int) -> Path:
        return self.folder / f"{self.name}-{number}.region"


def _outliers(wanted: Mapping[str, Json]) -> JsonObject:
    """Return Compute Engine's outlier detection as Envoy's: the same fields by other names."""
    made: JsonObject = {"enforcing_success_rate": 0, "enforcing_consecutive_gateway_failure": 0}
    for key, name in (
        ("consecutiveErrors", "consecutive_5xx"), ("enforcingConsecutiveErrors", "enforcing_consecutive_5xx"),
        ("maxEjectionPercent", "max_ejection_percent"),
    ):  # fmt: skip
        if wanted.get(key) is not None:
            made[name] = int(wanted[key])
    for key, name in (("interval", "interval"), ("baseEjectionTime", "base_ejection_time")):
        if wanted.get(key) is not None:
            made[name] = f"{int(wanted[key].get('seconds') or 0)}s"
    return made


__all__ = ["RegionalCluster"]
