"""Is everyone refused who does not hold the key?"""

from __future__ import annotations

from dataclasses import replace

from homeport.verify.report import Finding, Subject, failed, passed, skipped

OPEN = frozenset({"/health", "/v1/health", "/ping"})
"""Paths that may answer anybody: they say that the server lives, and nothing else."""
_REFUSED = frozenset({401, 403})
_ABSENT = frozenset({404, 405, 415})
"""Nothing is there for that method. (llama.cpp answers 415 at `/` to those who do not take gzip.)"""

PATHS = (
    *(
        "/",
        "/docs",
        "/openapi.json",
        "/redoc",
        "/version",
        "/load",
        "/metrics",
        "/server_info",
        "/ping",
        "/health",
    ),
    *("/v1/health", "/v1/models", "/models", "/props", "/slots", "/lora-adapters", "/tools", "/cors-proxy"),
    *(
        "/v1/completions",
        "/v1/chat/completions",
        "/v1/chat/completions/batch",
        "/v1/responses",
        "/v1/messages",
    ),
    *("/v1/messages/count_tokens", "/v1/embeddings", "/v1/rerank", "/v1/score", "/v1/audio/transcriptions"),
    *("/completion", "/completions", "/chat/completions", "/embedding", "/embeddings", "/infill", "/rerank"),
    *("/reranking", "/score", "/classify", "/pooling", "/tokenize", "/detokenize", "/apply-template"),
    *("/invocations", "/inference/v1/generate", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/sleep"),
    *(
        "/wake_up",
        "/is_sleeping",
        "/reset_prefix_cache",
        "/collective_rpc",
        "/start_profile",
        "/stop_profile",
    ),
    *(
        "/api/tags",
        "/api/show",
        "/api/chat",
        "/api/generate",
        "/api/ps",
        "/api/version",
        "/v2/rerank",
        "/pause",
    ),
)
"""Every path that one of the engines is known to answer, asked of each."""


async def keys(subject: Subject) -> Finding:
    """Without a key and with a wrong one, no path answers but those that only say that the server lives."""
    if subject.endpoint.api_key is None:
        return skipped("no key is set; the endpoint can be reached from this machine only")
    stranger = replace(subject.endpoint, api_key=None)
    asked = 0
    opened: list[str] = []
    odd: list[str] = []
    async with stranger.client(timeout_s=30) as client:
        for path in PATHS:
            for method in ("GET", "POST"):
                for headers in ({}, {"Authorization": "Bearer wrong"}):
                    body = {"model": subject.endpoint.model} if method == "POST" else None
                    answer = await client.request(method, path, json=body, headers=headers)
                    asked += 1
                    if answer.status_code in _REFUSED | _ABSENT or path in OPEN:
                        continue
                    kind = "a wrong key" if headers else "no key"
                    found = opened if answer.is_success else odd
                    found.append(f"{method} {path} with {kind}: {answer.status_code}")
    evidence = {
        "asked": asked,
        "answered": opened,
        "neither_answered_nor_refused": odd,
        "may_be_open": sorted(OPEN),
    }
    if opened or odd:
        return failed(f"not refused: {'; '.join((opened + odd)[:3])}", **evidence)
    return passed(
        f"{asked} requests to {len(PATHS)} paths, all refused but {', '.join(sorted(OPEN))}", **evidence
    )
