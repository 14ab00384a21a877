"""Whether a gateway stands before the engine, where each of them listens, and under which names its counts are known."""

from __future__ import annotations

from homeport.engines.metric_names import MetricNames
from homeport.engines.registry import module
from homeport.gateway.metric_names import NAMES
from homeport.resources.google.traffic import Body
from homeport.spec import Observe, Spec
from homeport.targets.cloudrun.observe.collector import SPANS_TO
from homeport.targets.cloudrun.observe.sidecar import GATEWAY

PORT = 8080
"""Where requests come to."""
BEHIND = 8081
"""Where an engine behind a gateway listens: Cloud Run sends no request there."""

UNSCREENED = "--unscreened"
"""What the gateway's process is told where it only counts."""


def counts_in_front(spec: Spec, engine: str) -> bool:
    """Tell whether the gateway has to count what the engine does not tell."""
    return (spec.observe or Observe(metrics=False)).metrics and module(engine).METRICS is None


def names_callers(spec: Spec) -> bool:
    """Tell whether the gateway has to count by caller, whom no engine knows."""
    return spec.observe is not None and spec.observe.metrics and spec.observe.callers


def has_front(spec: Spec, engine: str) -> bool:
    """Tell whether requests come to a gateway, and the engine is behind it."""
    return spec.gateway_guard is not None or counts_in_front(spec, engine) or names_callers(spec)


def screening_gateway(revision: Body) -> Body | None:
    """Return the gateway of a revision that takes its requests and screens them; None where none does, or one that only counts."""
    for container in revision.get("containers", ()):
        takes_requests = container.get("name") == GATEWAY and container.get("ports")
        if takes_requests and UNSCREENED not in container.get("args", ()):
            return dict(container)
    return None


def spans_of(spec: Spec) -> str:
    """Return where spans are sent within an instance; '' where the file wants none, or no metrics, beside which they are taken."""
    observe = spec.observe
    return SPANS_TO if observe is not None and observe.traces and observe.metrics else ""


def names_on_cloud_run(engine: str) -> MetricNames:
    """Return the names under which an engine is observed on Cloud Run: its own, or those of the gateway before it."""
    return module(engine).METRICS or NAMES


def title_of_counter(engine: str) -> str:
    """Return who counts, as an error calls it."""
    return (
        str(module(engine).TITLE) if module(engine).METRICS else f"the gateway before {module(engine).TITLE}"
    )
