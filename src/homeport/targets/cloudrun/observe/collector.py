"""What takes spans to Cloud Trace: Google's build of OpenTelemetry's collector, beside the engine in each instance."""

from __future__ import annotations

import json

from homeport.json_types import JsonObject
from homeport.reconcile import Ref
from homeport.targets.cloudrun.containers import ServiceContainer

COLLECTOR = "traces"
"""The container's name, and that of its image in the endpoint's repository."""
APIS = ("telemetry", "cloudtrace")
"""The one that takes spans, and the one without which it drops them and says nothing."""
TRACES_ROLE = "roles/telemetry.tracesWriter"
_PORT = 4318
SPANS_TO = f"http://127.0.0.1:{_PORT}/v1/traces"
"""Where engine and gateway send them within the instance."""
_VARIABLE = "HOMEPORT_COLLECTOR"
_LIMITS = {"cpu": "1", "memory": "512Mi"}
_TOGETHER = 200


def collector(name: str, project: str, after: str) -> ServiceContainer:
    """Return the collector of the endpoint `name`: it starts once the container `after` has."""
    return ServiceContainer(
        name=COLLECTOR,
        image=Ref(f"image/{COLLECTOR}", "reference"),
        # Its settings come with it, so that there is no secret of them. JSON is YAML, too.
        args=(f"--config=env:{_VARIABLE}",),
        environment={_VARIABLE: json.dumps(_settings(name, project), sort_keys=True)},
        limits=_LIMITS,
        # No probe: one that fails would end the engine with it.
        after=(after,),
    )


def _settings(name: str, project: str) -> JsonObject:
    """Return what it is told, after the configuration that its makers call standard: of that what spans need."""
    ours = [
        {"key": key, "value": value, "action": "upsert"}
        for key, value in (("service.name", f"homeport-{name}"), ("gcp.project_id", project))
    ]
    stages = ["memory_limiter", "resourcedetection", "resource", "batch"]
    return {
        # Within the instance alone.
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{_PORT}"}}}},
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_percentage": 65, "spike_limit_percentage": 20},
            "resourcedetection": {"detectors": ["gcp"], "timeout": "10s"},
            "resource": {"attributes": ours},
            "batch": {"send_batch_max_size": _TOGETHER, "send_batch_size": _TOGETHER, "timeout": "5s"},
        },
        "exporters": {
            "otlp": {
                "endpoint": f"{APIS[0]}.googleapis.com:443",
                "compression": "none",
                "balancer_name": "pick_first",
                "auth": {"authenticator": "googleclientauth"},
            }
        },
        "extensions": {"googleclientauth": {"project": project}},
        "service": {
            "extensions": ["googleclientauth"],
            "pipelines": {"traces": {"receivers": ["otlp"], "processors": stages, "exporters": ["otlp"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }


__all__ = ["APIS", "COLLECTOR", "SPANS_TO", "TRACES_ROLE", "collector"]
