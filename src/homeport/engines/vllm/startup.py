"""What vLLM keeps of a start: compiled graphs, kernels, and what it measured. As version 0.32 has it."""

from __future__ import annotations

from homeport.engines.base import CacheableStart

STARTUP_CACHE = CacheableStart(
    # Inductor's folder lies outside of vLLM's own unless it is said, and so does Triton's.
    folders={"VLLM_CACHE_ROOT": "vllm", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"},
    # What profiling found is applied only where hardware and free memory match; vLLM looks at that itself.
    settings={"VLLM_ENABLE_STARTUP_PLAN": "1"},
    keys=("vllm/torch_compile_cache/*", "vllm/torch_compile_cache/torch_aot_compile/*"),
    indifferent_flags={
        "--host": 1,
        "--port": 1,
        "--served-model-name": 1,
        "--chat-template": 1,
        "--generation-config": 1,
        "--tool-call-parser": 1,
        "--reasoning-parser": 1,
        "--enable-auto-tool-choice": 0,
        "--structured-outputs-config": 1,
        "--uvicorn-log-level": 1,
        "--disable-uvicorn-access-log": 0,
    },
    indifferent_variables=frozenset(
        {
            "HF_HUB_OFFLINE",
            "VLLM_NO_USAGE_STATS",
            "DO_NOT_TRACK",
            "HOMEPORT_KEY_ON_STDIN",
            "RUNAI_STREAMER_MEMORY_LIMIT",
        }
    ),
)
"""vLLM's own hash leaves out the same and more; what is not known to make no difference makes one here."""
