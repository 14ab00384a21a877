"""
What passes one of Google's roads beside streams, other APIs, choices and texts: pictures and sound, long texts, a model's other names.

Each is sent to whatever the engine has, and printed where it comes through. Where the engine itself takes none of it, nothing passes
that way; whether the road would have stopped it is not known then, and is not said.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeport.gateway.probes import HARMLESS, PROBES, Outcome, ProbeResult, outcome_at_balancer, request_of
from homeport.json_types import Json, JsonObject
from homeport.media_samples import png, wav

if TYPE_CHECKING:
    import httpx2

_WORDS = "one two six ten "
LONG = _WORDS * 17_500
"""70,000 words, and as many tokens: filters for attacks and harm look at 65,536 (Google's page on quotas of Model Armor, October 2026)."""
_OF_LONG = ("injection", "harm")
"""Filters with that limit. That of secrets is 130,000, and of addresses the first 256 are looked at."""
PATIENCE_S = 300.0
"""For one answer: a long text takes a GPU a while."""
_CHAT = "/v1/chat/completions"
_UNTOLD = ("401", "429", "no answer")
"""What says nothing of what was sent: of that it cannot be told whether the engine takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapProbe:
    """One way past a road."""

    passes: str
    """As `guard.unscreened` names it."""
    place: str
    filter: str
    sent: JsonObject
    harmless: JsonObject | None
    """The same without anything to stop; None where there is nothing to stop in it."""


async def probe_gaps(
    client: httpx2.AsyncClient, model: str, api: str, *, filters: Collection[str], passing: Collection[str]
) -> AsyncIterator[ProbeResult]:
    """Yield what became of each thing that a road lets pass by what `passing` names, over one API that the engine has."""
    for gap in _gaps(model, api, filters):
        if gap.passes in passing:
            yield await _tried(client, api, gap)


def _gaps(model: str, api: str, filters: Collection[str]) -> Iterator[GapProbe]:
    if api == _CHAT:
        for place, part in {
            "picture": {"type": "image_url", "image_url": {"url": png()}},
            "sound": {"type": "input_audio", "input_audio": {"data": wav(), "format": "wav"}},
        }.items():
            content: list[Json] = [part, {"type": "text", "text": HARMLESS}]
            messages: list[Json] = [{"role": "user", "content": content}]
            sent = {**request_of(api, model, "", streamed=False), "messages": messages}
            yield GapProbe(passes="media", place=place, filter="any", sent=sent, harmless=None)
    sought = [name for name in PROBES if name in filters]
    for name in [name for name in sought if name in _OF_LONG][:1]:
        yield GapProbe(
            passes="long", place="long text", filter=name,
            sent=request_of(api, model, LONG + PROBES[name], streamed=False), harmless=request_of(api, model, LONG, streamed=False),
        )  # fmt: skip
    for name in sought[:1]:
        for place, other in {
            "other letters of its name": {"model": model.swapcase()},
            "another name": {"model": "another-model"},
            "no name": {},
        }.items():
            attack, harmless = (
                request_of(api, model, text, streamed=False) for text in (PROBES[name], HARMLESS)
            )
            for body in (attack, harmless):
                del body["model"]
            yield GapProbe(
                passes="names",
                place=place,
                filter=name,
                sent={**attack, **other},
                harmless={**harmless, **other},
            )


async def _tried(client: httpx2.AsyncClient, api: str, gap: GapProbe) -> ProbeResult:
    begun = time.monotonic()
    outcome, reason = await _asked(client, api, gap.sent)
    if outcome != "passed":
        # Refused by the road, or by an engine that takes no such thing? That shows where nothing is to be stopped. To a picture some
        # engines answer 500; to any other text that is no answer of theirs.
        control, why = (outcome, reason) if gap.harmless is None else await _asked(client, api, gap.harmless)
        if control != "passed":
            untold = why.startswith(_UNTOLD) or (control == "failed" and gap.harmless is not None)
            outcome, reason = ("failed" if untold else "not offered"), why
    return ProbeResult(
        api=api, streamed=False, place=gap.place, filter=gap.filter, outcome=outcome, reason=reason,
        seconds=round(time.monotonic() - begun, 3), passes=gap.passes,
    )  # fmt: skip


async def _asked(client: httpx2.AsyncClient, api: str, body: JsonObject) -> tuple[Outcome, str]:
    import httpx2

    try:
        answer = await client.post(api, json=body)
    except httpx2.TransportError as error:
        return "failed", f"no answer: {type(error).__name__}: {error}"
    return outcome_at_balancer(answer)


__all__ = ["LONG", "PATIENCE_S", "GapProbe", "probe_gaps"]
