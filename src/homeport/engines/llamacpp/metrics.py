"""
The names of llama.cpp's metrics.

It counts neither requests nor the time to the first token, and of prompts only the tokens that it worked on: those that
its cache had are left out.
"""

from __future__ import annotations

from homeport.engines.metric_names import MetricNames

NAMES = MetricNames(
    running=("llamacpp:requests_processing",),
    waiting=("llamacpp:requests_deferred",),
    kv_cache=("llamacpp:kv_cache_usage_ratio",),  # Of old builds alone.
    prompt_tokens=("llamacpp:prompt_tokens_total",),
    output_tokens=("llamacpp:tokens_predicted_total",),
    prefill_seconds=("llamacpp:prompt_seconds_total",),
    decode_seconds=("llamacpp:tokens_predicted_seconds_total",),
    former=("llamacpp:kv_cache_usage_ratio",),
)

REQUEST_LINE = r"launch_slot_: id +\d+ \| task \d+ \| processing task, is_child = 0\s*$"
"""A request for several answers at once has tasks that are children of one."""
