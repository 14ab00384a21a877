"""Does it answer as OpenAI's chat completions do?"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from homeport.endpoint import Endpoint
from homeport.endpoint.refusals import refusal
from homeport.json_types import Json
from homeport.verify.checks.leaks import trouble
from homeport.verify.report import Finding, VerificationSubject, failed, passed, skipped

COUNT = "Count from one to twenty in words."
"""A request that any instruction-tuned model answers with more than a few tokens."""
ROW = "One, two, three, four, five,"
"""What any other model continues for more than a few tokens."""


def user(text: str) -> list[dict[str, str]]:
    """Return a conversation of one question."""
    return [{"role": "user", "content": text}]


async def chat(subject: VerificationSubject) -> Finding:
    """Check that one question gets a non-empty answer with its role, reason to finish, and usage."""
    completion = await subject.endpoint.answer(
        user("What is the capital of France?"), max_tokens=48, temperature=0
    )
    choice, usage = completion["choices"][0], completion["usage"]
    text = _text(choice["message"])
    wrong = _wrong([choice["message"]], choice["finish_reason"])
    if wrong:
        return failed(wrong, completion=completion)
    if choice["message"]["role"] != "assistant" or choice["finish_reason"] not in {"stop", "length"}:
        return failed("role or finish_reason is not what OpenAI's API describes", choice=choice)
    if not _adds_up(usage):
        return failed("the usage does not add up", usage=usage)
    one_line = " ".join(text.split())
    return passed(f'"{one_line[:60]}{"…" if len(one_line) > 60 else ""}"', answer=text, usage=usage)


async def stream(subject: VerificationSubject) -> Finding:
    """Check that every chunk parses, with one choice, one finish_reason, usage once and last, then [DONE] and
    nothing after it.
    """
    lines = await _lines(subject.endpoint)
    stray = [line for line in lines if line and not line.startswith(("data: ", ":"))]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    evidence = {"chunks": len(data), "last": data[-3:]}
    if stray:
        return failed(f"a line is not an event: {stray[0][:80]!r}", **evidence)
    if not data or data[-1] != "[DONE]":
        return failed("the stream does not end in [DONE]", **evidence)
    chunks = [json.loads(text) for text in data[:-1]]
    pieces = [choice for chunk in chunks for choice in chunk["choices"]]
    reasons = [choice["finish_reason"] for choice in pieces if choice.get("finish_reason")]
    if len(reasons) != 1 or reasons[0] not in {"stop", "length"}:
        return failed(f"the stream has these reasons to finish, not one: {reasons}", **evidence)
    usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    if len(usages) != 1 or not chunks[-1].get("usage"):
        return failed("usage was asked for, and is not in the last chunk alone", **evidence)
    text = "".join(_text(choice["delta"]) for choice in pieces)
    if not text.strip():
        return failed("the chunks carry no text", **evidence)
    wrong = _wrong([choice["delta"] for choice in pieces], reasons[0])
    if wrong:
        return failed(wrong, text=text, **evidence)
    if len({chunk["id"] for chunk in chunks}) != 1:
        return failed("the chunks of one stream have several ids", **evidence)
    if not _adds_up(usages[0]):
        return failed("the usage does not add up", **evidence)
    count = usages[0]["completion_tokens"]
    return passed(
        f"{len(chunks)} chunks, {count} tokens, ends in [DONE]", text=text, usage=usages[0], **evidence
    )


async def determinism(subject: VerificationSubject) -> Finding:
    """Check that two answers to one prompt at temperature 0 are the same."""
    first, second = [(await _counting(subject, max_tokens=24)).text for _ in range(2)]
    if not first.strip():
        return failed("the answer is empty", first=first, second=second)
    if first != second:
        return failed("two answers at temperature 0 differ", first=first, second=second)
    return passed("twice the same", answer=first)


async def stop(subject: VerificationSubject) -> Finding:
    """Check that a word from the middle of an answer, given as `stop`, ends the answer right before it."""
    text = (await _counting(subject, max_tokens=32)).text
    words = text[len(text) // 2 :].split()
    if not words:
        return failed("the answer is too short to stop in the middle of it", answer=text)
    if len(words) < 2:
        return skipped("not judged: the answer is too short to stop in the middle of it", answer=text)
    word = words[1]
    cut = await _counting(subject, max_tokens=32, stop=[*subject.endpoint.stop, word])
    evidence = {"stop": word, "without": text, "with": cut.text, "finish_reason": cut.reason}
    if word in cut.text:
        return failed(f"the answer goes on through the stop string {word!r}", **evidence)
    if cut.reason != "stop":
        return failed(f"finish_reason is {cut.reason!r}, not 'stop'", **evidence)
    if cut.text.rstrip() != text[: text.index(word)].rstrip():
        return failed("the answer before the stop string is another than without it", **evidence)
    return passed(f"ends before {word!r}", **evidence)


async def max_tokens(subject: VerificationSubject) -> Finding:
    """Check that an answer limited to three tokens has three, and `length` as its reason to finish."""
    limit = 3
    counted = await _counting(subject, max_tokens=limit)
    evidence = {"asked": limit, "completion_tokens": counted.tokens, "finish_reason": counted.reason}
    if counted.tokens != limit:
        return failed(f"{limit} tokens were asked for, {counted.tokens} came", **evidence)
    if counted.reason != "length":
        return failed(
            f"cut at {counted.tokens} tokens, and finish_reason is {counted.reason!r}, not 'length'",
            **evidence,
        )
    return passed(f"{counted.tokens} tokens, finish_reason length", **evidence)


@dataclass(frozen=True, slots=True)
class _Generated:
    text: str
    reason: str
    tokens: int


async def _counting(subject: VerificationSubject, **options: Json) -> _Generated:
    """Return a long answer at temperature 0: a chat where the model can chat, else the continuation of a row of numbers."""
    options = {"temperature": 0, "seed": 7, **options}
    if subject.model.instruct:
        completion = await subject.endpoint.answer(user(COUNT), **options)
        text = _text(completion["choices"][0]["message"])
    else:
        completion = await subject.endpoint.complete(ROW, **options)
        text = completion["choices"][0]["text"]
    return _Generated(
        text, completion["choices"][0]["finish_reason"], completion["usage"]["completion_tokens"]
    )


def _wrong(messages: list[Json], reason: str) -> str:
    """Return what is wrong with the text of a message, or of its deltas: none beside the reasoning, or control tokens."""
    content = "".join(message.get("content") or "" for message in messages)
    return trouble(
        content, "".join(_text({**message, "content": ""}) for message in messages), cut=reason == "length"
    )


def _text(message: Json) -> str:
    """Return the text of a message or delta; a thinking model's thoughts count as text, too."""
    return (message.get("content") or "") + (
        message.get("reasoning_content") or message.get("reasoning") or ""
    )


def _adds_up(usage: Json) -> bool:
    return bool(usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"])


async def _lines(endpoint: Endpoint) -> list[str]:
    """Yield a streamed completion, line by line as it came."""
    request = {
        "model": endpoint.model,
        "messages": user("What is the capital of Italy?"),
        "max_tokens": 24,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **({"stop": list(endpoint.stop)} if endpoint.stop else {}),
    }
    async with (
        endpoint.client() as client,
        client.stream("POST", "/v1/chat/completions", json=request) as response,
    ):
        if response.is_error:
            raise refusal(response.status_code, (await response.aread()).decode(errors="replace"))
        # Not `aiter_lines`: it also breaks at characters such as U+2028, which may stand in JSON as they are.
        return re.split(r"\r\n|\n|\r", "".join([piece async for piece in response.aiter_text()]))
