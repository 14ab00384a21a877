"""What is asked of MCP servers over HTTP, and for how long."""

from __future__ import annotations

import asyncio

import httpx2

from homeport.agents.bounded_answers import AnswerBound, BoundedClient


def test_an_answer_is_waited_for_as_long_as_its_call_may_take_and_a_connection_is_not() -> None:
    """Its caller bounds the call: a bound beside that would end a run in which a tool may take an hour."""
    asked: list[dict[str, float | None]] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.extensions["timeout"])
        return httpx2.Response(202)

    async def work() -> None:
        async with BoundedClient(AnswerBound(), transport=httpx2.MockTransport(answered)) as client:
            await client.post("http://127.0.0.1:9/mcp", json={"method": "notifications/x"})

    asyncio.run(work())
    (timeout,) = asked
    assert timeout["read"] is None
    assert timeout["connect"] is not None
