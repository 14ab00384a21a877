"""What an endpoint does, in numbers: queries, panels and alerts, for a Prometheus."""

from __future__ import annotations

KINDS = {
    "prometheus": "What Prometheus scrapes of the endpoint that runs here, with rules and alerts.",
    "grafana": "A dashboard of it for Grafana.",
}
"""What can be written, and what each is: as `homeport.export.KINDS`."""
