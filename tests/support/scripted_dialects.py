"""How a scripted engine speaks in APIs other than chat completions: the same request, and the same answer, otherwise put."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any


def asked_in_responses(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `/v1/responses` asks for as a request to chat completions."""
    messages = []
    for item in request["input"]:
        if item.get("type") == "function_call":
            messages.append({"role": "assistant", "content": None, "tool_calls": [{"id": item["call_id"]}]})
        elif item.get("type") == "function_call_output":
            messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
        else:
            messages.append(item)
    asked = {"model": request["model"], "messages": messages, "max_tokens": request["max_output_tokens"]}
    if "tools" in request:
        asked["tools"] = [{"type": "function", "function": tool} for tool in request["tools"]]
    if "text" in request:
        asked["response_format"] = {"type": "json_schema"}
    return {**asked, **({"stream": True} if request.get("stream") else {})}


def as_response(message: Mapping[str, Any], *, cut: bool) -> dict[str, Any]:
    """Return an answer as `/v1/responses` gives it."""
    output: list[dict[str, Any]] = []
    if message.get("reasoning_content"):
        thought = {"type": "reasoning_text", "text": message["reasoning_content"]}
        output.append({"type": "reasoning", "id": "rs_1", "summary": [], "content": [thought]})
    output += [
        {"type": "function_call", "id": "fc_1", "call_id": call["id"], **call["function"]}
        for call in message.get("tool_calls", ())
    ]
    if message.get("content"):
        part = {"type": "output_text", "text": message["content"], "annotations": []}
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "content": [part]})
    status = "incomplete" if cut else "completed"
    return {"id": "resp_1", "object": "response", "status": status, "output": output}


def response_events(response: Mapping[str, Any]) -> Iterator[str]:
    """Return the events of a streamed answer, one event's lines each."""
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "status": "in_progress"}}
    ]
    for item in response["output"]:
        for part in item.get("content", ()):
            kind = "reasoning_text" if item["type"] == "reasoning" else "output_text"
            events += [{"type": f"response.{kind}.delta", "delta": piece} for piece in pieces(part["text"])]
        events.append({"type": "response.output_item.done", "item": item})
    events.append({"type": f"response.{response['status']}", "response": response})
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}"


def asked_natively(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Ollama's `/api/chat` asks for as a request to chat completions."""
    asked = {key: request[key] for key in ("model", "messages", "tools") if key in request}
    most = request.get("options", {}).get("num_predict")
    return asked if most is None else {**asked, "max_tokens": most}


def natively(message: Mapping[str, Any], *, cut: bool) -> dict[str, Any]:
    """Return an answer as Ollama's `/api/chat` gives it: arguments are JSON, and calls have no id."""
    said: dict[str, Any] = {"role": "assistant", "content": message.get("content") or ""}
    if message.get("reasoning_content"):
        said["thinking"] = message["reasoning_content"]
    if message.get("tool_calls"):
        said["tool_calls"] = [
            {
                "function": {
                    "name": call["function"]["name"],
                    "arguments": json.loads(call["function"]["arguments"]),
                }
            }
            for call in message["tool_calls"]
        ]
    return {"message": said, "done": True, "done_reason": "length" if cut else "stop"}


def native_lines(answer: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of a streamed answer of Ollama's."""
    for piece in pieces(answer["message"]["content"]):
        yield json.dumps({"message": {"role": "assistant", "content": piece}, "done": False})
    yield json.dumps({**answer, "message": {**answer["message"], "content": ""}})


def pieces(text: str) -> list[str]:
    """Return a text word by word, each with the space before it."""
    return re.findall(r"\s*\S+", text)
