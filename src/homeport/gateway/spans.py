"""
A span of each request that passes, sent on by OpenTelemetry's protocol: HTTP, in its JSON. None holds a text of anybody's.

Attributes are those of OpenTelemetry's semantic conventions for generative AI. A request that says where it comes from, by W3C's
`traceparent`, gets a span below that, and what is behind the gateway hears of ours.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import aiohttp

from homeport.addresses import is_loopback
from homeport.gateway.apis import TextApi
from homeport.gateway.trace_variables import ADDRESS, HEADERS, RESOURCE, SERVICE, TRACES_HEADERS
from homeport.gateway.usage import TokenUsage
from homeport.json_types import Json, JsonObject
from homeport.relay.headers import as_text
from homeport.relay.messages import Headers

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SERVER, _ERROR = 2, 2
"""As the protocol numbers them."""
_LARGEST = 2**63
_MOST_HELD, _TOGETHER = 2048, 256
_EVERY_S, _PATIENCE_S, _LAST_S = 1.0, 10.0, 3.0
_MOST_TOLD = 2048
"""Bytes of a refusal that are read."""


@dataclass(slots=True, kw_only=True)
class RequestSpan:
    """One request, from its arrival to the end of its answer."""

    trace: str
    parent: str
    sampled: bool
    """Whether the client wants it kept; one that says nothing does."""
    state: str = ""
    """The client's `tracestate`, as it came."""
    name: str
    own: str = field(default_factory=lambda: secrets.token_hex(8))
    begun: int = field(default_factory=time.time_ns)
    attributes: dict[str, Json] = field(default_factory=dict)

    @property
    def onward(self) -> list[tuple[str, str]]:
        """Return the headers by which what is behind knows its parent."""
        headers = [("traceparent", f"00-{self.trace}-{self.own}-{'01' if self.sampled else '00'}")]
        return [*headers, ("tracestate", self.state)] if self.state else headers

    def request(self, body: Mapping[str, Json]) -> None:
        """Take what is asked for, as far as it is no text."""
        for key, attribute in (("max_tokens", "max_tokens"), ("max_completion_tokens", "max_tokens"), ("temperature", "temperature"),
                               ("top_p", "top_p"), ("stream", "stream")):  # fmt: skip
            value = body.get(key)
            # A receiver takes numbers of 64 bits, and refuses all that came with another.
            if isinstance(value, bool | int | float) and abs(value) < _LARGEST:
                self.attributes[f"gen_ai.request.{attribute}"] = value


class Spans:
    """Sends spans on, some at once; what cannot be sent is let go, and that is told once."""

    def __init__(self, env: Mapping[str, str], *, model: str, engine: str = "") -> None:
        """Open no connection yet; needs a running event loop."""
        self._address, self._model, self._engine = env[ADDRESS], model, engine
        self._headers = _pairs(env.get(TRACES_HEADERS) or env.get(HEADERS, ""))
        service = {"service.name": env.get(SERVICE, "homeport-gateway")}
        self._resource = _attributes({**_pairs(env.get(RESOURCE, "")), **service})
        self._held: deque[JsonObject] = deque()
        self._more, self._over, self._told = asyncio.Event(), asyncio.Event(), False
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
            trust_env=not is_loopback(urlsplit(self._address).hostname or ""),
        )
        self._sending = asyncio.create_task(self._send_on())

    async def aclose(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._over.set()
        self._more.set()
        await asyncio.wait({self._sending}, timeout=_LAST_S)
        self._sending.cancel()
        await asyncio.gather(self._sending, return_exceptions=True)
        await self._session.close()

    def begin(self, headers: Headers, api: TextApi) -> RequestSpan:
        """Return the span of a request that has come."""
        parents = [value.decode("latin-1").strip() for name, value in headers if name == b"traceparent"]
        parent = _parent(parents[0]) if len(parents) == 1 else None
        trace, above, sampled = parent or (secrets.token_hex(16), "", True)
        span = RequestSpan(
            trace=trace, parent=above, sampled=sampled, state=_state(headers) if parent else "",
            name=f"{api.operation} {self._model}",
        )  # fmt: skip
        span.attributes = {"gen_ai.operation.name": api.operation, "gen_ai.request.model": self._model}
        if self._engine:
            span.attributes["gen_ai.provider.name"] = self._engine
        return span

    def end(self, span: RequestSpan, *, error: str, usage: TokenUsage, first_s: float | None) -> None:
        """Take the end of a request; `error` is '' for one that was answered, `first_s` the time to its first text."""
        if not span.sampled:
            return
        attributes = {
            "gen_ai.usage.input_tokens": usage.prompt,
            "gen_ai.usage.output_tokens": usage.answer,
            "gen_ai.response.time_to_first_chunk": first_s,
            "error.type": error or None,
        }
        span.attributes |= {key: value for key, value in attributes.items() if value is not None}
        record: JsonObject = {
            "traceId": span.trace, "spanId": span.own, "name": span.name, "kind": _SERVER,
            "startTimeUnixNano": str(span.begun), "endTimeUnixNano": str(time.time_ns()),
            "attributes": _attributes(span.attributes), "status": {"code": _ERROR} if error else {},
        }  # fmt: skip
        if span.parent:
            record["parentSpanId"] = span.parent
        if len(self._held) >= _MOST_HELD:
            self._held.popleft()
            self._lose("more come than can be sent")
        self._held.append(record)
        self._more.set()

    async def _send_on(self) -> None:
        while not self._over.is_set():
            await self._more.wait()
            # What comes within a second goes together.
            with suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S):
                    await self._over.wait()
            self._more.clear()
            while self._held:
                await self._send()

    async def _send(self) -> None:
        some = [self._held.popleft() for _ in range(min(len(self._held), _TOGETHER))]
        scope: JsonObject = {"scope": {"name": "homeport.gateway"}, "spans": some}
        body: JsonObject = {
            "resourceSpans": [{"resource": {"attributes": self._resource}, "scopeSpans": [scope]}]
        }
        try:
            # What the receiver wants to see may be secret, and goes to no other address than the one that was named.
            async with self._session.post(
                self._address, json=body, headers=self._headers, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    said = (await answer.content.read(_MOST_TOLD)).decode("utf-8", errors="replace")
                    self._lose(f"{answer.status} {said[:200]!r}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:  # ValueError: headers that are none
            self._lose(str(error) or type(error).__name__)

    def _lose(self, why: str) -> None:
        if not self._told:
            sys.stderr.write(f"spans are lost: {self._address}: {why}\n")
        self._told = True


def _state(headers: Headers) -> str:
    """Return the client's `tracestate`; '' for one with bytes that no such list has, which the standard tells to drop, and not the request."""
    values = [value for name, value in headers if name == b"tracestate"]
    return ",".join(map(as_text, values)) if all(value.isascii() for value in values) else ""


def _parent(text: str) -> tuple[str, str, bool] | None:
    """Return trace, span and whether it is kept, of a `traceparent` as W3C has it; None for what is none."""
    match = _PARENT.fullmatch(text)
    if match is None:
        return None
    version, trace, above, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace, 16) or not int(above, 16):
        return None
    return trace, above, bool(int(flags, 16) & 1)


def _pairs(text: str) -> dict[str, str]:
    """Return what a variable of OpenTelemetry's lists: `key=value`, commas between, percent signs as in addresses."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs if key.strip()}


def _attributes(attributes: Mapping[str, Json]) -> list[JsonObject]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Json) -> JsonObject:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
