"""OpenTelemetry's own variables of a start's environment: they say where spans are sent."""

ADDRESS = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
"""The whole address."""
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
"""What the receiver wants to see."""
SERVICE = "OTEL_SERVICE_NAME"
"""Who we are."""
RESOURCE = "OTEL_RESOURCE_ATTRIBUTES"
