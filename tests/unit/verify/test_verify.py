"""Every check finds the defects that it is there for, and nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import catalog
from homeport.endpoint import Endpoint
from homeport.errors import HomeportError
from homeport.secret import Secret
from homeport.verify import CHECKS, Finding, Outcome, Report, Result, VerificationSubject, runner, verify
from homeport.verify.check import Check
from homeport.verify.checks import access, reasoning
from homeport.verify.checks.leaks import leaked
from homeport.verify.checks.reasoning import is_right, wilson
from scripted_engine import ADAPTER, CONTEXT, KEY, MODEL, WEIGHTS, Defect, Engine
from straight_engine import StraightToEngine

NAMES = tuple(check.name for check in CHECKS)
ALL_PATHS = access.paths()
FEW_PATHS = access.GuardedPaths(
    requests=tuple(
        (method, path)
        for path in ("/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/invocations")
        for method in ("GET", "POST")
    ),
    may_be_open=frozenset({"/health"}),
    not_posted=frozenset(),
)
"""Enough for every defect; all of them are asked in tests of their own."""
REASONING = Path(reasoning.__file__).with_suffix(".toml")
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates are not read for each request to loopback; few paths are asked for, and each question once."""
    monkeypatch.setattr("httpcore2.default_ssl_context", lambda **_: NO_TLS)
    monkeypatch.setattr(access, "paths", lambda: FEW_PATHS)
    (tmp_path / "reasoning.toml").write_text(REASONING.read_text().replace("samples = 3", "samples = 1"))
    monkeypatch.setattr(reasoning, "files", lambda _: tmp_path)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine without a defect, or with the one that the test names."""
    with Engine(getattr(request, "param", None)) as engine:
        yield engine


def promised(served: Engine, *, model: str = "gemma-4-e2b", **others: Any) -> VerificationSubject:
    """What the engine is held to: all that it can do."""
    found = catalog.find(model)
    assert found is not None
    subject = VerificationSubject(
        endpoint=Endpoint(name="home", base_url=f"{served.url}/v1", model=MODEL, api_key=Secret(KEY)),
        model=replace(found, reasoning_floor=0.5),
        engine="llamacpp",
        context=CONTEXT,
        parallel=4,
        tools=True,
        weights_path=WEIGHTS,
        weights_digest="ab" * 32,
        weights_intact=True,
        adapters=(ADAPTER,),
    )
    return replace(subject, **others)


def checked(subject: VerificationSubject, *only: str) -> Report:
    return asyncio.run(verify(subject, only=only))


def outcomes(report: Report, outcome: Outcome) -> dict[str, str]:
    """The details of the checks with this outcome, by name."""
    return {result.name: result.detail for result in report.results if result.outcome is outcome}


def alike(detail: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, detail)


SECOND = ("second-turn", "second-turn-responses")
"""The second turn in the APIs of llama.cpp."""
TOOLS = ("tools", "tools-stream")
WITH_TOOLS = (*TOOLS, *SECOND, "tool-choice")
TALKS = tuple(
    name
    for name in NAMES
    if name
    not in {
        "identity",
        "key",
        "second-turn-native",
        "schema-responses",
        "unknown-model",
        "model-by-name",
        "no-vectors",
        "mistakes",
        "adapters",
    }
)
"""The checks that need an answer in a chat, and hold an engine to it."""
WHOLE = tuple(name for name in TALKS if name not in {"stream", "tools-stream"})
"""Those of them that do not only stream."""
REASONS = "the stream has these reasons to finish, not one: "
USAGE = "usage was asked for, and is not in the last chunk alone"
SHAPE = "the answer is not what its API describes: "
NOT_JSON = "the endpoint answers, but not with a JSON object: "
BROKE_OFF = "the endpoint broke off in the middle of an answer"
PASSED_OVER = "it sees no pictures, and one is passed over in silence: 14 tokens without, 14 with it"
SEEN = "it was not said to see, and a picture adds 60 tokens"
SILENT = "it hears nothing, and a sound is passed over in silence: 13 tokens without, 13 with it"
HEARD = "it was not said to hear, and a sound adds 25 tokens"
UNCHANGED = "tone changes nothing: 4 prompts are continued as by the base model"
AGAIN = 'get_weather({"city": "Paris"}) is called again although its result was given'
NO_TEXT = "there is no text beside the reasoning"
UNCALLED = {"second-turn-responses": "no tool call comes", "tool-choice": "required: no call comes"}
IGNORED = "the schema is ignored: the answer is not JSON (known of llama.cpp)"

FOUND: dict[Defect, Mapping[str, str]] = {
    Defect.STREAM_WITHOUT_DONE: {
        "stream": "the stream does not end in [DONE]",
        **alike(BROKE_OFF, "tools-stream", "second-turn"),
    },
    Defect.STREAM_AFTER_DONE: {"stream": "the stream does not end in [DONE]"},
    Defect.STREAM_BROKEN: alike("the connection to http", "stream", "tools-stream", "second-turn"),
    Defect.STREAM_ENDS_EARLY: {
        "stream": "the stream does not end in [DONE]",
        **alike(BROKE_OFF, "tools-stream", "second-turn"),
    },
    Defect.STREAM_WITHOUT_USAGE: {"stream": USAGE},
    Defect.STREAM_USAGE_TWICE: {"stream": USAGE},
    Defect.STREAM_USAGE_EARLY: {"stream": USAGE},
    Defect.STREAM_USAGE_WRONG: {"stream": "the usage does not add up"},
    Defect.STREAM_TWO_REASONS: {"stream": f"{REASONS}['stop', 'stop']"},
    Defect.STREAM_NO_REASON: {
        "stream": f"{REASONS}[]",
        "tools-stream": "finish_reason is '', not 'tool_calls'",
    },
    Defect.STREAM_STRAY_LINE: {"stream": "a line is not an event: 'warning: the cache is cold'"},
    Defect.STREAM_GARBAGE: {
        "stream": f"{SHAPE}JSONDecodeError",
        **alike(NOT_JSON, "tools-stream", "second-turn"),
    },
    Defect.STREAM_ERROR: {
        "stream": f"{SHAPE}KeyError 'choices'",
        **alike("the endpoint refused (200): out of memory", "tools-stream", "second-turn"),
    },
    Defect.STREAM_NO_TEXT: {
        "stream": "the chunks carry no text",
        "second-turn": "streamed, the answer is empty",
    },
    Defect.STREAM_TWO_IDS: {"stream": "the chunks of one stream have several ids"},
    Defect.EMPTY: {
        "identity": "the adapter tone is listed, and generates nothing",
        "adapters": UNCHANGED,
        **alike("the answer is empty", "chat", "determinism"),
        "stream": "the chunks carry no text",
        "stop": "the answer is too short to stop in the middle of it",
        "max-tokens": "3 tokens were asked for, 0 came",
        "json-schema": "the answer is not JSON",
        **alike("no tool_calls", *TOOLS),
        **UNCALLED,
        "parallel": "8 of 8 requests did not finish: an answer without a token",
        "reasoning": "0 of 12 right",
    },
    Defect.WRONG_ROLE: {"chat": "role or finish_reason is not what OpenAI's API describes"},
    Defect.USAGE_WRONG: alike("the usage does not add up", "chat", "stream"),
    Defect.NO_USAGE: alike(
        f"{SHAPE}KeyError 'usage'",
        "chat",
        "determinism",
        "stop",
        "max-tokens",
        "context",
        "too-long",
        "parallel",
    ),
    Defect.RANDOM: {
        "determinism": "two answers at temperature 0 differ",
        "stop": "the answer before the stop string is another than without it",
    },
    Defect.STOP_IGNORED: {"stop": "the answer goes on through the stop string 'fourteen,'"},
    Defect.STOP_INCLUDED: {"stop": "the answer goes on through the stop string 'fourteen,'"},
    Defect.STOP_EARLY: {"stop": "the answer before the stop string is another than without it"},
    Defect.STOP_REASON: {"stop": "finish_reason is 'length', not 'stop'"},
    Defect.MAX_TOKENS_IGNORED: {"max-tokens": "3 tokens were asked for, 20 came"},
    Defect.MAX_TOKENS_EARLY: {"max-tokens": "3 tokens were asked for, 2 came"},
    Defect.MAX_TOKENS_REASON: {"max-tokens": "cut at 3 tokens, and finish_reason is 'stop', not 'length'"},
    Defect.JSON_PROSE: {"json-schema": "the answer is not JSON"},
    Defect.JSON_SHAPE: {"json-schema": "the answer is JSON of another shape"},
    Defect.JSON_VALUE: {"json-schema": "the answer has values that the schema does not allow"},
    Defect.TOOL_IN_CONTENT: {**alike("no tool_calls: the call is left in the content", *TOOLS), **UNCALLED},
    Defect.TOOL_IN_STREAMED_CONTENT: {"tools-stream": "no tool_calls: the call is left in the content"},
    Defect.TOOL_ABSENT: {**alike("no tool_calls", *TOOLS), **UNCALLED},
    Defect.TOOL_ARGUMENTS: alike("the call's arguments are not JSON", *TOOLS),
    Defect.TOOL_NO_CITY: alike("the call lacks its `city`", *TOOLS),
    Defect.TOOL_NO_ID: alike("the call has no id, so that its result could not be given back", *TOOLS),
    Defect.TOOL_UNKNOWN: alike("the call is to 'get_forecast', which nobody offered", *TOOLS),
    Defect.TOOL_REASON: alike("finish_reason is 'stop', not 'tool_calls'", *TOOLS),
    Defect.SECOND_LOOP: alike(AGAIN, *SECOND),
    Defect.SECOND_OTHER: alike("another call comes in place of text: get_forecast", *SECOND),
    Defect.SECOND_LOOP_STREAMED: {
        "second-turn": "streamed, get_weather is called again although its result was given",
        "second-turn-responses": f"streamed, {AGAIN}",
    },
    Defect.SECOND_EMPTY: alike("the answer is empty", *SECOND),
    Defect.SECOND_THOUGHTS: alike(NO_TEXT, *SECOND),
    Defect.SECOND_UNSEEN: {},
    Defect.EMPTY_TEXT_SPOILS: {},
    Defect.RESPONSES_LOOP: {"second-turn-responses": AGAIN},
    Defect.RESPONSES_UNCALLED: {"second-turn-responses": "no tool call comes"},
    Defect.RESPONSES_UNENDED: {"second-turn-responses": "the stream ends without response.completed"},
    Defect.RESPONSES_ERROR: {"second-turn-responses": "the endpoint refused (200): out of memory"},
    Defect.RESPONSES_ABSENT: {"second-turn-responses": "the endpoint refused (404): not found"},
    Defect.RESPONSES_SCHEMA: {},
    Defect.NATIVE_LOOP: {},
    Defect.NATIVE_UNENDED: {},
    Defect.NATIVE_ERROR: {},
    Defect.CHOICE_NONE: {},
    Defect.CHOICE_NONE_TEXT: {},
    Defect.CHOICE_REQUIRED: {"tool-choice": "required: no call comes"},
    Defect.CHOICE_NAMED: {},
    Defect.CHOICE_REFUSED: {},
    Defect.ANY_MODEL: {},
    Defect.MODEL_500: {},
    Defect.PATTERN_IGNORED: {},
    Defect.PATTERN_500: {},
    Defect.PICTURE_500: {},
    Defect.PICTURE_UNSEEN: {},
    Defect.PICTURE_SEEN: {},
    Defect.PICTURE_TAKEN: {},
    Defect.SOUND_500: {},
    Defect.SOUND_UNHEARD: {},
    Defect.SOUND_HEARD: {},
    Defect.SOUND_TAKEN: {},
    Defect.MODEL_UNTOLD: {},
    Defect.MODEL_OTHER: {},
    Defect.VECTORS_501: {},
    Defect.VECTORS_GIVEN: {},
    Defect.MISTAKE_500: {},
    Defect.MISTAKE_TAKEN: {},
    Defect.THOUGHTS_ONLY: {
        **alike(NO_TEXT, "chat", "stream", *SECOND),
        "json-schema": "the answer is not JSON",
        "reasoning": "0 of 12 right",
    },
    Defect.CONTROL_TOKENS: alike(
        "control tokens are left in the text: <|channel> <channel|>", "chat", "stream", *SECOND
    ),
    Defect.METRICS_OPEN: {"key": "not refused: GET /metrics with no key gets 200"},
    Defect.INVOCATIONS_OPEN: {"key": "not refused: POST /invocations with a wrong key gets 200"},
    Defect.ALL_OPEN: {
        "key": "not refused: GET /metrics with no key gets 200; GET /v1/models with no key gets 200"
    },
    Defect.REDIRECTED: {"key": "not refused: GET / with no key gets 302"},
    Defect.ADAPTER_UNLISTED: {"identity": "the adapters tone are not among the models it lists: rote"},
    Defect.ADAPTER_IGNORED: {
        "identity": "the adapter tone was asked, and rote answered",
        "adapters": UNCHANGED,
    },
    Defect.ADAPTER_UNTRAINED: {"adapters": UNCHANGED},
    Defect.WRONG_MODEL: {"identity": "rote is not among the models it lists: other"},
    Defect.WRONG_WEIGHTS: {"identity": "the engine has loaded /weights/other.gguf, not /weights/rote.gguf"},
    Defect.LIST_BROKEN: {"identity": "the endpoint refused (500): the list is on fire"},
    Defect.PROMPT_CUT: {
        "context": "of a prompt of 380 tokens, 200 were seen",
        "too-long": "a prompt of about 510 tokens was silently cut to 200",
    },
    Defect.PROMPT_CUT_AT_CONTEXT: {
        "too-long": "a prompt of about 510 tokens was silently cut to 400",
    },
    Defect.PROMPT_MISCOUNTED: {"context": "of a prompt of 380 tokens, 200 were seen"},
    Defect.TOO_LONG_500: {"too-long": "refused with 500, not 400"},
    Defect.TOO_LONG_UNSAID: {
        "too-long": "refused without saying why: the endpoint refused (400): Bad Request"
    },
    Defect.BUSY: {
        "parallel": "1 of 8 requests did not finish: the endpoint refused (503): busy, try again later"
    },
    Defect.WRONG_ANSWERS: {
        "reasoning": "0 of 12 right (0%, 95 % interval 0% to 24%), below this model's floor"
    },
    Defect.HANGS_UP: {"identity": "the connection to http"},
    Defect.HTML: {
        **alike(NOT_JSON, *WHOLE, "unknown-model"),
        "parallel": f"8 of 8 requests did not finish: {NOT_JSON}",
        "stream": "a line is not an event: '<html><body>Welcome</body></html>'",
        "tools-stream": "the connection to http",
    },
    Defect.ERROR_AS_SUCCESS: {
        **alike(f"{SHAPE}KeyError", *WHOLE),
        "stream": 'a line is not an event: \'{"error"',
        "tools-stream": "the connection to http",
    },
    Defect.LIST: {
        **alike(NOT_JSON, *WHOLE, "unknown-model"),
        "parallel": f"8 of 8 requests did not finish: {NOT_JSON}",
        "stream": "a line is not an event: '[]'",
        "tools-stream": "the connection to http",
    },
}
"""Which checks find a defect of llama.cpp's, and how their sentence begins."""

TOOK = "a temperature in words gets {0}, tools that are no list gets {0}, a role that is no text gets {0}"
KNOWN = "(known of llama.cpp)"
NOBODY = "'a-model-that-is-not-there' is asked for, and None answers with 200"
NOTED: dict[Defect, Mapping[str, str]] = {
    Defect.EMPTY: {"schema-responses": IGNORED},
    Defect.JSON_PROSE: {"schema-responses": IGNORED},
    Defect.JSON_SHAPE: {
        "schema-responses": f"the schema is ignored: the answer is JSON of another shape {KNOWN}"
    },
    Defect.JSON_VALUE: {
        "schema-responses": f"the schema is ignored: the answer has values that the schema does not allow {KNOWN}"
    },
    Defect.SECOND_UNSEEN: alike(
        'text comes, and does not tell what the tool said: "I cannot know."', *SECOND
    ),
    Defect.EMPTY_TEXT_SPOILS: {
        "second-turn": 'the answer is empty; all is well where the message with the call has "content": null, not ""'
    },
    Defect.RESPONSES_ABSENT: {
        "schema-responses": f"the endpoint refused (404): not found {KNOWN}",
    },
    Defect.RESPONSES_SCHEMA: {"schema-responses": IGNORED},
    Defect.CHOICE_NONE: {"tool-choice": f"none: get_weather is called {KNOWN}"},
    Defect.CHOICE_NONE_TEXT: {"tool-choice": f"none: the call comes as text {KNOWN}"},
    Defect.CHOICE_NAMED: {"tool-choice": f"named: get_weather is called in place of get_time {KNOWN}"},
    Defect.CHOICE_REFUSED: {"tool-choice": f"named: no call comes {KNOWN}"},
    Defect.ANY_MODEL: {"unknown-model": f"{NOBODY} {KNOWN}"},
    Defect.MODEL_500: {"unknown-model": f"refused with 500, not with 404 {KNOWN}"},
    Defect.PATTERN_IGNORED: {
        "schema-pattern": f"the pattern is left out without a word: 'Rome.' comes for three digits {KNOWN}"
    },
    Defect.PATTERN_500: {"schema-pattern": f"it gets 500, not 4xx {KNOWN}"},
    Defect.PICTURE_500: {"images": f"it sees no pictures, and one gets 500, not 4xx {KNOWN}"},
    Defect.PICTURE_UNSEEN: {"images": f"{PASSED_OVER} {KNOWN}"},
    Defect.PICTURE_SEEN: {"images": f"{SEEN} {KNOWN}"},
    Defect.PICTURE_TAKEN: {"images": f"{SEEN} {KNOWN}"},
    Defect.SOUND_500: {"sounds": f"it hears nothing, and a sound gets 500, not 4xx {KNOWN}"},
    Defect.SOUND_UNHEARD: {"sounds": f"{SILENT} {KNOWN}"},
    Defect.SOUND_HEARD: {"sounds": f"{HEARD} {KNOWN}"},
    Defect.SOUND_TAKEN: {"sounds": f"{HEARD} {KNOWN}"},
    Defect.MODEL_UNTOLD: {"model-by-name": f"/v1/models/rote gets 404 {KNOWN}"},
    Defect.MODEL_OTHER: {"model-by-name": f"it tells of 'tone' {KNOWN}"},
    Defect.VECTORS_501: {
        "no-vectors": f'501, with the advice --embeddings, which is no key of homeport.toml (task = "embed" is) {KNOWN}'
    },
    Defect.VECTORS_GIVEN: {"no-vectors": f"vectors come with 200, of a model that was made for text {KNOWN}"},
    Defect.MISTAKE_500: {"mistakes": f"{TOOK.format(500)} {KNOWN}"},
    Defect.MISTAKE_TAKEN: {"mistakes": f"{TOOK.format(200)} {KNOWN}"},
    Defect.THOUGHTS_ONLY: {"schema-responses": IGNORED},
    Defect.HTML: {
        "schema-responses": f"{NOT_JSON}'<html><body>Welcome</body></html>' {KNOWN}",
        "mistakes": f"{TOOK.format(200)} {KNOWN}",
    },
    Defect.ERROR_AS_SUCCESS: {
        "schema-responses": f"{SHAPE}KeyError 'output' {KNOWN}",
        "unknown-model": f"{NOBODY} {KNOWN}",
        "mistakes": f"{TOOK.format(200)} {KNOWN}",
    },
    Defect.LIST: {
        "schema-responses": f"{NOT_JSON}'[]' {KNOWN}",
        "mistakes": f"{TOOK.format(200)} {KNOWN}",
    },
}
"""What is told besides, of what llama.cpp does not promise."""

NATIVE = {
    Defect.NATIVE_LOOP: AGAIN,
    Defect.NATIVE_UNENDED: "the stream ends without a last line",
    Defect.NATIVE_ERROR: "the endpoint refused (200): out of memory",
}
"""What is told of an engine with an API of its own."""


OF_CONNECTIONS = {Defect.STREAM_BROKEN, Defect.HANGS_UP, Defect.BUSY, Defect.HTML}
"""For these all goes over sockets, as for an engine without a defect."""


@pytest.mark.parametrize(("engine", "found"), FOUND.items(), ids=list(FOUND), indirect=["engine"])
def test_a_defect_is_found_by_the_checks_that_should_find_it_and_by_no_other(
    engine: Engine, found: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engine.has(*OF_CONNECTIONS):
        monkeypatch.setattr("httpx2._client.AsyncHTTPTransport", partial(StraightToEngine, engine))
    report = checked(promised(engine))
    failed = outcomes(report, Outcome.FAILED)
    begun = {name: detail[: len(found.get(name, detail))] for name, detail in failed.items()}
    assert begun == found
    (defect,) = [one for one in Defect if engine.has(one)]
    assert outcomes(report, Outcome.NOTED) == NOTED.get(defect, {})


@pytest.mark.parametrize(("engine", "found"), NATIVE.items(), ids=list(NATIVE), indirect=["engine"])
def test_a_defect_of_an_engines_own_api_is_told(engine: Engine, found: str) -> None:
    report = checked(promised(engine, engine="ollama"), "second-turn-native")
    told = outcomes(report, Outcome.NOTED)["second-turn-native"]
    assert told.startswith(found)
    assert told.endswith("(not promised: nobody has checked here what Ollama does)")


def test_no_defect_is_left_out_of_the_table() -> None:
    assert set(FOUND) == set(Defect)


def test_every_check_finds_a_defect() -> None:
    found = {name for table in (FOUND, NOTED) for found in table.values() for name in found}
    assert {*found, "second-turn-native"} == set(NAMES)


@pytest.mark.parametrize("name", ["llamacpp", "vllm", "ollama"])
def test_an_engine_without_a_defect_passes_everything_that_it_offers(engine: Engine, name: str) -> None:
    report = checked(promised(engine, engine=name))
    absent = {"second-turn-native"} if name != "ollama" else set()
    assert set(outcomes(report, Outcome.PASSED)) == set(NAMES) - absent
    assert outcomes(report, Outcome.SKIPPED) == alike("this engine has no such API", *absent)


@pytest.mark.parametrize("engine", [Defect.CHOICE_REQUIRED], indirect=True)
@pytest.mark.parametrize(
    ("name", "outcome"), [("vllm", Outcome.FAILED), ("llamacpp", Outcome.FAILED), ("ollama", Outcome.NOTED)]
)
def test_what_is_not_honoured_fails_only_where_the_engine_promises_it(
    engine: Engine, name: str, outcome: Outcome
) -> None:
    (result,) = checked(promised(engine, engine=name), "tool-choice").results
    assert result.outcome is outcome


@pytest.mark.parametrize("engine", [Defect.RESPONSES_ABSENT], indirect=True)
def test_an_api_of_which_nobody_knows_keeps_no_revision_from_its_traffic(engine: Engine) -> None:
    report = checked(promised(engine, engine="ollama"), "chat", "second-turn-responses")
    assert report.passed
    assert outcomes(report, Outcome.NOTED)["second-turn-responses"].startswith("the endpoint refused (404)")


@pytest.mark.parametrize("engine", [Defect.ANY_MODEL], indirect=True)
def test_what_is_told_alone_is_no_report_that_passed(engine: Engine) -> None:
    report = checked(promised(engine), "unknown-model")
    assert not report.passed
    suite = parsed(report.as_junit())
    assert (suite.attrib["failures"], suite.attrib["skipped"]) == ("0", "0")
    assert NOBODY in (suite.findtext("testcase/system-out") or "")


@pytest.mark.parametrize("engine", [Defect.RESPONSES_SCHEMA], indirect=True)
def test_a_wrong_key_is_no_peculiarity_of_an_engine(engine: Engine) -> None:
    subject = without_key(promised(engine))
    for name in ("second-turn-responses", "schema-responses", "mistakes"):
        assert outcomes(checked(subject, name), Outcome.FAILED) == {
            name: "the endpoint refused (401): Invalid API key"
        }


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize(
    "name", ["unknown-model", "model-by-name", "no-vectors", "mistakes", "schema-responses"]
)
def test_a_refusal_for_now_is_no_trait_of_an_engine_and_no_refusal_for_good(
    engine: Engine, name: str, status: int
) -> None:
    engine.refuses = status
    (result,) = checked(promised(engine), name).results
    assert result.outcome is Outcome.FAILED
    assert result.detail == f"the endpoint refused ({status}): try again later"


@pytest.mark.parametrize(
    ("text", "leak"),
    [
        ("It is <b>15</b> C, a < b |> c", ""),
        ("a list <int> of x<|y", ""),
        ("<|channel>thought<channel|>It rains.", "<|channel> <channel|>"),
        ('<|tool_call>call:f{a:<|"|>b<|"|>}<tool_call|>', '<|tool_call> <|"|> <tool_call|>'),
        ("Paris.<|im_end|>", ""),
        ("Paris.<end_of_turn>", "<end_of_turn>"),
        ("<think>hm</think>", "<think> </think>"),
        ("[TOOL_CALLS]f", "[TOOL_CALLS]"),
    ],
)
def test_control_tokens_are_known_from_other_signs(text: str, leak: str) -> None:
    assert leaked(text) == leak


def test_a_line_separator_within_an_answer_does_not_end_an_event(engine: Engine) -> None:
    engine.says = "Rome\u2028is the capital\x85of\x0bItaly."
    assert checked(promised(engine), "chat", "stream").passed


def test_the_stop_strings_of_the_endpoint_count_beside_those_of_the_checks(engine: Engine) -> None:
    subject = promised(engine)
    endpoint = replace(subject.endpoint, stop=("eighteen",))
    assert outcomes(checked(replace(subject, endpoint=endpoint)), Outcome.FAILED) == {}


@pytest.mark.parametrize("engine", [Defect.WRONG_WEIGHTS], indirect=True)
def test_other_weights_are_seen_by_what_vllm_lists(engine: Engine) -> None:
    failed = outcomes(checked(promised(engine, engine="vllm"), "identity"), Outcome.FAILED)
    assert failed == {"identity": "the engine has loaded /weights/other.gguf, not /weights/rote.gguf"}


def test_weights_that_have_changed_on_disk_fail_the_identity(engine: Engine) -> None:
    failed = outcomes(checked(promised(engine, weights_intact=False)), Outcome.FAILED)
    assert failed == {
        "identity": "the weights have changed since they were checked: `homeport up` mends them"
    }


def test_weights_that_are_not_what_the_catalog_pins_fail_the_identity(engine: Engine) -> None:
    unlike = "wheel:tiny==1.0 is not what the catalog pins"
    failed = outcomes(checked(promised(engine, weights_unlike=unlike)), Outcome.FAILED)
    assert failed == {"identity": unlike}


def test_a_context_smaller_than_promised_fails_the_context(engine: Engine) -> None:
    failed = outcomes(checked(promised(engine, context=2 * CONTEXT)), Outcome.FAILED)
    assert failed == {"context": "the endpoint refused (400): the prompt has 780 tokens, the context 400"}


@pytest.mark.parametrize("engine", [Defect.METRICS_OPEN, Defect.INVOCATIONS_OPEN], indirect=True)
def test_of_all_paths_the_open_one_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "paths", lambda: ALL_PATHS)
    (result,) = checked(promised(engine), "key").results
    assert {line.split()[1] for line in result.evidence["problems"]} in ({"/metrics"}, {"/invocations"})


def test_the_key_check_asks_each_path_by_both_methods_with_no_key_and_with_a_wrong_one(
    engine: Engine,
) -> None:
    (result,) = checked(promised(engine), "key").results
    assert result.evidence["requests"] == 2 * len(FEW_PATHS.requests)


def without_key(subject: VerificationSubject) -> VerificationSubject:
    return replace(subject, endpoint=replace(subject.endpoint, api_key=None))


@pytest.mark.parametrize("engine", [Defect.ALL_OPEN], indirect=True)
def test_without_a_key_the_key_check_is_skipped_and_all_else_passes(engine: Engine) -> None:
    report = checked(without_key(promised(engine)))
    skipped = outcomes(report, Outcome.SKIPPED)
    assert skipped == {
        "key": "no key is set: all that runs on this machine, web pages in its browser too, can use it",
        "second-turn-native": "this engine has no such API",
    }
    assert report.passed


def test_a_key_that_is_wanted_but_not_known_is_said_to_be_wrong(engine: Engine) -> None:
    failed = outcomes(checked(without_key(promised(engine)), "identity", "chat"), Outcome.FAILED)
    assert failed == alike("the endpoint refused (401): Invalid API key", "identity", "chat")


@pytest.mark.parametrize(
    ("engine", "outcome", "detail"),
    [
        (Defect.PICTURE_SEEN, Outcome.PASSED, "a picture is 60 tokens; what is none gets 400"),
        (Defect.PICTURE_TAKEN, Outcome.NOTED, "what is no picture is taken for one"),
        (
            Defect.PICTURE_UNSEEN,
            Outcome.FAILED,
            "a picture adds no token to its prompt: 14 without, 14 with it",
        ),
        (None, Outcome.FAILED, "a picture is refused: the endpoint refused (400): it sees no images"),
    ],
    indirect=["engine"],
    ids=["seen", "anything taken", "passed over", "refused"],
)
def test_a_picture_that_was_promised_to_be_seen_adds_tokens(
    engine: Engine, outcome: Outcome, detail: str
) -> None:
    (found,) = checked(promised(engine, sees=True), "images").results
    assert (found.outcome, found.detail[: len(detail)]) == (outcome, detail)


_REFUSED = "a sound is refused: the endpoint refused (400): it hears nothing"
_NOBODY_TRIED = " (its weights hear, and nobody here has tried the engine with one that does)"


@pytest.mark.parametrize(
    ("engine", "hears", "outcome", "detail"),
    [
        (Defect.SOUND_HEARD, True, Outcome.PASSED, "1 s of sound is 25 tokens; what is none gets 400"),
        (Defect.SOUND_HEARD, None, Outcome.PASSED, "1 s of sound is 25 tokens; what is none gets 400"),
        (Defect.SOUND_TAKEN, True, Outcome.NOTED, f"what is no sound is taken for one {KNOWN}"),
        (
            Defect.SOUND_UNHEARD,
            True,
            Outcome.FAILED,
            "a sound adds no token to its prompt: 13 without, 13 with it",
        ),
        (None, True, Outcome.FAILED, _REFUSED),
        (None, None, Outcome.NOTED, _REFUSED + _NOBODY_TRIED),
        (None, False, Outcome.PASSED, "it hears nothing, and a sound is refused with 400"),
    ],
    indirect=["engine"],
    ids=["heard", "heard untried", "anything taken", "passed over", "refused", "refused untried", "deaf"],
)
def test_a_sound_that_was_promised_to_be_heard_adds_tokens(
    engine: Engine, hears: bool | None, outcome: Outcome, detail: str
) -> None:
    (found,) = checked(promised(engine, hears=hears), "sounds").results
    assert (found.outcome, found.detail) == (outcome, detail)


def test_a_pretrained_model_is_not_asked_for_tools(engine: Engine) -> None:
    report = checked(promised(engine, model="gemma-3-270m-pt", engine="ollama"))
    reason = "a pretrained model continues text; it was not trained to call tools"
    assert outcomes(report, Outcome.SKIPPED) == {
        **alike(reason, *WITH_TOOLS, "second-turn-native"),
        **alike("a pretrained model continues text; it has no chats", "images", "sounds"),
    }
    assert report.passed


def test_tools_that_are_not_promised_are_skipped(engine: Engine) -> None:
    skipped = outcomes(checked(promised(engine, tools=False)), Outcome.SKIPPED)
    assert set(skipped) == {*WITH_TOOLS, "second-turn-native"}
    assert skipped["tools"].startswith("no tool calls are promised")


def test_without_a_floor_the_score_of_the_whole_set_is_shown_and_not_judged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reasoning, "files", files)
    subject = promised(engine)
    report = checked(replace(subject, model=replace(subject.model, reasoning_floor=None)), "reasoning")
    said = "36 of 36 right (100%, 95 % interval 90% to 100%); not judged: no floor is stated for this model"
    assert outcomes(report, Outcome.SKIPPED) == {"reasoning": said}


@pytest.mark.parametrize("floor", [0.0, 0.9, 1.0])
def test_a_floor_within_the_interval_is_reached(engine: Engine, floor: float) -> None:
    subject = promised(engine)
    report = checked(replace(subject, model=replace(subject.model, reasoning_floor=floor)), "reasoning")
    assert report.passed


def test_when_the_engine_is_gone_the_next_check_fails_and_the_rest_is_skipped(engine: Engine) -> None:
    def ended(result: Result) -> None:
        if result.name == "max-tokens":
            engine.end()

    report = asyncio.run(verify(promised(engine), on_result=ended))
    failed, skipped = outcomes(report, Outcome.FAILED), outcomes(report, Outcome.SKIPPED)
    assert failed == {"json-schema": f"nothing answers at {engine.url}/v1"}
    assert skipped == alike(f"not checked: nothing answers at {engine.url}/v1 any more", *NAMES[7:])


@pytest.mark.parametrize("name", NAMES)
def test_every_check_says_that_the_engine_is_not_there(engine: Engine, name: str) -> None:
    engine.end()
    failed = outcomes(checked(promised(engine, engine="ollama"), name), Outcome.FAILED)
    assert failed[name].endswith(f"nothing answers at {engine.url}/v1")


@pytest.mark.parametrize("engine", [Defect.HTML], indirect=True)
@pytest.mark.parametrize("name", ["parallel", "reasoning"])
def test_a_check_that_breaks_leaves_no_request_behind(engine: Engine, name: str) -> None:
    async def left() -> int:
        await verify(promised(engine), only=(name,))
        return len(asyncio.all_tasks() - {asyncio.current_task()})

    assert asyncio.run(left()) == 0


async def _never(subject: VerificationSubject) -> Finding:
    await asyncio.Event().wait()
    raise AssertionError


async def _at_once(subject: VerificationSubject) -> Finding:
    return Finding(Outcome.PASSED, "yes")


def test_a_check_that_gets_no_answer_fails_when_patience_ends_and_the_next_one_runs(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = (Check("slow", "it answers", _never, 0.01), Check("quick", "it answers", _at_once))
    monkeypatch.setattr(runner, "CHECKS", checks)
    report = checked(promised(engine))
    assert outcomes(report, Outcome.FAILED) == {"slow": "no answer within 0 s"}
    assert outcomes(report, Outcome.PASSED) == {"quick": "yes"}


def test_only_the_named_checks_run_in_their_usual_order(engine: Engine) -> None:
    report = checked(promised(engine), "stop", "identity")
    assert [result.name for result in report.results] == ["identity", "stop"]


def test_a_name_that_is_no_check_is_rejected_with_those_that_are(engine: Engine) -> None:
    with pytest.raises(HomeportError, match="there is no check called colour") as raised:
        checked(promised(engine), "chat", "colour")
    assert raised.value.hint == f"there are {', '.join(NAMES)}"


def test_each_result_is_told_as_it_ends(engine: Engine) -> None:
    heard: list[Result] = []
    report = asyncio.run(verify(promised(engine), only=("chat", "stop"), on_result=heard.append))
    assert tuple(heard) == report.results


@pytest.mark.parametrize(
    "engine", [None, Defect.EMPTY, Defect.HTML], ids=["perfect", "empty", "html"], indirect=True
)
def test_a_report_survives_the_way_through_json(engine: Engine) -> None:
    report = checked(promised(engine))
    assert json.loads(json.dumps(report.as_json())) == report.as_json()


@pytest.mark.parametrize("engine", [Defect.JSON_PROSE], indirect=True)
def test_a_report_as_json_says_what_was_checked_and_what_came_of_it(engine: Engine) -> None:
    shown = checked(promised(engine), "json-schema").as_json()
    assert (shown["endpoint"], shown["model"], shown["engine"]) == ("home", MODEL, "llamacpp")
    assert shown["passed"] is False
    assert shown["results"][0]["evidence"] == {"answer": "Yes, Paris is in France."}


def report_of(*results: tuple[Outcome, str]) -> Report:
    return Report(
        endpoint="home",
        model=MODEL,
        engine="vllm",
        weights_digest="",
        started_at="2026-11-23T12:00:00+00:00",
        seconds=1.5,
        results=tuple(
            Result(name=f"check-{number}", title="", outcome=outcome, detail=detail, seconds=0.5, evidence={})
            for number, (outcome, detail) in enumerate(results)
        ),
    )


def parsed(junit: str) -> ET.Element:
    """The report as another program reads it from a file."""
    return ET.fromstring(junit.encode())  # noqa: S314 - our own


RESULTS = st.lists(st.tuples(st.sampled_from(Outcome), st.text()))


@settings(deadline=None)
@given(RESULTS)
def test_a_report_has_passed_when_something_passed_and_nothing_failed(
    results: list[tuple[Outcome, str]],
) -> None:
    seen = {outcome for outcome, _ in results}
    assert report_of(*results).passed == (
        seen - {Outcome.NOTED} in ({Outcome.PASSED}, {Outcome.PASSED, Outcome.SKIPPED})
    )


@settings(deadline=None)
@given(RESULTS)
def test_junit_counts_what_it_holds_whatever_the_details_say(results: list[tuple[Outcome, str]]) -> None:
    suite = parsed(report_of(*results).as_junit())
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase")) == len(results)
    for attribute, tag, outcome in (
        ("failures", "failure", Outcome.FAILED),
        ("skipped", "skipped", Outcome.SKIPPED),
    ):
        count = sum(found is outcome for found, _ in results)
        assert int(suite.attrib[attribute]) == len(suite.findall(f"testcase/{tag}")) == count


def test_junit_says_what_was_seen() -> None:
    results = ((Outcome.PASSED, "“yes” <é>"), (Outcome.FAILED, "no"), (Outcome.SKIPPED, "why"))
    suite = parsed(report_of(*results).as_junit())
    assert suite.findtext("testcase/system-out") == "“yes” <é>"
    assert [node.attrib["message"] for node in suite.findall("testcase/*[@message]")] == ["no", "why"]


def test_junit_is_utf_8_wherever_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda *_: "ISO-8859-1")
    monkeypatch.setattr("locale.getencoding", lambda *_: "ISO-8859-1", raising=False)
    suite = parsed(report_of((Outcome.PASSED, "é")).as_junit())
    assert suite.findtext("testcase/system-out") == "é"


@pytest.mark.parametrize(
    ("answer", "pattern", "right"),
    [
        ("The capital of France is Paris.", "paris", True),
        ("PARIS", "paris", True),
        ("**Paris**", "paris", True),
        ("Parisian", "paris", False),
        ("It is 4.", "4|four", True),
        ("2 + 2 = 4", "4|four", True),
        ("Four!", "4|four", True),
        ("14", "4|four", False),
        ("42", "4|four", False),
        ("4.5", "4|four", False),
        ("0.4", "4|four", False),
        ("fourteen", "4|four", False),
        ("$10", "10|ten", True),
        ("often", "10|ten", False),
        ("fifty-six", "56|fifty[- ]six", True),
        ("", "4|four", False),
    ],
)
def test_an_answer_is_right_when_it_holds_the_words_on_their_own(
    answer: str, pattern: str, right: bool
) -> None:
    assert is_right(answer, pattern) is right


SHARES = st.integers(1, 10_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count)))


@settings(deadline=None)
@given(SHARES)
def test_the_interval_holds_the_share(share: tuple[int, int]) -> None:
    right, count = share
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1


@settings(deadline=None)
@given(SHARES)
def test_one_more_right_answer_never_lowers_the_interval(share: tuple[int, int]) -> None:
    right, count = share
    low, high = wilson(right, count + 1)
    lower, higher = wilson(right + 1, count + 1)
    assert low <= lower
    assert high <= higher


@pytest.mark.parametrize(
    ("right", "count", "interval"),
    [(8, 10, (0.4902, 0.9433)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_the_interval_is_wilsons(right: int, count: int, interval: tuple[float, float]) -> None:
    assert wilson(right, count) == pytest.approx(interval, abs=1e-4)
