"""Does text come when a tool's result is given back? Where it does not, an agent goes round in circles."""

from __future__ import annotations

from homeport.engines.conformance import Feature, Stance
from homeport.verify.checks import weather
from homeport.verify.checks.answers import user
from homeport.verify.checks.dialects import ChatCompletions, Dialect, ModelTurn, Native, Responses
from homeport.verify.checks.leaks import trouble
from homeport.verify.checks.promised import finding, judged, standing
from homeport.verify.report import Finding, VerificationSubject, noted, skipped


async def chat_completions(subject: VerificationSubject) -> Finding:
    """Check the second turn over chat completions."""
    return await _second(subject, Feature.SECOND_TURN, ChatCompletions())


async def responses(subject: VerificationSubject) -> Finding:
    """Check the second turn over the responses API."""
    return await _second(subject, Feature.SECOND_TURN_RESPONSES, Responses())


async def native(subject: VerificationSubject) -> Finding:
    """Check the second turn over an engine's own API."""
    return await _second(subject, Feature.SECOND_TURN_NATIVE, Native())


async def _second(subject: VerificationSubject, feature: Feature, api: Dialect) -> Finding:
    if standing(subject, feature).standing is Stance.ABSENT:
        return skipped("this engine has no such API")
    unable = weather.unable(subject)
    return unable or await judged(subject, feature, _conversation(subject, feature, api))


async def _conversation(subject: VerificationSubject, feature: Feature, api: Dialect) -> Finding:
    """
    Check that a call comes, and that with its result given back just as the API wants it text comes, whole
    and streamed.
    """
    question = user(weather.QUESTION)
    first = await api.whole(subject.endpoint, question)
    if not first.calls:
        if feature is Feature.SECOND_TURN:
            return skipped("no call came whose result could be given back: see what `tools` found")
        return finding(subject, {feature: "no tool call comes"}, "", text=first.text[:300])
    history = [*question, *first.given_back]
    complete = await api.whole(subject.endpoint, history)
    streamed = await api.streamed(subject.endpoint, history)
    evidence = {"calls": list(first.calls), "text": complete.text, "streamed": streamed.text}
    problem = _trouble(first, complete)
    if not problem:
        problem = _trouble(first, streamed)
        problem = f"streamed, {problem}" if problem else ""
    if problem:
        if first.given_back[0].get("content") == "" and await _well_with_null(subject, api, first):
            return noted(
                f'{problem}; all is well where the message with the call has "content": null, not ""',
                **evidence,
            )
        return finding(subject, {feature: problem}, "", **evidence)
    texts = [turn.text for turn in (complete, streamed)]
    if not all(text.strip() for text in texts):
        return skipped("it was still thinking when it had used up its tokens", **evidence)
    one_line = " ".join(complete.text.split())
    if not all(weather.TELLING in text for text in texts):
        return noted(f'text comes, and does not tell what the tool said: "{one_line[:60]}"', **evidence)
    return finding(subject, {}, f'"{one_line[:60]}"', **evidence)


async def _well_with_null(subject: VerificationSubject, api: Dialect, first: ModelTurn) -> bool:
    """Return True if the same goes well where the message with the call has no text instead of an empty one."""
    called, *results = first.given_back
    history = [*user(weather.QUESTION), {**called, "content": None}, *results]
    second = await api.whole(subject.endpoint, history)
    return not _trouble(first, second)


def _trouble(first: ModelTurn, second: ModelTurn) -> str:
    if second.calls:
        names = {call.partition("(")[0] for call in first.calls}
        again = any(call.partition("(")[0] in names for call in second.calls)
        return (
            f"{second.calls[0]} is called again although its result was given: agents go round in circles"
            if again
            else f"another call comes in place of text: {second.calls[0]}"
        )
    return trouble(second.text, second.thoughts, cut=second.cut)
