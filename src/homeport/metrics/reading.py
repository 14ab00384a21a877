"""Asks an engine for its figures: bounded in time and in size, and never an error for one who only looks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from homeport.engines.registry import module
from homeport.metrics.snapshot import Snapshot, parsed
from homeport.secret import Secret

PATIENCE_S = 3.0
LARGEST = 8 * 2**20
"""Bytes. vLLM's are some 100 thousand."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an engine told, or why it is not known."""

    snapshot: Snapshot | None
    why: str = ""
    """In words, where there is no snapshot."""


async def read(url: str, engine: str, key: Secret | None, *, patience_s: float = PATIENCE_S) -> Reading:
    """Return the figures of the engine at `url`, which is its address without `/v1`."""
    import httpx2

    engine_module = module(engine)
    if engine_module.METRICS_PATH is None or engine_module.METRICS is None:
        return Reading(None, f"{engine_module.TITLE} tells no figures")
    headers = {"Authorization": f"Bearer {key.reveal()}"} if key else {}
    try:
        async with (
            asyncio.timeout(patience_s),
            httpx2.AsyncClient(
                base_url=url, headers=headers, timeout=patience_s, trust_env=False, verify=False
            ) as client,
            client.stream("GET", engine_module.METRICS_PATH) as response,
        ):
            if not response.is_success:
                return Reading(None, f"it answers {response.status_code} when it is asked for its figures")
            text = await _bounded(response)
    except (TimeoutError, httpx2.TimeoutException):
        return Reading(None, f"its figures did not come within {patience_s:g} s")
    except (httpx2.HTTPError, OSError):
        return Reading(None, "it does not answer when it is asked for its figures")
    if text is None:
        return Reading(None, f"its figures have more than {LARGEST // 2**20} MiB")
    return Reading(parsed(text, engine_module.METRICS, time.time()))


async def _bounded(response: object) -> str | None:
    """Return the text of an answer; None where it is larger than anything that an engine has to say."""
    import httpx2

    assert isinstance(response, httpx2.Response)
    pieces, length = [], 0
    async for piece in response.aiter_bytes():
        pieces.append(piece)
        length += len(piece)
        if length > LARGEST:
            return None
    return b"".join(pieces).decode(errors="replace")
