"""
Callouts as Envoy makes them: a filter for each extension of a load balancer, and the processor that it asks by gRPC.

`failOpen`, `timeout` and the events are Envoy's own to keep; what the processor says of a text is Model Armor's. It needs grpcio, which
the rehearsal does not bring: without it Envoy answers 501 in words where there is such an extension, and everything else as ever.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.runtime import ext_proc_wire as wire
from gcp_rehearsal.runtime.balancing import Listener
from gcp_rehearsal.runtime.content_callouts import BlockedText, CalloutFailed, ContentCallout, ContentCallouts
from gcp_rehearsal.runtime.screened_texts import is_read, prompt_of

SOCKET = "callouts.sock"
HEADER = "x-rehearsal-callout"
"""Says which extension a stream of gRPC is about, and that Envoy sends it."""
_CLUSTER = "callouts"
_TYPES = "type.googleapis.com/envoy"
_AT_ONCE = 64
LARGEST = 32 * 2**20
"""Bytes of a body that is held, as many as Cloud Run takes."""


def filters_of(callouts: Iterable[ContentCallout], secret: str) -> Iterator[JsonObject]:
    """Yield the filters by which Envoy asks them, in their order."""
    for number, callout in enumerate(callouts):
        yield {
            "name": f"callout-{number}",
            "typed_config": {
                "@type": f"{_TYPES}.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {
                    "envoy_grpc": {"cluster_name": _CLUSTER},
                    "timeout": "0s",
                    "initial_metadata": [{"key": HEADER, "value": f"{secret} {callout.name}"}],
                },
                "failure_mode_allow": callout.fail_open,
                "message_timeout": f"{callout.timeout:.3f}s",
                "allow_mode_override": True,
                "processing_mode": {
                    "request_header_mode": "SEND",
                    "request_body_mode": "BUFFERED" if callout.prompts else "NONE",
                    "response_header_mode": "SEND" if callout.answers else "SKIP",
                    "response_body_mode": "NONE",
                    "request_trailer_mode": "SKIP",
                    "response_trailer_mode": "SKIP",
                },
            },
        }


def unacted_of(callouts: Iterable[ContentCallout]) -> str:
    """Return what Envoy cannot act out of them here, in words; '' where it can."""
    every = list(callouts)
    if every and find_spec("grpc") is None:
        return "the rehearsal's Envoy asks callouts by gRPC: pip install grpcio, or take envoy off the PATH"
    return next((callout.unacted for callout in every if callout.unacted), "")


def cluster(folder: Path) -> JsonObject:
    """Return where Envoy finds the processor."""
    options = f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": _CLUSTER,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options, "explicit_http_config": {"http2_protocol_options": {}},
            }
        },
        "load_assignment": {
            "cluster_name": _CLUSTER,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(folder / SOCKET)}}}}]}],
        },
    }  # fmt: skip


class EnvoyProcessor:
    """Answers what Envoy asks about requests and their answers, on a socket in a folder."""

    def __init__(self, callouts: ContentCallouts, folder: Path, secret: str) -> None:
        self._callouts, self._folder, self._secret = callouts, folder, secret
        self._known: dict[str, ContentCallout] = {}
        self._server: Any = None  # Any: grpc.Server, of a package without types
        self._loop: asyncio.AbstractEventLoop | None = None

    def learn(self, listeners: Iterable[Listener]) -> None:
        """Take in the callouts of all load balancers as they are now, and listen once there is one. Called in the rehearsal's own loop."""
        self._known = {
            callout.name: callout for listener in listeners for callout in self._callouts.of(listener.rule)
        }
        if not self._known or self._server is not None or find_spec("grpc") is None:
            return
        from grpc import method_handlers_generic_handler, server, stream_stream_rpc_method_handler

        self._loop = asyncio.get_running_loop()
        # Each stream takes one of the threads while its request is on its way.
        self._server = server(ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="callouts"))
        handler = stream_stream_rpc_method_handler(self._process)
        self._server.add_generic_rpc_handlers(
            (method_handlers_generic_handler(wire.SERVICE, {wire.METHOD: handler}),)
        )
        self._server.add_insecure_port(f"unix:{self._folder / SOCKET}")
        self._server.start()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop(None)

    def _process(self, events: Iterator[bytes], context: Any) -> Iterator[bytes]:  # Any: grpc's
        from grpc import StatusCode

        told: Mapping[str, str] = dict(context.invocation_metadata() or ())
        secret, _, name = told.get(HEADER, "").partition(" ")
        callout, loop = self._known.get(name), self._loop
        if (
            callout is None
            or loop is None
            or not secrets.compare_digest(secret.encode(), self._secret.encode())
        ):
            context.abort(StatusCode.PERMISSION_DENIED, "no extension of this rehearsal's")
            return
        stream = _ProcessedRequest(self._callouts, callout)
        for message in events:
            try:
                answer = asyncio.run_coroutine_threadsafe(stream.answer(wire.read(message)), loop)
                yield answer.result()
            except CalloutFailed as why:
                context.abort(StatusCode.UNAVAILABLE, str(why))


class _ProcessedRequest:
    """One request on its way through one callout."""

    def __init__(self, callouts: ContentCallouts, callout: ContentCallout) -> None:
        self._callouts, self._callout = callouts, callout
        self._path = self._model = self._type = ""
        self._called = False

    async def answer(self, event: wire.ProcessingEvent) -> bytes:
        """Return what Envoy is told at one turn. Raises `CalloutFailed`."""
        if event.turn == wire.REQUEST_HEADERS:
            self._path = event.header(":path").partition("?")[0]
            self._called = self._callout.matches(self._path)
        elif event.turn == wire.REQUEST_BODY and self._called:
            self._model = prompt_of(self._path, event.body)[1]
            return _verdict(
                event.turn, await self._callouts.judged_prompt(self._callout, self._path, event.body)
            )
        elif event.turn == wire.RESPONSE_HEADERS:
            self._type = event.header("content-type")
            read = self._called and event.header(":status") == "200" and is_read(self._path, self._type)
            return wire.go_on(event.turn, with_body=read)
        elif event.turn == wire.RESPONSE_BODY:
            answer = (self._type, event.body)
            return _verdict(
                event.turn, await self._callouts.judged_answer(self._callout, self._path, self._model, answer)
            )
        return wire.go_on(event.turn)


def _verdict(turn: int, blocked: BlockedText | None) -> bytes:
    return (
        wire.go_on(turn)
        if blocked is None
        else wire.instead(blocked.status, "application/json", blocked.body)
    )


__all__ = ["LARGEST", "EnvoyProcessor", "cluster", "filters_of", "unacted_of"]
