"""What the engine itself counted meanwhile: the counters of its Prometheus metrics, by how much they grew."""

from __future__ import annotations

import re
from collections.abc import Mapping

from homeport.endpoint import Endpoint
from homeport.errors import HomeportError

_LINE = re.compile(r"^(?P<name>[A-Za-z_:][\w:]*)(?:\{[^}]*\})? (?P<value>[-+0-9.eE]+)$", re.MULTILINE)
_KEPT = re.compile(
    r"(?:prompt_tokens|generation_tokens|tokens_predicted|num_preemptions|prefix_cache_(?:hits|queries))(?:_total)?$"
    r"|(?:request_queue_time|request_prefill_time|request_decode_time|time_to_first_token)_seconds_(?:sum|count)$"
    r"|(?:prompt|tokens_predicted)_seconds_total$|n_decode_total$"
)


async def read(endpoint: Endpoint) -> dict[str, float]:
    """Return the counters that tell of tokens, queues and caches; nothing where the engine has none to show."""
    import httpx2

    try:
        async with endpoint.client(timeout_s=5) as client:
            response = await client.get("/metrics")
    except (HomeportError, httpx2.HTTPError):
        return {}
    return parsed(response.text) if response.is_success else {}


def parsed(text: str) -> dict[str, float]:
    """Return the counters in a text of Prometheus', summed over their labels."""
    counters: dict[str, float] = {}
    for line in _LINE.finditer(text):
        if _KEPT.search(line["name"]):
            counters[line["name"]] = counters.get(line["name"], 0.0) + float(line["value"])
    return counters


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each counter grew; one that fell was reset, and is left out."""
    return {
        name: value - before.get(name, 0.0) for name, value in after.items() if value >= before.get(name, 0.0)
    }
