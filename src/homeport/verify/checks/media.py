"""What is not text in a chat: does it arrive; and where the model takes none, is that the client's mistake?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from homeport.engines.conformance import Feature
from homeport.errors import EndpointError
from homeport.json_types import Json
from homeport.verify.checks.promised import NOT_ITS_OWN, finding
from homeport.verify.report import Finding, VerificationSubject, failed, noted, passed, skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """Pictures, or sounds: how one is sent, and in which words it is told of."""

    feature: Feature
    question: str
    part: Callable[[str], Json]
    """Makes of it a part of a message."""
    sample: Callable[[], str]
    broken: str
    """What is none, sent as one."""
    name: str
    """Such as `sound`."""
    one: str
    """Such as `a sound`, where that it takes none was said before."""
    measure: str
    """Of the sample, such as `1 s of sound`."""
    takes_none: str
    """Such as `it hears nothing`."""
    verb: str
    """Such as `hear`."""
    untried: str = ""
    """Why what is otherwise is only noted where it is not known whether the engine takes one."""


async def check_medium(subject: VerificationSubject, medium: Medium, promised: bool | None) -> Finding:
    """
    Check that one of `medium` adds tokens to its prompt, and that what is none gets 4xx.

    Where none is promised (False), that one is refused as a client's mistake, and not passed over. Where it is not known
    (None), what is otherwise is noted. Raises `EndpointError` for what says nothing of the medium, such as a refused key.
    """
    if not subject.model.instruct:
        return skipped("a pretrained model continues text; it has no chats")
    if promised is False:
        return await _check_refused(subject, medium)
    return await _check_taken(subject, medium, promised=promised is True)


async def _check_taken(subject: VerificationSubject, medium: Medium, *, promised: bool) -> Finding:
    bare = await _tokens(subject, medium)
    with_one = await _tokens_or_refusal(subject, medium, medium.sample())
    if isinstance(with_one, EndpointError):
        return _otherwise(medium, f"a {medium.name} is refused: {with_one}", promised=promised)
    if with_one <= bare:
        problem = f"a {medium.name} adds no token to its prompt: {bare} without, {with_one} with it"
        return _otherwise(medium, problem, promised=promised)
    refusal = await _tokens_or_refusal(subject, medium, medium.broken)
    if not isinstance(refusal, EndpointError):
        return finding(subject, {medium.feature: f"what is no {medium.name} is taken for one"}, "")
    if refusal.status >= 500:
        problem = f"what is no {medium.name} gets {refusal.status}, not 4xx"
        return finding(subject, {medium.feature: problem}, "")
    added = with_one - bare
    return passed(f"{medium.measure} is {added} tokens; what is none gets {refusal.status}", tokens=added)


def _otherwise(medium: Medium, problem: str, *, promised: bool) -> Finding:
    return failed(problem) if promised else noted(f"{problem} ({medium.untried})")


async def _check_refused(subject: VerificationSubject, medium: Medium) -> Finding:
    why = f"the gateway before it takes no {medium.name}" if subject.behind_gateway else medium.takes_none
    none = f"{why}, and {medium.one}"
    with_one = await _tokens_or_refusal(subject, medium, medium.sample())
    if isinstance(with_one, EndpointError):
        status = with_one.status
        if status >= 500:
            return finding(subject, {medium.feature: f"{none} gets {status}, not 4xx"}, "", status=status)
        return passed(f"{none} is refused with {status}", status=status)
    bare = await _tokens(subject, medium)
    if with_one > bare:
        problem = f"it was not said to {medium.verb}, and a {medium.name} adds {with_one - bare} tokens"
    else:
        problem = f"{none} is passed over in silence: {bare} tokens without, {with_one} with it"
    return finding(subject, {medium.feature: problem}, "")


async def _tokens_or_refusal(subject: VerificationSubject, medium: Medium, data: str) -> int | EndpointError:
    try:
        return await _tokens(subject, medium, data)
    except EndpointError as error:
        if error.status in NOT_ITS_OWN:
            raise
        return error


async def _tokens(subject: VerificationSubject, medium: Medium, data: str = "") -> int:
    parts = [medium.part(data)] if data else []
    content: list[Json] = [*parts, {"type": "text", "text": medium.question}]
    request: dict[str, Json] = {
        "model": subject.endpoint.model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": 4,
        "temperature": 0,
    }
    completion = await subject.endpoint.post("/v1/chat/completions", request)
    return int(completion["usage"]["prompt_tokens"])
