"""The file's `[observe]` on Cloud Run: metrics, spans, dashboards, alerts, and what asks from outside."""
