"""OpenTelemetry's own variables, by which whoever sends spans hears where to, of a start's environment."""

ADDRESS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
"""The whole address."""
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
"""What the receiver wants to see."""
SERVICE = "OTEL_SERVICE_NAME"
"""Who we are."""
RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
