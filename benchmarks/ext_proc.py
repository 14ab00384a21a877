"""
An Envoy that asks an external processor about each request, as Google's load balancers ask a service extension, which lets all pass.

The processor is a server of gRPC in Python, whose C core reads and writes HTTP/2; it looks at the number of the one field that a
message has and answers with an empty one of the number before, which means: go on. Prompts are held until they are whole, answers go
through it piece by piece: what a screen needs to see.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from proxy import MANAGER, envoy_config

METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
MODE = {
    "request_header_mode": "SEND",
    "response_header_mode": "SEND",
    "request_body_mode": "BUFFERED",
    "response_body_mode": "STREAMED",
}


def envoy_with_processor(port: int, to: int, processor: int) -> str:
    """Return the configuration of an Envoy on `port` before `to` that asks `processor`."""
    config = json.loads(envoy_config(port, to))["static_resources"]
    manager = config["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    manager["http_filters"].insert(0, {"name": "processor", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "processor"}, "timeout": "30s"},
        "message_timeout": "10s",
        "processing_mode": MODE,
    }})  # fmt: skip
    assert manager["@type"] == MANAGER
    address = {"socket_address": {"address": "127.0.0.1", "port_value": processor}}
    config["clusters"].append({
        "name": "processor", "type": "STATIC",
        "load_assignment": {
            "cluster_name": "processor", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
    })  # fmt: skip
    return json.dumps({"static_resources": config})


def go_on(request: bytes) -> bytes:
    """Return the message that lets pass what `request` shows: its field is one of 2 to 7, the answer's the one before."""
    field = request[0] >> 3
    if request[0] & 7 != 2 or not 2 <= field <= 7:
        raise ValueError(f"a message of Envoy's begins with {request[:8]!r}")
    return bytes([(field - 1) << 3 | 2, 0])


async def run(port: int) -> None:
    """Serve for ever."""
    import grpc.aio

    async def process(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
        async for one in requests:
            yield go_on(one)

    handler = grpc.stream_stream_rpc_method_handler(process)
    service, method = METHOD.strip("/").split("/")
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {method: handler})])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1])))
