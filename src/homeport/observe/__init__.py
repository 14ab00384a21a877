"""What an endpoint does, in numbers: queries, panels and alerts, for Prometheus here and for Google's."""
