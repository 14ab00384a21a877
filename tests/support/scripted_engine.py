"""
An OpenAI-compatible engine on loopback that answers by rote, and as it should, except for one `Defect` at a time.

A word with the space behind it is a token. It stands for llama.cpp's server and for vLLM: `/props` and the
`root` of a listed model both tell what was loaded. Everything but `/health` wants the key.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import socket
import threading
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

from scripted_dialects import (
    as_response,
    asked_in_responses,
    asked_natively,
    native_lines,
    natively,
    response_events,
)

MODEL, WEIGHTS, KEY, CONTEXT = "rote", "/weights/rote.gguf", "sk-right", 400
ADAPTER = "tone"
LINES = "application/x-ndjson"
_TEMPLATE_TOKENS = 6
_OF_A_PICTURE = 60
_OF_A_SOUND = 25
_NO_SOUND = base64.b64encode(b"no sound").decode()
_NUMBERS = (
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_COUNTED = ", ".join(_NUMBERS)
_KNOWN = {
    question["ask"]: question["answer"].split("|")[0]
    for question in tomllib.loads(files("homeport.verify.checks").joinpath("reasoning.toml").read_text())[
        "question"
    ]
}


class Defect(StrEnum):
    """What is wrong with the engine."""

    STREAM_WITHOUT_DONE = "a stream without [DONE]"
    STREAM_AFTER_DONE = "a stream that goes on after [DONE]"
    STREAM_BROKEN = "a connection that breaks within a stream"
    STREAM_ENDS_EARLY = "a stream that ends in the middle of the answer"
    STREAM_WITHOUT_USAGE = "a stream without usage"
    STREAM_USAGE_TWICE = "a stream with usage twice"
    STREAM_USAGE_EARLY = "a stream with usage before its text"
    STREAM_USAGE_WRONG = "a stream whose usage does not add up"
    STREAM_TWO_REASONS = "a stream with two reasons to finish"
    STREAM_NO_REASON = "a stream without a reason to finish"
    STREAM_STRAY_LINE = "a stream with a line that is no event"
    STREAM_GARBAGE = "a stream with an event that is not JSON"
    STREAM_ERROR = "a stream that turns into an error"
    STREAM_NO_TEXT = "a stream without text"
    STREAM_TWO_IDS = "a stream with two ids"
    EMPTY_TEXT_SPOILS = "an empty text beside a call that spoils the next turn"
    EMPTY = "empty answers"
    WRONG_ROLE = "an answer with another role"
    USAGE_WRONG = "usage that does not add up"
    NO_USAGE = "answers without usage"
    RANDOM = "random answers at temperature 0"
    STOP_IGNORED = "a stop string that is ignored"
    STOP_INCLUDED = "a stop string that is included"
    STOP_EARLY = "a stop string that takes the word before it along"
    STOP_REASON = "a wrong reason to finish at a stop string"
    MAX_TOKENS_IGNORED = "max_tokens that is ignored"
    MAX_TOKENS_EARLY = "max_tokens that comes too early"
    MAX_TOKENS_REASON = "a wrong reason to finish at max_tokens"
    JSON_PROSE = "prose instead of JSON"
    JSON_SHAPE = "JSON of another shape"
    JSON_VALUE = "JSON with a value that is not allowed"
    TOOL_IN_CONTENT = "a tool call in the content"
    TOOL_ABSENT = "no tool call"
    TOOL_ARGUMENTS = "a tool call whose arguments are not JSON"
    TOOL_NO_CITY = "a tool call without its argument"
    TOOL_NO_ID = "a tool call without an id"
    TOOL_UNKNOWN = "a call of a tool that nobody offered"
    TOOL_REASON = "a wrong reason to finish at a tool call"
    TOOL_IN_STREAMED_CONTENT = "a tool call in the content when streamed"
    SECOND_LOOP = "the same call again after its result"
    SECOND_OTHER = "another call after a result"
    SECOND_LOOP_STREAMED = "the same call again after its result, when streamed"
    SECOND_EMPTY = "no text after a tool's result"
    SECOND_THOUGHTS = "reasoning and no text after a tool's result"
    SECOND_UNSEEN = "text after a tool's result that does not know it"
    RESPONSES_LOOP = "results that are not seen over /v1/responses"
    RESPONSES_UNCALLED = "no call over /v1/responses"
    RESPONSES_UNENDED = "a stream of /v1/responses without its end"
    RESPONSES_ERROR = "a stream of /v1/responses that turns into an error"
    RESPONSES_ABSENT = "no /v1/responses"
    RESPONSES_SCHEMA = "a schema that is ignored over /v1/responses"
    NATIVE_LOOP = "results that are not seen over /api/chat"
    NATIVE_UNENDED = "a stream of /api/chat without its end"
    NATIVE_ERROR = "an error in a line of /api/chat"
    CHOICE_NONE = "tool_choice none that is ignored"
    CHOICE_NONE_TEXT = "tool_choice none, and the call comes as text"
    CHOICE_REQUIRED = "tool_choice required that is ignored"
    CHOICE_NAMED = "a tool_choice by name that is ignored"
    CHOICE_REFUSED = "a tool_choice by name that is refused"
    ANY_MODEL = "any model's name answered"
    MODEL_500 = "an unknown model's name answered with 500"
    PATTERN_IGNORED = "a schema whose pattern is left out without a word"
    PATTERN_500 = "a schema with a pattern answered with 500"
    PICTURE_500 = "a picture that nobody can see answered with 500"
    PICTURE_UNSEEN = "a picture that is passed over in silence"
    PICTURE_SEEN = "a picture that is seen although none was promised to be"
    PICTURE_TAKEN = "a picture seen, and what is none, too"
    SOUND_500 = "a sound that nobody can hear answered with 500"
    SOUND_UNHEARD = "a sound that is passed over in silence"
    SOUND_HEARD = "a sound that is heard although none was promised to be"
    SOUND_TAKEN = "a sound heard, and what is none, too"
    MODEL_UNTOLD = "a model that its own path does not tell of"
    MODEL_OTHER = "another model under a model's own path"
    VECTORS_501 = "vectors refused with 501 and a flag of the engine's own"
    VECTORS_GIVEN = "vectors of a model of text"
    MISTAKE_500 = "a client's mistake answered with 500"
    MISTAKE_TAKEN = "a client's mistake answered with 200"
    THOUGHTS_ONLY = "reasoning without text"
    CONTROL_TOKENS = "control tokens in the text"
    METRICS_OPEN = "metrics for everyone"
    INVOCATIONS_OPEN = "/invocations for any key"
    ALL_OPEN = "no key wanted although one is set"
    REDIRECTED = "a redirection instead of a refusal"
    WRONG_MODEL = "another model listed"
    WRONG_WEIGHTS = "other weights loaded"
    ADAPTER_UNLISTED = "an adapter that is not among the models"
    ADAPTER_UNTRAINED = "an adapter that says what the base model says"
    ADAPTER_IGNORED = "an adapter for which the base model answers"
    LIST_BROKEN = "an error instead of the list of models"
    PROMPT_CUT = "a prompt silently cut to half of the context"
    PROMPT_CUT_AT_CONTEXT = "a prompt silently cut to the context"
    PROMPT_MISCOUNTED = "prompt tokens counted to half of the context only"
    TOO_LONG_500 = "a prompt too long answered with 500"
    TOO_LONG_UNSAID = "a prompt too long refused without saying why"
    BUSY = "one of many requests refused"
    WRONG_ANSWERS = "wrong answers"
    HANGS_UP = "an engine that hangs up"
    HTML = "HTML instead of JSON"
    ERROR_AS_SUCCESS = "an error with status 200"
    LIST = "a list instead of a completion"


@dataclass(frozen=True)
class EngineReply:
    status: int
    content: Any = None
    """JSON, or bytes as they are."""
    kind: str = "application/json"
    stream: tuple[str, ...] = ()
    broken: bool = False
    """Whether the connection breaks before the stream has ended."""
    headers: Mapping[str, str] = field(default_factory=dict)


_OF_VECTORS = (Defect.VECTORS_501, Defect.VECTORS_GIVEN)


@dataclass(frozen=True)
class _Said:
    message: Mapping[str, Any]
    reason: str
    usage: Mapping[str, int]


class Engine:
    """The engine, serving from when it is entered until it is left."""

    def __init__(self, defect: Defect | None = None) -> None:
        self._defect = defect
        self.says = "Rome is the capital of Italy."
        """Its answer to what it knows no answer to."""
        self.refuses = 0
        """The status with which it refuses everything, unless 0."""
        self._takes = itertools.count()
        handler = type("Handler", (_Handler,), {"engine": self})
        self._http = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._serving = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Nobody listens any more."""
        if self._serving:
            self._serving = False
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()

    def has(self, *defects: Defect) -> bool:
        return self._defect in defects

    def reply(self, method: str, path: str, authorization: str, request: Any) -> EngineReply:
        if path == "/health":
            return EngineReply(200, {"status": "ok"})
        if not self._let_in(path, authorization):
            return EngineReply(302 if self.has(Defect.REDIRECTED) else 401, _error("Invalid API key"))
        if self.refuses:
            return EngineReply(self.refuses, _error("try again later"))
        if method == "GET":
            return self._shown(path)
        answers = {
            "/v1/chat/completions": self._chat,
            "/invocations": self._chat,
            "/v1/completions": self._completion,
            "/api/chat": self._native,
            **({"/v1/embeddings": self._vectors} if self.has(*_OF_VECTORS) else {}),
            **({} if self.has(Defect.RESPONSES_ABSENT) else {"/v1/responses": self._response}),
        }
        return answers[path](request) if path in answers else EngineReply(404, _error("not found"))

    def _let_in(self, path: str, authorization: str) -> bool:
        return (
            authorization == f"Bearer {KEY}"
            or self.has(Defect.ALL_OPEN)
            or (self.has(Defect.METRICS_OPEN) and path == "/metrics")
            or (self.has(Defect.INVOCATIONS_OPEN) and path == "/invocations" and authorization != "")
        )

    def _vectors(self, _: Any) -> EngineReply:
        if self.has(Defect.VECTORS_GIVEN):
            return EngineReply(200, {"object": "list", "data": [{"index": 0, "embedding": [1.0]}]})
        return EngineReply(
            501, _error("This server does not support embeddings. Start it with `--embeddings`")
        )

    def _shown(self, path: str) -> EngineReply:
        weights = "/weights/other.gguf" if self.has(Defect.WRONG_WEIGHTS) else WEIGHTS
        if path == "/v1/models" and self.has(Defect.LIST_BROKEN):
            return EngineReply(500, _error("the list is on fire"))
        if path == "/v1/models":
            name = "other" if self.has(Defect.WRONG_MODEL) else MODEL
            listed = [{"id": name, "object": "model", "root": weights}]
            if not self.has(Defect.ADAPTER_UNLISTED):
                listed.append({"id": ADAPTER, "object": "model", "root": "/adapters/tone"})
            return EngineReply(200, {"object": "list", "data": listed})
        if path == f"/v1/models/{MODEL}" and not self.has(Defect.MODEL_UNTOLD):
            name = ADAPTER if self.has(Defect.MODEL_OTHER) else MODEL
            return EngineReply(200, {"id": name, "object": "model", "root": weights})
        if path == "/props":
            return EngineReply(200, {"model_path": weights})
        if path == "/metrics":
            return EngineReply(200, b"requests_total 1\n", "text/plain")
        return EngineReply(404, _error("not found"))

    def _chat(self, request: Any) -> EngineReply:
        if "messages" not in request:
            return EngineReply(400, _error("messages: field required"))
        prompt = str(request["messages"][-1]["content"])
        odd = self._odd_answer(prompt) or self._unable(request) or self._refused(request)
        if odd is not None:
            return odd
        said = self._said(request, prompt, _answer(prompt) or self.says)
        if request.get("stream"):
            return self._streamed(said, usage="stream_options" in request)
        choice = {"index": 0, "message": said.message, "finish_reason": said.reason}
        usage = {} if self.has(Defect.NO_USAGE) else {"usage": said.usage}
        return EngineReply(200, {"id": "chat-1", "object": "chat.completion", "choices": [choice], **usage})

    def _unable(self, request: Any) -> EngineReply | None:
        """What is said to what it cannot do and should, or None."""
        if _patterned(request) and self.has(Defect.PATTERN_500):
            return EngineReply(500, _error("failed to parse grammar"))
        return None

    def _refused(self, request: Any) -> EngineReply | None:
        """What is said to a request that asks for what there is not, or None."""
        pictured = _holds(request, "image_url") and not self.has(Defect.PICTURE_UNSEEN, Defect.PICTURE_TAKEN)
        if pictured and (not self.has(Defect.PICTURE_SEEN) or ",AAAA" in str(request)):
            return EngineReply(500 if self.has(Defect.PICTURE_500) else 400, _error("it sees no images"))
        voiced = _holds(request, "input_audio") and not self.has(Defect.SOUND_UNHEARD, Defect.SOUND_TAKEN)
        if voiced and (not self.has(Defect.SOUND_HEARD) or _NO_SOUND in str(request)):
            return EngineReply(500 if self.has(Defect.SOUND_500) else 400, _error("it hears nothing"))
        mistake = "" if self.has(Defect.MISTAKE_TAKEN) else _mistake(request)
        if mistake:
            return EngineReply(500 if self.has(Defect.MISTAKE_500) else 400, _error(mistake))
        if request.get("model") not in {MODEL, ADAPTER, None} and not self.has(Defect.ANY_MODEL):
            return EngineReply(500 if self.has(Defect.MODEL_500) else 404, _error("no such model"))
        if isinstance(request.get("tool_choice"), dict) and self.has(Defect.CHOICE_REFUSED):
            return EngineReply(400, _error("tool_choice by name is not supported"))
        return None

    def _response(self, request: Any) -> EngineReply:
        """`/v1/responses`."""
        if "input" not in request:
            return EngineReply(400, _error("input: field required"))
        asked = asked_in_responses(request)
        if self.has(Defect.RESPONSES_LOOP):
            asked["messages"] = asked["messages"][:1]
        if self.has(Defect.RESPONSES_SCHEMA):
            asked.pop("response_format", None)
        if self.has(Defect.RESPONSES_UNCALLED):
            asked.pop("tools", None)
        said = self._answered(asked)
        if isinstance(said, EngineReply):
            return said
        response = as_response(said.message, cut=said.reason == "length")
        if not request.get("stream"):
            return EngineReply(200, response)
        events = list(response_events(response))
        if self.has(Defect.RESPONSES_UNENDED):
            events.pop()
        if self.has(Defect.RESPONSES_ERROR):
            events[1:] = [_event({"type": "response.failed", "response": _error("out of memory")})]
        return EngineReply(200, kind="text/event-stream", stream=tuple(events))

    def _native(self, request: Any) -> EngineReply:
        """Ollama's `/api/chat`."""
        if request["model"] != MODEL:
            return EngineReply(404, {"error": f"model {request['model']!r} not found"})
        asked = asked_natively(request)
        if self.has(Defect.NATIVE_LOOP):
            asked["messages"] = asked["messages"][:1]
        streamed = request.get("stream", True)
        said = self._answered({**asked, **({"stream": True} if streamed else {})})
        if isinstance(said, EngineReply):
            return said
        answer = natively(said.message, cut=said.reason == "length")
        if not streamed:
            return EngineReply(200, answer)
        lines = list(native_lines(answer))
        if self.has(Defect.NATIVE_UNENDED):
            lines.pop()
        if self.has(Defect.NATIVE_ERROR):
            lines[1:] = ['{"error": "out of memory"}']
        return EngineReply(200, kind=LINES, stream=tuple(lines))

    def _answered(self, request: Any) -> _Said | EngineReply:
        """What comes for a request to chat completions that another API made, or what comes instead."""
        prompt = str(request["messages"][-1]["content"])
        return self._odd_answer(prompt) or self._said(request, prompt, _answer(prompt) or self.says)

    def _odd_answer(self, prompt: str) -> EngineReply | None:
        """What comes instead of a completion."""
        instead = {
            Defect.HTML: EngineReply(200, b"<html><body>Welcome</body></html>", "text/html"),
            Defect.ERROR_AS_SUCCESS: EngineReply(200, _error("out of memory")),
            Defect.LIST: EngineReply(200, []),
        }
        if self._defect in instead:
            return instead[self._defect]
        if self.has(Defect.BUSY) and prompt.endswith("number 3."):
            return EngineReply(503, _error("busy, try again later"))
        tokens = _TEMPLATE_TOKENS + len(prompt.split())
        if tokens <= CONTEXT or self.has(Defect.PROMPT_CUT, Defect.PROMPT_CUT_AT_CONTEXT):
            return None
        if self.has(Defect.TOO_LONG_UNSAID):
            return EngineReply(400, _error("Bad Request"))
        why = f"the prompt has {tokens} tokens, the context {CONTEXT}"
        return EngineReply(500 if self.has(Defect.TOO_LONG_500) else 400, _error(why))

    def _completion(self, request: Any) -> EngineReply:
        if "prompt" not in request:
            return EngineReply(400, _error("prompt: field required"))
        adapted = request["model"] == ADAPTER and not self.has(
            Defect.ADAPTER_UNTRAINED, Defect.ADAPTER_IGNORED
        )
        said = self._said(request, request["prompt"], " otherwise" if adapted else f" {_COUNTED}")
        choice = {"index": 0, "text": said.message["content"], "finish_reason": said.reason}
        model = MODEL if self.has(Defect.ADAPTER_IGNORED) else request["model"]
        return EngineReply(200, {"id": "text-1", "model": model, "choices": [choice], "usage": said.usage})

    def _said(self, request: Any, prompt: str, text: str) -> _Said:
        """What comes out for a prompt, as a message."""
        if self.has(Defect.EMPTY):
            return _Said({"role": "assistant", "content": ""}, "stop", self._usage(prompt, 0))
        if self._wants_a_call(request):
            message, reason = self._called(streamed=bool(request.get("stream")))
            message = _renamed(
                message, request.get("tool_choice") if not self.has(Defect.CHOICE_NAMED) else ""
            )
            if request["messages"][-1]["role"] == "tool" and self.has(Defect.SECOND_OTHER):
                message = _renamed(message, {"function": {"name": "get_forecast"}})
            return _Said(message, reason, self._usage(prompt, 8))
        tokens, reason = self._generated(self._worded(request, prompt, text), request)
        role = "user" if self.has(Defect.WRONG_ROLE) else "assistant"
        thinks = self.has(Defect.SECOND_THOUGHTS) and prompt.startswith("{")
        if "messages" in request and (thinks or self.has(Defect.THOUGHTS_ONLY)):
            thought = {"role": role, "content": "", "reasoning_content": "".join(tokens)}
            return _Said(thought, reason, self._usage(prompt, len(tokens)))
        return _Said({"role": role, "content": "".join(tokens)}, reason, self._usage(prompt, len(tokens)))

    def _worded(self, request: Any, prompt: str, text: str) -> str:
        """The text that comes out, if nothing ends it."""
        if request.get("messages", [{}])[-1].get("role") == "tool":
            text = self._told(spoilt=request["messages"][1].get("content") == "")
        elif request.get("tool_choice") == "none" and self.has(Defect.CHOICE_NONE_TEXT):
            text = 'call:get_weather{"city": "Paris"}'
        if "response_format" in request:
            return self._code() if _patterned(request) else self._json()
        if self.has(Defect.RANDOM):
            return f"Take {next(self._takes)}: {text}"
        if self.has(Defect.WRONG_ANSWERS) and prompt in _KNOWN:
            return "I do not know."
        return f"<|channel>thought <channel|> {text}" if self.has(Defect.CONTROL_TOKENS) else text

    def _wants_a_call(self, request: Any) -> bool:
        """Whether a tool is called."""
        if "tools" not in request:
            return False
        choice = request.get("tool_choice", "auto")
        last = request["messages"][-1]
        if last["role"] == "tool":
            again = self.has(Defect.SECOND_LOOP, Defect.SECOND_OTHER)
            return again or (self.has(Defect.SECOND_LOOP_STREAMED) and bool(request.get("stream")))
        if choice == "none":
            return self.has(Defect.CHOICE_NONE)
        forced = choice != "auto" and not self.has(Defect.CHOICE_REQUIRED)
        return forced or "weather" in str(last["content"])

    def _told(self, *, spoilt: bool) -> str:
        """The text after a tool's result."""
        if self.has(Defect.SECOND_EMPTY) or (self.has(Defect.EMPTY_TEXT_SPOILS) and spoilt):
            return ""
        return "I cannot know." if self.has(Defect.SECOND_UNSEEN) else "It is 15 C in Paris."

    def _usage(self, prompt: str, completion: int) -> dict[str, int]:
        tokens = _TEMPLATE_TOKENS + len(prompt.split())
        if "image_url" in prompt:
            seen = self.has(Defect.PICTURE_SEEN, Defect.PICTURE_TAKEN)
            tokens = _TEMPLATE_TOKENS + 8 + _OF_A_PICTURE * seen
        if "input_audio" in prompt:
            heard = self.has(Defect.SOUND_HEARD, Defect.SOUND_TAKEN)
            tokens = _TEMPLATE_TOKENS + 7 + _OF_A_SOUND * heard
        if self.has(Defect.PROMPT_CUT, Defect.PROMPT_MISCOUNTED):
            tokens = min(tokens, CONTEXT // 2)
        if self.has(Defect.PROMPT_CUT_AT_CONTEXT):
            tokens = min(tokens, CONTEXT)
        total = tokens + completion + self.has(Defect.USAGE_WRONG)
        return {"prompt_tokens": tokens, "completion_tokens": completion, "total_tokens": total}

    def _generated(self, text: str, request: Any) -> tuple[list[str], str]:
        """The tokens that come out before a limit or a stop string, and why no more do."""
        tokens, reason = _tokens(text), "stop"
        limit = request.get("max_tokens", len(tokens))
        if len(tokens) > limit and not self.has(Defect.MAX_TOKENS_IGNORED):
            tokens = tokens[: max(1, limit - self.has(Defect.MAX_TOKENS_EARLY))]
            reason = "stop" if self.has(Defect.MAX_TOKENS_REASON) else "length"
        text = "".join(tokens)
        ends = [(text.index(stop), stop) for stop in request.get("stop", ()) if stop in text]
        if not ends or self.has(Defect.STOP_IGNORED):
            return tokens, reason
        end, stop = min(ends)
        tokens = _tokens(text[: end + len(stop) * self.has(Defect.STOP_INCLUDED)])
        if self.has(Defect.STOP_EARLY):
            tokens.pop()
        return tokens, "length" if self.has(Defect.STOP_REASON) else "stop"

    def _code(self) -> str:
        return '{"code": "Rome."}' if self.has(Defect.PATTERN_IGNORED) else '{"code": "837"}'

    def _json(self) -> str:
        if self.has(Defect.JSON_PROSE):
            return "Yes, Paris is in France."
        if self.has(Defect.JSON_SHAPE):
            return '{"answer": "yes"}'
        return (
            '{"answer": "oui", "sure": true}'
            if self.has(Defect.JSON_VALUE)
            else '{"answer": "yes", "sure": true}'
        )

    def _called(self, *, streamed: bool) -> tuple[dict[str, Any], str]:
        """A message that calls the tool, and the reason to finish."""
        if self.has(Defect.TOOL_ABSENT):
            return {"role": "assistant", "content": "It rains."}, "stop"
        if self.has(Defect.TOOL_IN_CONTENT) or (streamed and self.has(Defect.TOOL_IN_STREAMED_CONTENT)):
            return {"role": "assistant", "content": 'call:get_weather{"city": "Paris"}'}, "stop"
        arguments = '{"town": "Paris"}' if self.has(Defect.TOOL_NO_CITY) else '{"city": "Paris"}'
        if self.has(Defect.TOOL_ARGUMENTS):
            arguments = "{city: Paris"
        name = "get_forecast" if self.has(Defect.TOOL_UNKNOWN) else "get_weather"
        call = {
            "id": "" if self.has(Defect.TOOL_NO_ID) else "call-1",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        reason = "stop" if self.has(Defect.TOOL_REASON) else "tool_calls"
        content = "" if self.has(Defect.EMPTY_TEXT_SPOILS) else None
        return {"role": "assistant", "content": content, "tool_calls": [call]}, reason

    def _streamed(self, said: _Said, *, usage: bool) -> EngineReply:
        chunks = [_chunk(delta) for delta in _deltas(said.message)]
        if self.has(Defect.STREAM_NO_TEXT):
            chunks = chunks[:1] if "tool_calls" not in said.message else chunks
        lines = [_event(chunk) for chunk in chunks]
        middle = len(lines) // 2 + 1
        odd = {
            Defect.STREAM_STRAY_LINE: "warning: the cache is cold",
            Defect.STREAM_GARBAGE: 'data: {"choices": [',
            Defect.STREAM_ERROR: _event(_error("out of memory")),
            Defect.STREAM_TWO_IDS: _event({**_chunk({}), "id": "chat-2"}),
        }
        if self._defect in odd:
            lines.insert(middle, odd[self._defect])
        if self.has(Defect.STREAM_ENDS_EARLY, Defect.STREAM_BROKEN):
            lines = lines[:middle]
        else:
            lines += [_event(chunk) for chunk in self._last(said, usage=usage)]
            lines += [] if self.has(Defect.STREAM_WITHOUT_DONE) else ["data: [DONE]"]
        if self.has(Defect.STREAM_AFTER_DONE):
            lines.append(_event(_chunk({"content": "PS"})))
        kind = "text/event-stream"
        return EngineReply(
            200, kind=kind, stream=(": a comment", *lines), broken=self.has(Defect.STREAM_BROKEN)
        )

    def _last(self, said: _Said, *, usage: bool) -> Iterator[dict[str, Any]]:
        """The chunks after the text."""
        total = {
            **said.usage,
            "total_tokens": said.usage["total_tokens"] + self.has(Defect.STREAM_USAGE_WRONG),
        }
        counted = {**_chunk({}), "choices": [], "usage": total}
        if usage and self.has(Defect.STREAM_USAGE_EARLY, Defect.STREAM_USAGE_TWICE):
            yield counted
        if not self.has(Defect.STREAM_NO_REASON):
            yield _chunk({}, said.reason)
        if self.has(Defect.STREAM_TWO_REASONS):
            yield _chunk({}, said.reason)
        if usage and not self.has(Defect.STREAM_USAGE_EARLY, Defect.STREAM_WITHOUT_USAGE):
            yield counted


def _patterned(request: Any) -> bool:
    return "'pattern'" in str(request.get("response_format"))


def _holds(request: Any, kind: str) -> bool:
    content = request["messages"][-1].get("content")
    return isinstance(content, list) and any(part["type"] == kind for part in content)


def _mistake(request: Any) -> str:
    """What no API takes; '' where nothing is wrong."""
    if not isinstance(request.get("temperature", 0), int | float):
        return "temperature: not a number"
    if not isinstance(request.get("tools", []), list):
        return "tools: not a list"
    if not all(isinstance(message["role"], str) for message in request["messages"]):
        return "role: not a string"
    return ""


def _renamed(message: dict[str, Any], choice: Any) -> dict[str, Any]:
    """The message with a call of the function that the choice names, if it names one."""
    if not isinstance(choice, dict) or not message.get("tool_calls"):
        return message
    calls = [
        {**call, "function": {**call["function"], **choice["function"]}} for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _answer(prompt: str) -> str:
    """What it knows by rote; '' where it knows nothing."""
    if prompt.startswith("Count from one to twenty"):
        return _COUNTED
    if prompt in _KNOWN:
        return f"It is {_KNOWN[prompt]}."
    return ""


def _tokens(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error"}}


def _chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chat-1", "object": "chat.completion.chunk", "choices": [choice]}


def _event(chunk: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}"


def _deltas(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A message in the pieces in which it is streamed."""
    yield {"role": message["role"], "content": None}
    for token in _tokens(message.get("reasoning_content", "")):
        yield {"reasoning_content": token}
    for token in _tokens(message["content"] or ""):
        yield {"content": token}
    for call in message.get("tool_calls", ()):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": 0, "function": {**function, "arguments": ""}}]}
        for piece in _tokens(function["arguments"]):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


class _Server(ThreadingHTTPServer):
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    engine: Engine
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.engine.has(Defect.HANGS_UP):
            self._hang_up()
            return
        authorization = self.headers.get("Authorization", "")
        reply = self.engine.reply(self.command, self.path, authorization, json.loads(body or b"{}"))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.stream:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            # An event ends with an empty line; where lines are JSON, each is one by itself.
            end = "\n" if reply.kind == LINES else "\n\n"
            for line in reply.stream:
                event = f"{line}{end}".encode()
                self.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            if reply.broken:
                self._hang_up()
            else:
                self.wfile.write(b"0\r\n\r\n")
            return
        content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        pass
