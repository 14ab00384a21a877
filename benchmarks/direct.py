"""
Requests go straight to the engine: throughput and time to first token through a homeport endpoint, against the
bare engine with the same settings. Both run at once and are asked in turn, so that the machine's moods hit both.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import time

import httpx2

from common import HOMEPORT, await_token, bare_engine, header, workspace

ROUNDS, TOKENS, STREAMS = 12, 48, 4
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


async def measure(ours: str, bare: str) -> None:
    """Print the ratios of the medians, with a range by halves of the rounds."""
    async with httpx2.AsyncClient(timeout=120, trust_env=False) as client:
        for label, sample in (("time to first token", first_token), ("throughput", throughput)):
            ratios = []
            for round_ in range(ROUNDS):
                pair = (ours, bare) if round_ % 2 else (bare, ours)
                seen = {url: await sample(client, url) for url in pair}
                ratios.append(seen[ours] / seen[bare])
            low, _, high = statistics.quantiles(ratios, n=4)
            middle = statistics.median(ratios)
            print(
                f"{label}: {middle:.2f} × the bare engine (half of {ROUNDS} pairs between {low:.2f} and {high:.2f})"
            )


def main() -> None:
    """Start both, measure, end both."""
    header()
    with workspace() as (folder, env, gguf), bare_engine(gguf) as bare:
        await_token(bare)
        subprocess.run(
            [*HOMEPORT, "up", "--yes", "--no-verify"], cwd=folder, env=env, check=True, capture_output=True
        )
        try:
            listing = subprocess.run(
                [*HOMEPORT, "env"], cwd=folder, env=env, check=True, capture_output=True, text=True
            )
            url = listing.stdout.split("OPENAI_BASE_URL=")[1].split()[0].removesuffix("/v1")
            asyncio.run(measure(url, bare))
        finally:
            subprocess.run([*HOMEPORT, "down"], cwd=folder, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    main()
