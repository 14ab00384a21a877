"""
What passes one of Google's roads beside streams, other APIs and choices: texts that are nobody's message, pictures and sound, long texts,
a model's other names.

Each is sent to whatever the engine has, and printed where it comes through. Where the engine itself takes none of it, nothing passes
that way; whether the road would have stopped it is not known then, and is not said. Nor is it of a picture and a sound that come
through: there is nothing in them to stop, and they are `taken`. What stands beside a picture is a text as every other: a road that
reads a message of parts stops it, and one that passes over such a message does not.
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
_BESIDE = "text beside a picture"
_NOTHING_TO_STOP = "any"
"""In the place of a filter, where no filter has anything to find."""
_UNTOLD = ("401", "429", "no answer")
"""What says nothing of what was sent: of that it cannot be told whether the engine takes it."""
_NOT_TAKEN = ("400", "404", "405", "413", "415", "422", "500", "501")
"""What engines answer to a picture or a sound that they do not take, 500 among it: to the same without it they answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapProbe:
    """One way past a road."""

    passes: str
    """As `guard.unscreened` names it."""
    place: str
    filter: str
    sent: JsonObject
    control: JsonObject
    """The same without anything to stop, or without the picture or the sound, in which there is nothing to stop."""
    bare: JsonObject | None = None
    """The harmless text without the picture beside it: what the engine answers to the picture itself is told from that."""


async def probe_gaps(
    client: httpx2.AsyncClient, model: str, api: str, *, filters: Collection[str], passing: Collection[str]
) -> AsyncIterator[ProbeResult]:
    """Yield what became of each thing that a road lets pass by what `passing` names, over one API that the engine has."""
    for gap in _gaps(model, api, filters):
        if gap.passes in passing:
            yield await _tried(client, api, gap)


def _gaps(model: str, api: str, filters: Collection[str]) -> Iterator[GapProbe]:
    sought = [name for name in PROBES if name in filters]
    if api == _CHAT:
        yield from _media(model)
        for name in sought[:1]:
            yield _beside_a_picture(model, name)
            yield from _other_texts(model, name)
    for name in [name for name in sought if name in _OF_LONG][:1]:
        yield GapProbe(
            passes="long", place="long text", filter=name,
            sent=request_of(api, model, LONG + PROBES[name], streamed=False), control=request_of(api, model, LONG, streamed=False),
        )  # fmt: skip
    for name in sought[:1]:
        yield from _other_names(model, api, name)


def _beside_a_picture(model: str, name: str) -> GapProbe:
    picture: Json = {"type": "image_url", "image_url": {"url": png()}}
    sent, control = (
        {**request_of(_CHAT, model, text, streamed=False), "messages": [{"role": "user", "content": [picture, {"type": "text", "text": text}]}]}
        for text in (PROBES[name], HARMLESS)
    )  # fmt: skip
    bare = request_of(_CHAT, model, HARMLESS, streamed=False)
    return GapProbe(passes="media", place=_BESIDE, filter=name, sent=sent, control=control, bare=bare)


def _media(model: str) -> Iterator[GapProbe]:
    control = request_of(_CHAT, model, HARMLESS, streamed=False)
    for place, part in {
        "picture": {"type": "image_url", "image_url": {"url": png()}},
        "sound": {"type": "input_audio", "input_audio": {"data": wav(), "format": "wav"}},
    }.items():
        content: list[Json] = [part, {"type": "text", "text": HARMLESS}]
        messages: list[Json] = [{"role": "user", "content": content}]
        yield GapProbe(passes="media", place=place, filter=_NOTHING_TO_STOP, sent={**control, "messages": messages}, control=control)  # fmt: skip


def _other_texts(model: str, name: str) -> Iterator[GapProbe]:
    """Yield a question beside which a text stands that is nobody's message; `probe` has sent a tool's result already."""
    question = request_of(_CHAT, model, HARMLESS, streamed=False)
    for place, beside in {
        "definition of a tool": _with_tool,
        "response format": _with_format,
        "document": _with_document,
    }.items():
        sent, control = ({**question, **beside(text)} for text in (PROBES[name], HARMLESS))
        yield GapProbe(passes="texts", place=place, filter=name, sent=sent, control=control)


def _with_tool(text: str) -> JsonObject:
    function: JsonObject = {"name": "look_up", "description": text, "parameters": {"type": "object", "properties": {}}}  # fmt: skip
    return {"tools": [{"type": "function", "function": function}], "tool_choice": "none"}


def _with_format(text: str) -> JsonObject:
    schema: JsonObject = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": text}},
        "required": ["city"],
    }
    form: JsonObject = {"name": "city", "description": text, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _with_document(text: str) -> JsonObject:
    return {"documents": [{"title": "a page", "text": text}]}


def _other_names(model: str, api: str, name: str) -> Iterator[GapProbe]:
    for place, other in {
        "other letters of its name": {"model": model.swapcase()},
        "another name": {"model": "another-model"},
        "no name": {},
    }.items():
        attack, harmless = (request_of(api, model, text, streamed=False) for text in (PROBES[name], HARMLESS))
        for body in (attack, harmless):
            del body["model"]
        yield GapProbe(
            passes="names", place=place, filter=name, sent={**attack, **other}, control={**harmless, **other}
        )


async def _tried(client: httpx2.AsyncClient, api: str, gap: GapProbe) -> ProbeResult:
    begun = time.monotonic()
    outcome, reason = await _asked(client, api, gap.sent)
    media = gap.filter == _NOTHING_TO_STOP
    if outcome == "passed":
        outcome = "taken" if media else "passed"
    else:
        control = await _asked(client, api, gap.control)
        read = _of_a_medium if media else _of_a_text
        if gap.bare is not None and control[0] != "passed":
            outcome, reason = _of_a_medium(control, await _asked(client, api, gap.bare))
        else:
            outcome, reason = read((outcome, reason), control)
    return ProbeResult(
        api=api, streamed=False, place=gap.place, filter=gap.filter, outcome=outcome, reason=reason,
        seconds=round(time.monotonic() - begun, 3), passes=gap.passes,
    )  # fmt: skip


def _of_a_text(sent: tuple[Outcome, str], control: tuple[Outcome, str]) -> tuple[Outcome, str]:
    """Return what a text that did not pass shows: where the harmless one does not either, there is nothing to be stopped."""
    outcome, why = control
    if outcome == "passed":
        return sent
    return ("failed" if outcome == "failed" or why.startswith(_UNTOLD) else "not offered"), why


def _of_a_medium(sent: tuple[Outcome, str], control: tuple[Outcome, str]) -> tuple[Outcome, str]:
    """Return what a picture that did not pass shows: nothing, where the same request without it does not pass either."""
    outcome, why = control
    if outcome != "passed":
        return "failed", f"the same without it: {why}"
    return ("not offered", sent[1]) if sent[1].startswith(_NOT_TAKEN) else sent


async def _asked(client: httpx2.AsyncClient, api: str, body: JsonObject) -> tuple[Outcome, str]:
    import httpx2

    try:
        answer = await client.post(api, json=body)
    except httpx2.TransportError as error:
        return "failed", f"no answer: {type(error).__name__}: {error}"
    return outcome_at_balancer(answer)


__all__ = ["LONG", "PATIENCE_S", "GapProbe", "probe_gaps"]
