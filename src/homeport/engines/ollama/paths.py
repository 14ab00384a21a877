"""The paths of Ollama: those of docs/api.md and docs/openai.md (2026-11-23)."""

from __future__ import annotations

from homeport.engines.served_paths import ServedPaths

PATHS = ServedPaths(
    asked=(
        *("/api/tags", "/api/show", "/api/ps", "/api/version", "/api/chat", "/api/generate", "/api/embed"),
        *("/api/embeddings", "/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/embeddings"),
        "/v1/images/generations",
    ),
    only_got=("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"),
)
