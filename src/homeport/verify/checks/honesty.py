"""Does it say no where it does not do what a client asks for?"""

from __future__ import annotations

import json
import re
from urllib.parse import quote

from homeport.endpoint.refusals import refusal
from homeport.engines.conformance import Feature, Stance
from homeport.errors import EndpointError
from homeport.json_types import Json, JsonObject
from homeport.verify.checks import weather
from homeport.verify.checks.answers import user
from homeport.verify.checks.dialects import Responses
from homeport.verify.checks.promised import LATER, NOT_ITS_OWN, finding, judged, standing
from homeport.verify.checks.structure import ASKED, SCHEMA, misfit
from homeport.verify.report import Finding, VerificationSubject, skipped

_OTHER = "get_time"
_CALL = re.compile(rf"{weather.NAME}[\"']?\s*[({{,]")
"""A call that was left in the text, as the model writes it: whatever the family, the name and then its arguments."""
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]+")
"""A flag of a program: whoever asks over HTTP cannot set one."""
_PLAIN = "What is the capital of France?"
_NOBODY = "a-model-that-is-not-there"
_MISTAKES: dict[str, JsonObject] = {
    "no messages": {"messages": None},
    "a temperature in words": {"temperature": "hot"},
    "tools that are no list": {"tools": "a hammer"},
    "a role that is no text": {"messages": [{"role": 7, "content": "hi"}]},
}
"""What no API takes, whatever the engine: by what is wrong with it."""
_EMPTY = [
    {"role": "user", "content": "What time is it?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": _OTHER, "arguments": ""}}],
    },
    {"role": "tool", "tool_call_id": "a", "content": "12:00"},
]
_TAKEN_OR_NOT = {"a call without arguments in the history": {"messages": _EMPTY}}
"""What some servers write themselves, and an API may take or refuse: a 500 for it makes clients try the same again for ever."""


async def tool_choice(subject: VerificationSubject) -> Finding:
    """Check that `none` brings no call, `required` one where none is needed, and that a named function is called."""
    unable = weather.unable(subject)
    if unable is not None:
        return unable
    troubles: dict[Feature, str] = {}
    calls, text = await _called(subject, weather.QUESTION, "none")
    if calls or _CALL.search(text):
        troubles[Feature.CHOICE_NONE] = (
            f"none: {calls[0]} is called" if calls else "none: the call comes as text"
        )
    calls, _ = await _called(subject, _PLAIN, "required")
    if not calls:
        troubles[Feature.CHOICE_REQUIRED] = "required: no call comes"
    named = {"type": "function", "function": {"name": _OTHER}}
    calls, _ = await _called(subject, weather.QUESTION, named)
    if calls != [_OTHER]:
        instead = f"{calls[0]} is called in place of {_OTHER}" if calls else "no call comes"
        troubles[Feature.CHOICE_NAMED] = f"named: {instead}"
    return finding(
        subject, troubles, "none, required and a name are honoured", otherwise=list(troubles.values())
    )


async def _called(subject: VerificationSubject, question: str, choice: Json) -> tuple[list[str], str]:
    """Return the names that are called, and the text. An engine that refuses the choice calls nothing."""
    tools = [weather.tool(), weather.tool(_OTHER, "time")]
    try:
        completion = await subject.endpoint.answer(
            user(question), tools=tools, tool_choice=choice, max_tokens=256, temperature=0
        )
    except EndpointError as error:
        return [], str(error)
    message = completion["choices"][0]["message"]
    names = [call["function"]["name"] for call in message.get("tool_calls") or []]
    return names, message.get("content") or ""


async def schema_over_responses(subject: VerificationSubject) -> Finding:
    """Check that an answer over the responses API that was asked to follow a schema follows it."""
    feature = Feature.RESPONSES_SCHEMA
    if standing(subject, feature).standing is Stance.ABSENT:
        return skipped("this engine has no such API")
    return await judged(subject, feature, _schema_over_responses(subject))


async def _schema_over_responses(subject: VerificationSubject) -> Finding:
    text_format = {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}
    request = {
        "model": subject.endpoint.model,
        "input": user(ASKED),
        "text": {"format": text_format},
        "max_output_tokens": 256,
        "temperature": 0,
    }
    response = await subject.endpoint.post(Responses.PATH, request)
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    text = "".join(part.get("text") or "" for part in parts)
    wrong = misfit(text)
    if wrong:
        problem = f"the schema is ignored: {wrong}"
        return finding(subject, {Feature.RESPONSES_SCHEMA: problem}, "", answer=text)
    return finding(subject, {}, json.dumps(json.loads(text)), answer=text)


async def unknown_model(subject: VerificationSubject) -> Finding:
    """Check that a request for a model that is not there is refused, and not answered by another."""
    feature = Feature.UNKNOWN_MODEL
    try:
        response = await subject.endpoint.answer(user("hi"), model=_NOBODY, max_tokens=1)
    except EndpointError as error:
        if error.status in LATER:
            raise
        if error.status >= 500:
            return finding(subject, {feature: f"refused with {error.status}, not with 404"}, "")
        return finding(subject, {}, f"refused with {error.status}", status=error.status)
    problem = f"{_NOBODY!r} is asked for, and {response.get('model')!r} answers with 200"
    return finding(subject, {feature: problem}, "", model=response.get("model"))


async def model_by_name(subject: VerificationSubject) -> Finding:
    """Check that the served model, which is in the list, is told of under its own path."""
    feature, path = Feature.MODEL_BY_NAME, f"/v1/models/{quote(subject.endpoint.model, safe='')}"
    async with subject.endpoint.client(timeout_s=60) as client:
        response = await client.get(path)
    if response.status_code in NOT_ITS_OWN:
        raise refusal(response.status_code, response.text)
    if not response.is_success:
        return finding(
            subject, {feature: f"{path} gets {response.status_code}"}, "", status=response.status_code
        )
    return await judged(subject, feature, _own_name(subject, feature, response.text))


async def _own_name(subject: VerificationSubject, feature: Feature, body: str) -> Finding:
    name = json.loads(body)["id"]
    troubles = {} if name == subject.endpoint.model else {feature: f"it tells of {name!r}"}
    return finding(subject, troubles, f"it tells of {name}")


async def no_vectors(subject: VerificationSubject) -> Finding:
    """Check that a model of text refuses to give vectors as a client's mistake, and says nothing that leads nowhere."""
    feature = Feature.NO_VECTORS
    async with subject.endpoint.client(timeout_s=60) as client:
        response = await client.post(
            "/v1/embeddings", json={"model": subject.endpoint.model, "input": "a text"}
        )
    status = response.status_code
    if status in NOT_ITS_OWN:
        raise refusal(status, response.text)
    flag = _FLAG.search(response.text)
    problem = ""
    if status < 400:
        problem = f"vectors come with {status}, of a model that was made for text"
    elif flag is not None:
        problem = f'{status}, with the advice {flag[0]}, which is no key of homeport.toml (task = "embed" is)'
    elif status >= 500:
        problem = f"refused with {status}, not with 4xx"
    return finding(subject, {feature: problem} if problem else {}, f"refused with {status}", status=status)


async def mistakes(subject: VerificationSubject) -> Finding:
    """Check that what no engine can make sense of is the client's mistake, and called so: 4xx."""
    statuses: dict[str, int] = {}
    async with subject.endpoint.client(timeout_s=60) as client:
        for mistake, wrong in (*_MISTAKES.items(), *_TAKEN_OR_NOT.items()):
            request = {"model": subject.endpoint.model, "messages": user("hi"), "max_tokens": 1, **wrong}
            request = {key: value for key, value in request.items() if value is not None}
            response = await client.post("/v1/chat/completions", json=request)
            if response.status_code in NOT_ITS_OWN:
                raise refusal(response.status_code, response.text)
            statuses[mistake] = response.status_code
    unexpected = [
        f"{mistake} gets {status}"
        for mistake, status in statuses.items()
        if status >= 500 or (status < 400 and mistake not in _TAKEN_OR_NOT)
    ]
    troubles = {Feature.MISTAKES: ", ".join(unexpected)} if unexpected else {}
    return finding(
        subject,
        troubles,
        f"{len(_MISTAKES)} of a client's mistakes get 4xx, and no 500 comes",
        statuses=statuses,
    )
