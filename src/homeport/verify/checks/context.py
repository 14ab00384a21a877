"""Is the promised context there, to its end, and is it not silently cut?"""

from __future__ import annotations

from homeport.endpoint import Endpoint
from homeport.errors import EndpointError
from homeport.verify.checks.answers import user
from homeport.verify.report import Finding, VerificationSubject, failed, passed

_ROOM = 16
"""Tokens left for the answer."""
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NEEDLE = " The code is 7412."
_ROUNDS = 4, 14
"""How often the words are said in the two prompts by which their tokens are counted."""


async def needle(subject: VerificationSubject) -> Finding:
    """Check that a prompt that fills the context is counted whole, to a needle at its very end."""
    endpoint = subject.endpoint
    per_round, fixed = await _tokens(endpoint)
    needle = await _count(endpoint, _text(_ROUNDS[0]) + _NEEDLE) - (fixed + per_round * _ROUNDS[0])
    rounds = (subject.context - _ROOM - needle - fixed) // per_round
    expected = fixed + per_round * rounds + needle
    counted = await _count(endpoint, _text(rounds) + _NEEDLE)
    evidence = {"promised": subject.context, "sent": expected, "seen": counted, "needle": needle}
    if counted != expected:
        return failed(f"of a prompt of {expected:,} tokens, {counted:,} were seen", **evidence)
    if needle < 1 or expected < 0.8 * subject.context:
        return failed(f"the longest prompt that could be made has {expected:,} tokens", **evidence)
    return passed(f"{counted:,} of {subject.context:,} tokens seen, to the needle at the end", **evidence)


async def too_long(subject: VerificationSubject) -> Finding:
    """Check that a prompt a quarter longer than the context gets a 400 that says so."""
    per_round, _ = await _tokens(subject.endpoint)
    rounds = int(subject.context * 1.25 / per_round) + 1
    try:
        completion = await subject.endpoint.answer(user(_text(rounds)), max_tokens=4, temperature=0)
    except EndpointError as error:
        text = str(error)
        evidence = {"status": error.status, "body": error.body}
        if error.status != 400:
            return failed(f"refused with {error.status}, not 400", **evidence)
        if not any(word in error.body.lower() for word in ("context", "length", "too long", "max_tokens")):
            return failed(f"refused without saying why: {text}", **evidence)
        return passed(
            f"refused with {text.removeprefix('the endpoint refused (').replace('):', ':', 1)}", **evidence
        )
    counted = completion["usage"]["prompt_tokens"]
    return failed(
        f"a prompt of about {rounds * per_round:,} tokens was silently cut to {counted:,}", counted=counted
    )


def _text(rounds: int) -> str:
    return " ".join(_WORDS * rounds)


async def _tokens(endpoint: Endpoint) -> tuple[int, int]:
    """Return how many tokens one round of the words takes, and how many come on top whatever the text."""
    few, many = _ROUNDS
    short, long = await _count(endpoint, _text(few)), await _count(endpoint, _text(many))
    per_round = round((long - short) / (many - few))
    return max(1, per_round), short - per_round * few


async def _count(endpoint: Endpoint, text: str) -> int:
    completion = await endpoint.answer(user(text), max_tokens=1, temperature=0)
    return int(completion["usage"]["prompt_tokens"])
