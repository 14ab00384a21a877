"""
Requests go straight to the engine: throughput and time to first token through a homeport endpoint, against the
bare engine with the same settings and environment. Both run and are asked in turn, so that the machine's moods hit
both. A third, bare one with OpenMP's own default of spinning tells what homeport's choice costs on a quiet machine.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import time

import httpx2

from common import HOMEPORT, await_token, bare_engine, workspace
from reaped import reaped
from scoreboard import Scoreboard, board

ROUNDS, TOKENS, STREAMS = 16, 48, 4
SPIN = {"GOMP_SPINCOUNT": "1000"}
"""As homeport sets it: see engines/llamacpp.py."""
BARE_ENGINE = "the bare engine"
PROMPT = "Write down the names of the months, one after the other, and then those of the days of a week: "


async def first_token(client: httpx2.AsyncClient, url: str) -> float:
    """Seconds until the first piece of a streamed completion."""
    body = {
        "model": "any",
        "prompt": PROMPT,
        "max_tokens": 8,
        "stream": True,
        "temperature": 0,
        "cache_prompt": False,
    }
    begun = time.perf_counter()
    async with client.stream("POST", f"{url}/v1/completions", json=body) as response:
        response.raise_for_status()
        async for _ in response.aiter_lines():
            break
    return time.perf_counter() - begun


async def throughput(client: httpx2.AsyncClient, url: str) -> float:
    """Tokens a second of several streams at once."""
    body = {"model": "any", "prompt": PROMPT, "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}
    begun = time.perf_counter()
    answers = await asyncio.gather(*(client.post(f"{url}/v1/completions", json=body) for _ in range(STREAMS)))
    tokens = sum(answer.json()["usage"]["completion_tokens"] for answer in answers)
    return float(tokens / (time.perf_counter() - begun))


async def measure(told: Scoreboard, ours: str, key: str, others: dict[str, str]) -> None:
    """Tell the ratios of the medians, with the range of the middle half. All are sent the key that ours wants."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120, trust_env=False) as client:
        for id_, sample in (("first", first_token), ("throughput", throughput)):
            ratios: dict[str, list[float]] = {name: [] for name in others}
            for round_ in range(ROUNDS):
                urls = [ours, *others.values()]
                seen = {url: await sample(client, url) for url in (urls if round_ % 2 else reversed(urls))}
                for name, url in others.items():
                    ratios[name].append(seen[ours] / seen[url])
            for name, found in ratios.items():
                low, middle, high = statistics.quantiles(found, n=4)
                half = f"half of {ROUNDS} pairs between {low:.2f} and {high:.2f}"
                if name == BARE_ENGINE:
                    told.measured(id_, middle, note=half)
                else:
                    print(f"    {id_}: {middle:.2f} × {name} ({half})")


def main() -> None:
    """Start them, measure, end them."""
    with (
        board("direct") as told,
        workspace() as (folder, env, gguf),
        bare_engine(gguf, SPIN) as bare,
        bare_engine(gguf) as spinning,
    ):
        await_token(bare)
        await_token(spinning)
        subprocess.run(
            [*HOMEPORT, "up", "--yes", "--no-verify"], cwd=folder, env=env, check=True, capture_output=True
        )
        try:
            listing = subprocess.run(
                [*HOMEPORT, "env", "--json"], cwd=folder, env=env, check=True, capture_output=True, text=True
            )
            variables = json.loads(listing.stdout)
            url = variables["OPENAI_BASE_URL"].removesuffix("/v1")
            others = {BARE_ENGINE: bare, "the bare engine with OpenMP's default spinning": spinning}
            asyncio.run(measure(told, url, variables["OPENAI_API_KEY"], others))
        finally:
            subprocess.run([*HOMEPORT, "down", "--yes"], cwd=folder, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    reaped()
    main()
