"""The paths of llama.cpp's server: its strings in xllamacpp 2026.10 (2026-11-23)."""

from __future__ import annotations

from homeport.engines.served_paths import ServedPaths

PATHS = ServedPaths(
    asked=(
        *("/health", "/v1/health", "/metrics", "/props", "/slots", "/slots/0", "/models", "/v1/models"),
        *("/lora-adapters", "/completion", "/completions", "/v1/completions"),
        *("/chat/completions", "/v1/chat/completions", "/v1/chat/completions/control"),
        *("/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"),
        *(
            "/v1/responses",
            "/responses",
            "/v1/responses/input_tokens",
            "/v1/messages",
            "/v1/messages/count_tokens",
        ),
        *("/infill", "/embedding", "/embeddings", "/v1/embeddings"),
        *(
            "/rerank",
            "/reranking",
            "/v1/rerank",
            "/v1/reranking",
            "/tokenize",
            "/detokenize",
            "/apply-template",
        ),
        *("/v1/audio/transcriptions", "/v1/stream", "/v1/streams/lookup", "/tools", "/cors-proxy", "/mcp"),
    ),
    only_got=("/models/load", "/models/unload"),
    open=("/health", "/v1/health"),
)
