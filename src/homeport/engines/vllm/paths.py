"""The paths of vLLM: the routes in the source of 0.32, and those of its /openapi.json (2026-11-23)."""

from __future__ import annotations

from homeport.engines.served_paths import ServedPaths

PATHS = ServedPaths(
    asked=(
        *("/health", "/ping", "/metrics", "/version", "/load", "/server_info", "/tokenizer_info"),
        *("/kv_event_sources", "/weight_info", "/is_paused", "/is_sleeping", "/is_scaling_elastic_ep"),
        *("/get_world_size", "/fault_tolerance/status", "/readyz", "/ready", "/invocations"),
        *("/v1/models", "/inference/v1/generate", "/v1/chat/completions", "/v1/chat/completions/batch"),
        *("/v1/chat/completions/render", "/v1/chat/completions/derender"),
        *("/v1/completions", "/v1/completions/render", "/v1/completions/derender"),
        *("/v1/messages", "/v1/messages/count_tokens", "/v1/messages/render"),
        *("/v1/responses", "/v1/responses/render", "/v1/responses/none"),
        *("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/realtime", "/tokenize", "/detokenize"),
        *(
            "/v1/embeddings",
            "/v1/score",
            "/score",
            "/generative_scoring",
            "/classify",
            "/pooling",
            "/v1/systemone",
        ),
        *("/rerank", "/v1/rerank", "/v2/rerank", "/v2/embed", "/cohere/v2/chat", "/cohere/v2/chat/render"),
    ),
    only_got=(
        *("/sleep", "/wake_up", "/pause", "/resume", "/collective_rpc"),
        *("/reset_prefix_cache", "/reset_mm_cache", "/reset_encoder_cache", "/release_kv_cache_memory"),
        *("/start_profile", "/stop_profile", "/scale_elastic_ep", "/fault_tolerance/apply"),
        *(
            "/abort_requests",
            "/inference/v1/abort_requests",
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
        ),
        *("/update_weights", "/update_weight_version", "/start_weight_update", "/start_draft_weight_update"),
        *("/finish_weight_update", "/init_weight_transfer_engine", "/shutdown_weight_transfer_engine"),
        "/weight_checker",
    ),
    open=("/health", "/ping"),
)
