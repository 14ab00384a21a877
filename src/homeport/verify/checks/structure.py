"""Does structure come out where structure was asked for?"""

from __future__ import annotations

import json
import re

from homeport.engines.conformance import Feature
from homeport.errors import EndpointError
from homeport.json_types import JsonObject
from homeport.verify.checks import weather
from homeport.verify.checks.answers import user
from homeport.verify.checks.promised import NOT_ITS_OWN, finding
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}, "sure": {"type": "boolean"}},
    "required": ["answer", "sure"],
    "additionalProperties": False,
}
ENDLESS = "white space fills the JSON up to max_tokens"
_MUCH_SPACE = 20
ASKED = 'Is Paris in France? Answer with JSON such as {"answer": "yes", "sure": true}.'


async def json_schema(subject: VerificationSubject) -> Finding:
    """Check that an answer that was asked to follow a schema parses, and follows it."""
    response_format = {
        "type": "json_schema",
        "json_schema": {"name": "place", "schema": SCHEMA, "strict": True},
    }
    # The grammar allows white space, and a small model may take a good deal of it.
    completion = await subject.endpoint.answer(
        user(ASKED), response_format=response_format, max_tokens=256, temperature=0
    )
    choice = completion["choices"][0]
    text = choice["message"]["content"] or ""
    wrong = misfit(text)
    if wrong and choice["finish_reason"] == "length" and endless(text):
        wrong = (
            f"{ENDLESS}: let the engine's grammar allow none (docs/troubleshooting.md, JSON that never ends)"
        )
    if wrong:
        return failed(wrong, answer=text)
    return passed(json.dumps(json.loads(text)), answer=json.loads(text))


_OF_THREE_DIGITS = {
    "type": "object",
    "properties": {"code": {"type": "string", "pattern": r"^\d{3}$"}},
    "required": ["code"],
    "additionalProperties": False,
}
_CODE = re.compile(r'"code"\s*:\s*"([^"]*)("?)')


async def pattern(subject: VerificationSubject) -> Finding:
    r"""Check that a schema whose `pattern` has a class such as `\d` is obeyed, or refused, and not left out in silence."""
    response_format = {
        "type": "json_schema",
        "json_schema": {"name": "code", "schema": _OF_THREE_DIGITS, "strict": True},
    }
    asked = user('Name a code. Answer with JSON such as {"code": "red"}.')
    try:
        completion = await subject.endpoint.answer(
            asked, response_format=response_format, max_tokens=256, temperature=0
        )
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        trouble = {Feature.SCHEMA_PATTERN: f"it gets {error.status}, not 4xx"} if error.status >= 500 else {}
        return finding(subject, trouble, f"refused with {error.status}", status=error.status)
    text = completion["choices"][0]["message"]["content"] or ""
    found = _CODE.search(text)
    if found is None or not (found[2] or found[1]):
        return skipped(
            "no value came within 256 tokens, so nothing shows whether the pattern holds", answer=text
        )
    if not re.fullmatch(r"[0-9]{3}" if found[2] else r"[0-9]{0,3}", found[1]):
        trouble = {
            Feature.SCHEMA_PATTERN: f"the pattern is left out without a word: {found[1][:40]!r} comes for three digits"
        }
        return finding(subject, trouble, "", answer=text)
    return passed(f"{found[1]!r} comes for three digits", answer=text)


def endless(text: str) -> bool:
    """Return True if an answer that was cut ends in white space, as small models fill JSON with it."""
    return len(text) - len(text.rstrip()) > _MUCH_SPACE or "\n\n\n" in text


def misfit(text: str) -> str:
    """Return why an answer does not follow `SCHEMA`, or ''."""
    try:
        value = json.loads(text)
    except ValueError:
        return "the answer is not JSON"
    if not isinstance(value, dict) or set(value) != {"answer", "sure"}:
        return "the answer is JSON of another shape"
    if value["answer"] not in {"yes", "no"} or not isinstance(value["sure"], bool):
        return "the answer has values that the schema does not allow"
    return ""


async def tools(subject: VerificationSubject) -> Finding:
    """Check that a question that wants the tool gets a parsed call of it."""
    unable = weather.unable(subject)
    if unable is not None:
        return unable
    completion = await subject.endpoint.answer(
        user(weather.QUESTION), tools=[weather.tool()], max_tokens=256, temperature=0
    )
    choice = completion["choices"][0]
    calls = choice["message"].get("tool_calls") or []
    return _judged(calls, choice["finish_reason"], choice["message"].get("content") or "")


async def tools_streamed(subject: VerificationSubject) -> Finding:
    """Check that a parsed call comes of the deltas of a stream, too."""
    unable = weather.unable(subject)
    if unable is not None:
        return unable
    calls: dict[int, JsonObject] = {}
    reason, content = "", ""
    async for chunk in subject.endpoint.stream(
        user(weather.QUESTION), tools=[weather.tool()], max_tokens=256, temperature=0
    ):
        for choice in chunk["choices"]:
            reason = choice.get("finish_reason") or reason
            content += choice["delta"].get("content") or ""
            for delta in choice["delta"].get("tool_calls") or []:
                call = calls.setdefault(delta["index"], {"id": "", "function": {"name": "", "arguments": ""}})
                call["id"] = delta.get("id") or call["id"]
                for key in ("name", "arguments"):
                    call["function"][key] += delta.get("function", {}).get(key) or ""
    return _judged(list(calls.values()), reason, content)


def _judged(calls: list[JsonObject], reason: str, content: str) -> Finding:
    evidence = {"tool_calls": calls, "finish_reason": reason, "content": content[:300]}
    if not calls:
        leaked = weather.NAME in content
        return failed(f"no tool_calls{': the call is left in the content' if leaked else ''}", **evidence)
    function = calls[0]["function"]
    if function["name"] != weather.NAME:
        return failed(f"the call is to {function['name']!r}, which nobody offered", **evidence)
    try:
        arguments = json.loads(function["arguments"])
    except ValueError:
        return failed("the call's arguments are not JSON", **evidence)
    if not isinstance(arguments, dict) or not isinstance(arguments.get("city"), str):
        return failed("the call lacks its `city`", **evidence)
    if not calls[0].get("id"):
        return failed("the call has no id, so that its result could not be given back", **evidence)
    if reason != "tool_calls":
        return failed(f"finish_reason is {reason!r}, not 'tool_calls'", **evidence)
    return passed(f"get_weather({function['arguments'].strip()})", **evidence)
