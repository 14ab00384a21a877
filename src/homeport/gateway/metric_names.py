"""Under which names the gateway tells what it counts, as an engine has its own: one dashboard serves both."""

from __future__ import annotations

from homeport.engines.metric_names import MetricNames
from homeport.gateway.metrics import FIRST_BOUNDS

_DURATION, _TOKENS = "gen_ai_server_request_duration_seconds", "gen_ai_client_token_usage"

NAMES = MetricNames(
    running=("homeport_gateway_active_requests",),
    requests=(f'{_DURATION}_count{{error_type=""}}',),
    prompt_tokens=(f'{_TOKENS}_sum{{gen_ai_token_type="input"}}',),
    output_tokens=(f'{_TOKENS}_sum{{gen_ai_token_type="output"}}',),
    progress=("homeport_gateway_answer_pieces_total",),
    ttft=("gen_ai_server_time_to_first_token_seconds",),
    ttft_bounds=FIRST_BOUNDS,
)
"""What waits within the engine, its cache and its work on a token it cannot see."""
