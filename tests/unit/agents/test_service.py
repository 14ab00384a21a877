"""An agent over HTTP: OpenAI's own client is answered, each request has its budget, and whoever leaves ends their run."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from homeport import addresses
from homeport.agents.budget import Budget, Spent
from homeport.agents.builtin import calculate
from homeport.agents.loop import AgentResult, AgentSetup
from homeport.agents.service import a2a
from homeport.agents.service.app import on_port
from homeport.agents.service.served import ServedAgent
from homeport.agents.tool import tool_of
from homeport.agents.transcript import read
from homeport.secret import Secret
from private_service import Service as PrivateService
from private_service import reached
from scripted_engine import EngineReply
from tool_script import ToolScript

KEY = "hp-test"
CALL = [("calculate", {"expression": "6*7"})]
ASKED: list[Any] = [{"role": "user", "content": "What is 6*7?"}]
CALCULATOR = tool_of(calculate, changes=False)
OWN_NAMES = re.compile(r"\b(?!SendMessage\b)_?[A-Z][a-z0-9]+[A-Z]\w+")
"""Of classes: nothing else that is told here is written so, but the method."""


class Service:
    """An agent that is served while a test asks it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[str] = []
        self.ended = asyncio.Event()
        self.url = ""

    def agent(self, engine: ToolScript, **more: Any) -> ServedAgent:
        setup = AgentSetup(endpoint=engine.endpoint, tools=[CALCULATOR])
        return ServedAgent(
            name="helper",
            setup=replace(setup, **more),
            key=Secret(KEY),
            transcripts=self.folder,
            tell=self._hear,
        )

    def __call__(self, agent: ServedAgent, work: Callable[[Service], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            async with on_port(agent, addresses.listen(0, str)) as self.url:
                await work(self)

        asyncio.run(all_of_it())

    @asynccontextmanager
    async def client(self, key: str = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
        async with openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key) as client:
            yield client

    async def sent(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        given = {"authorization": f"Bearer {KEY}", **headers}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx2.AsyncClient(trust_env=False, verify=False) as client:
            method = "GET" if body is None else "POST"
            return await client.request(
                method, f"{self.url}{path}", headers=given, content=None if body is None else content
            )

    def _hear(self, line: str) -> None:
        self.told.append(line)
        self.ended.set()

    @property
    def runs(self) -> list[list[dict[str, Any]]]:
        return [read(path) for path in sorted(self.folder.glob("*.jsonl"))]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "transcripts")


def test_openais_client_gets_the_answer_that_a_tool_was_called_for(service: Service) -> None:
    async def ask(at: Service) -> None:
        async with at.client() as client:
            (model,) = (await client.models.list()).data
            assert model.id == "helper"
            assert (await client.models.retrieve("helper")).owned_by == "homeport"
            answer = await client.chat.completions.create(model="helper", messages=ASKED)
        (choice,) = answer.choices
        assert (choice.message.content, choice.finish_reason) == ("It is 42.", "stop")
        assert answer.usage is not None
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0

    with ToolScript(CALL, "It is 42.") as engine:
        service(service.agent(engine), ask)
        assert engine.results() == ["42"]
    ((run, *_, end),) = service.runs
    assert (run["question"], end["outcome"]) == ("What is 6*7?", "answered")
    (line,) = service.told
    assert line.startswith("answered after 2 steps and 1 tool call, ")
    for said in ("6*7", "It is 42"):  # Not 42: the line names a file by the time.
        assert said not in line, "what was said stands in the transcript alone"


def test_a_stream_tells_what_is_done_meanwhile_and_then_the_answer(service: Service) -> None:
    async def ask(at: Service) -> None:
        async with at.client() as client:
            stream = await client.chat.completions.create(
                model="helper", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
            chunks = [one async for one in stream]
        deltas = [one.choices[0].delta for one in chunks if one.choices]
        assert "".join(one.content or "" for one in deltas) == "It is 42."
        thoughts = "".join(getattr(one, "reasoning_content", None) or "" for one in deltas)
        assert thoughts == 'calculate({"expression": "6*7"})\ncalculate: 42\n'
        assert len({one.id for one in chunks}) == 1
        assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
        assert chunks[-1].usage is not None

    with ToolScript(CALL, "It is 42.") as engine:
        service(service.agent(engine), ask)


def test_a_conversation_goes_to_the_model_with_the_agents_own_instructions_first(service: Service) -> None:
    said: list[Any] = [
        {"role": "system", "content": "Speak French."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Bonjour."},
        {"role": "user", "content": [{"type": "text", "text": "What is 6*7?"}]},
    ]

    async def ask(at: Service) -> None:
        async with at.client() as client:
            await client.chat.completions.create(model="helper", messages=said, max_tokens=9, temperature=0.5)

    with ToolScript("42.") as engine:
        service(service.agent(engine, instructions="Be brief."), ask)
        (request,) = engine.requests
    told = [(one["role"], one["content"]) for one in request["messages"]]
    assert told[0] == ("system", "Be brief.\n\nSpeak French.")
    assert told[1:] == [("user", "Hello."), ("assistant", "Bonjour."), ("user", "What is 6*7?")]
    assert (request["max_tokens"], request["temperature"]) == (9, 0.5)


def test_each_request_has_a_budget_of_its_own_and_is_not_begun_again(service: Service) -> None:
    async def ask(at: Service) -> None:
        async with at.client() as client:
            for _ in range(2):
                with pytest.raises(openai.UnprocessableEntityError, match="budget of 1 step ") as stopped:
                    await client.chat.completions.create(model="helper", messages=ASKED)
                assert stopped.value.type == "agent_stopped"

    with ToolScript(CALL) as engine:
        service(service.agent(engine, budget=Budget(steps=1)), ask)
        assert len(engine.requests) == 2
    assert [run[-1]["outcome"] for run in service.runs] == ["stopped", "stopped"]


def test_a_tool_that_may_change_something_is_refused_and_the_model_is_told(service: Service) -> None:
    ran: list[str] = []

    def erase(name: str) -> str:
        """Erase a file."""
        ran.append(name)
        return "gone"

    async def ask(at: Service) -> None:
        async with at.client() as client:
            await client.chat.completions.create(model="helper", messages=ASKED)

    with ToolScript([("erase", {"name": "all"})], "I would have erased all.") as engine:
        service(service.agent(engine, tools=[tool_of(erase)]), ask)
        assert engine.results()[0].startswith("refused: erase may change something")
    assert ran == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_ends_its_run_and_the_transcript_says_so(
    service: Service, *, streamed: bool
) -> None:
    begun, left = threading.Event(), threading.Event()

    def slow(number: int) -> None:
        begun.set()
        left.wait(120)

    async def ask(at: Service) -> None:
        body = {"model": "helper", "messages": ASKED, "stream": streamed}
        sending = asyncio.ensure_future(at.sent("/v1/chat/completions", body))
        await asyncio.to_thread(begun.wait, 120)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        async with asyncio.timeout(120):
            await at.ended.wait()
        assert (await at.sent("/healthz")).json()["status"] == "ok"
        left.set()

    with ToolScript(CALL, "It is 42.", before=slow) as engine:
        service(service.agent(engine), ask)
        assert len(engine.requests) == 1, "nothing more was asked of the model"
    assert service.told[0].startswith("interrupted")
    assert service.runs[0][-1]["outcome"] == "interrupted"


def test_a_tool_that_raises_and_arguments_that_are_no_json_are_told_to_the_model(service: Service) -> None:
    def broken(expression: str) -> str:
        """Break."""
        raise RuntimeError("out of luck")

    async def ask(at: Service) -> None:
        async with at.client() as client:
            answer = await client.chat.completions.create(model="helper", messages=ASKED)
            assert answer.choices[0].message.content == "I cannot."

    with ToolScript([("broken", {"expression": "1"})], [("broken", "{no json")], "I cannot.") as engine:
        service(service.agent(engine, tools=[tool_of(broken, changes=False)]), ask)
    outcomes = [one["outcome"] for one in service.runs[0] if one["event"] == "result"]
    assert outcomes == ["failed", "invalid"]


@pytest.mark.parametrize("streamed", [False, True])
def test_an_endpoint_that_goes_away_is_told_to_the_client_once(service: Service, *, streamed: bool) -> None:
    async def ask(at: Service) -> None:
        engine.end()
        async with at.client() as client:
            with pytest.raises(openai.APIError, match="nothing answers at"):
                await _all_of(client, streamed=streamed)

    with ToolScript("never") as engine:
        service(service.agent(engine), ask)
    assert len(service.runs) == 1, "it was not begun again"
    assert service.runs[0][-1]["outcome"] == "failed"


LLAMACPP = {
    "code": 400,
    "message": "request (7007 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 7007,
    "n_ctx": 4096,
}
VLLM = {
    "message": "You passed 2049 input tokens and requested 0 output tokens. However, the model's context length is only "
    "2048 tokens, resulting in a maximum input length of 2048 tokens. Please reduce the length of the input prompt.",
    "type": "BadRequestError",
    "param": "input_tokens",
    "code": 400,
}
OLDER_VLLM = {
    "message": "This model's maximum context length is 4096 tokens. However, you requested 6616 tokens.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
GUARD = {
    "message": "a prompt matches (refused by the gateway: match)",
    "type": "invalid_request_error",
    "param": None,
    "code": "content_filter",
}
AT_THE_EDGE = {
    "type": "bad_request_error",
    "message": "Malicious trial",
    "param": "",
    "code": "bad_request_error",
}
"""As the guide of Model Armor shows it for a load balancer, whose template may name another status than 403."""
SET_UP_WRONGLY = {
    "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}
PLAIN = {"message": "no", "type": "error", "code": None}


class Refusing(ToolScript):
    """Refuses each question in words of its own."""

    def __init__(self, status: int, error: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__("never")
        self._reply = EngineReply(status, {"error": error}, headers=headers or {})

    def _chat(self, request: Any) -> EngineReply:
        super()._chat(request)
        return self._reply


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "error", "told", "code"),
    [
        (400, LLAMACPP, 400, "context_length_exceeded"),
        (400, VLLM, 400, "context_length_exceeded"),
        (400, OLDER_VLLM, 400, "context_length_exceeded"),
        (413, PLAIN, 413, 413),
        (400, GUARD, 400, "content_filter"),
        (403, AT_THE_EDGE, 400, "content_filter"),
        (451, AT_THE_EDGE, 400, "content_filter"),
        (400, SET_UP_WRONGLY, 502, 502),
        (422, PLAIN, 502, 502),
        (429, PLAIN, 429, 429),
        (503, PLAIN, 503, 503),
        (401, PLAIN, 502, 502),
        (403, PLAIN, 502, 502),
        (404, PLAIN, 502, 502),
        (500, PLAIN, 502, 502),
    ],
    ids=[
        *("too long for llama.cpp", "too long for vLLM", "too long for an older vLLM", "too large"),
        *("screened", "screened at the edge", "screened with a status of its own", "set up wrongly"),
        *("not processable", "too many", "busy", "a wrong key", "not allowed", "not there", "broken"),
    ],
)
def test_a_refusal_of_the_model_is_the_clients_where_other_words_mend_it_and_else_the_agents(
    service: Service, status: int, error: Any, told: int, code: int | str, *, streamed: bool
) -> None:
    async def ask(at: Service) -> None:
        body = {"model": "helper", "messages": ASKED, "stream": streamed}
        answer = await at.sent("/v1/chat/completions", body)
        if not streamed:
            assert answer.status_code == told
            assert answer.headers["x-should-retry"] == "false"
        last = answer.text.strip().split("data: ")[-1] if streamed else answer.text
        assert json.loads(last)["error"]["code"] == code
        message = json.loads(last)["error"]["message"]
        assert error["message"] in message
        assert "identity" not in message or (status, code) == (403, 502)

    with Refusing(status, error) as engine:
        service(service.agent(engine), ask)
        assert len(engine.requests) == 1, "it was not asked again"


UNSUPPORTED = {
    "message": "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
    "type": "invalid_request_error",
    "param": "temperature",
    "code": "unsupported_value",
}


@pytest.mark.parametrize("streamed", [False, True])
def test_a_setting_that_the_model_refuses_is_the_clients_fault_where_the_client_has_said_it(
    service: Service, *, streamed: bool
) -> None:
    async def ask(at: Service) -> None:
        for own, told in (({"temperature": 0.2}, 400), ({"max_tokens": 9}, 502), ({}, 502)):
            body = {"model": "helper", "messages": ASKED, "stream": streamed, **own}
            answer = await at.sent("/v1/chat/completions", body)
            last = answer.text.strip().split("data: ")[-1] if streamed else answer.text
            error = json.loads(last)["error"]
            assert streamed or answer.status_code == told
            assert error["code"] == told
            assert UNSUPPORTED["message"] in error["message"]

    with Refusing(400, UNSUPPORTED) as engine:
        service(service.agent(engine, temperature=0.2), ask)


def test_a_bound_that_is_not_sent_as_the_client_said_it_is_not_the_clients_fault(service: Service) -> None:
    async def ask(at: Service) -> None:
        for said, told in ((100_000, 502), (2048, 502), (2047, 400)):
            body = {"model": "helper", "messages": ASKED, "max_tokens": said}
            assert (await at.sent("/v1/chat/completions", body)).status_code == told, said

    with Refusing(400, {**UNSUPPORTED, "message": "max_tokens is too large", "code": None}) as engine:
        service(service.agent(engine), ask)


@pytest.mark.parametrize(("status", "told"), [(429, "17"), (503, "17"), (500, None)])
def test_the_client_hears_how_long_the_model_wants_to_be_left_alone(
    service: Service, status: int, told: str | None
) -> None:
    async def ask(at: Service) -> None:
        answer = await at.sent("/v1/chat/completions", {"model": "helper", "messages": ASKED})
        assert answer.headers.get("retry-after") == told

    with Refusing(status, PLAIN, {"Retry-After": "17"}) as engine:
        service(service.agent(engine), ask)


def test_a_limit_before_a_model_that_is_awake_is_handed_on_and_not_waited_out(service: Service) -> None:
    model = PrivateService()

    async def scene() -> None:
        async with reached(model) as endpoint:
            agent = replace(service.agent(never), setup=AgentSetup(endpoint=endpoint))
            async with on_port(agent, addresses.listen(0, str)) as service.url:
                for starting, told, asked in ([429, 503], 200, 3), ([429] * 9, 429, 4), ([503] * 9, 503, 5):
                    model.starting = deque(starting)
                    answer = await service.sent(
                        "/v1/chat/completions", {"model": "helper", "messages": ASKED}
                    )
                    assert (answer.status_code, model.asked) == (told, asked), answer.text
                    assert answer.headers.get("retry-after") == (None if told == 200 else "0")

    with ToolScript("never") as never:
        asyncio.run(scene())


def test_an_answer_that_a_filter_withholds_is_refused_and_one_that_it_cuts_says_so(service: Service) -> None:
    class Screened(ToolScript):
        def _called(self, *, streamed: bool) -> tuple[dict[str, Any], str]:
            message, _ = super()._called(streamed=streamed)
            return message, "content_filter"

    async def ask(at: Service) -> None:
        async with at.client() as client:
            cut = await client.chat.completions.create(model="helper", messages=ASKED)
            assert (cut.choices[0].message.content, cut.choices[0].finish_reason) == (
                "It is",
                "content_filter",
            )
            with pytest.raises(openai.BadRequestError, match="a filter withheld") as withheld:
                await client.chat.completions.create(model="helper", messages=ASKED)
        assert withheld.value.code == "content_filter"

    with Screened("It is", "") as engine:
        service(service.agent(engine), ask)


@pytest.mark.parametrize(("status", "error", "code"), [(400, LLAMACPP, -32602), (401, PLAIN, -32603)])
def test_another_agent_hears_whether_its_message_or_the_agent_is_wrong(
    service: Service, status: int, error: Any, code: int
) -> None:
    async def ask(at: Service) -> None:
        answer = await at.sent("/a2a", sent())
        assert answer.json()["error"]["code"] == code

    with Refusing(status, error) as engine:
        service(service.agent(engine), ask)


def test_of_many_clients_no_more_run_at_once_than_are_let_in(service: Service) -> None:
    """Each run begins the MCP servers for itself, which are processes. Those who wait are answered, too."""
    asked = threading.Condition()
    now = most = 0

    def before(number: int) -> None:
        nonlocal now, most
        with asked:
            now, most = now + 1, max(most, now + 1)
            asked.notify_all()
            asked.wait_for(lambda: now > 2, timeout=0.2 if number < 3 else 0)  # Would another come meanwhile?
            now -= 1

    async def ask(at: Service) -> None:
        async with at.client() as client:
            await asyncio.gather(*(_all_of(client, streamed=streamed) for streamed in (False, True) * 4))

    with ToolScript("Hello.", before=before) as engine:
        service(replace(service.agent(engine), at_once=asyncio.Semaphore(2)), ask)
    assert most <= 2
    assert [run[-1]["outcome"] for run in service.runs] == ["answered"] * 8


def test_a_question_whose_mcp_server_is_not_there_is_told_in_its_transcript(service: Service) -> None:
    server = "http://127.0.0.1:9/mcp"

    async def ask(at: Service) -> None:
        async with at.client() as client:
            with pytest.raises(openai.APIStatusError, match="cannot be reached") as refused:
                await _all_of(client, streamed=False)
        assert refused.value.status_code == 502

    with ToolScript("never") as engine:
        service(replace(service.agent(engine), mcp=[server]), ask)
        assert engine.requests == []
    ((begin, end),) = service.runs
    assert (begin["event"], begin["question"]) == ("run", "What is 6*7?")
    assert (end["event"], end["outcome"]) == ("end", "failed")
    assert f"the MCP server {server} cannot be reached: " in end["error"]


async def _all_of(client: openai.AsyncOpenAI, *, streamed: bool) -> None:
    if not streamed:
        await client.chat.completions.create(model="helper", messages=ASKED)
        return
    async for _ in await client.chat.completions.create(model="helper", messages=ASKED, stream=True):
        pass


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        ([], 400, "JSON object"),
        ({"model": "helper", "messages": []}, 400, "messages"),
        ({"model": "other", "messages": ASKED}, 404, "there is no model 'other' here, but helper"),
        ({"model": "helper", "messages": ASKED, "tools": [{}]}, 400, "tools of its own"),
        ({"model": "helper", "messages": ASKED, "n": 2}, 400, "answered once"),
        ({"model": "helper", "messages": ASKED, "top_p": 0.5}, 400, "top_p is not taken"),
        ({"model": "helper", "messages": ASKED, "str": 1}, 400, "str is not taken"),
        ({"model": "helper", "messages": ASKED, "list[x]": 1}, 400, "list[x] is not taken"),
        ({"model": "helper", "messages": [{"role": "tool", "content": "x"}]}, 400, "role"),
        ({"model": "helper", "messages": [{"role": "assistant", "content": "x"}]}, 400, "the user's"),
        ({"model": "helper", "messages": [{"role": "user", "content": "x" * 2**22}]}, 413, "bytes"),
        (b'{"model": "helper", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, "half of a pair"),
        (
            b'{"model": "helper", "stream": true, "messages": [{"role": "user", "content": "\\udfff"}]}',
            400,
            "half of a pair",
        ),
        (b"[" * 100_000, 400, "nested too deeply"),
    ],
)
def test_what_cannot_be_answered_as_asked_is_refused_before_the_model_is(
    service: Service, body: Any, status: int, words: str
) -> None:
    async def ask(at: Service) -> None:
        answer = await at.sent("/v1/chat/completions", body)
        assert answer.status_code == status
        assert words in answer.json()["error"]["message"]

    with ToolScript("never") as engine:
        service(service.agent(engine), ask)
        assert engine.requests == []


def test_what_says_nothing_about_the_answer_may_be_sent(service: Service) -> None:
    async def ask(at: Service) -> None:
        async with at.client() as client:
            await client.chat.completions.create(
                model="helper",
                messages=ASKED,
                user="me",
                n=1,
                tools=[],
                response_format={"type": "text"},
                seed=None,
            )

    with ToolScript("42.") as engine:
        service(service.agent(engine), ask)


def test_the_door_wants_the_key_and_keeps_web_pages_out(service: Service) -> None:
    body = {"model": "helper", "messages": ASKED}

    async def ask(at: Service) -> None:
        async with at.client("hp-wrong") as client:
            with pytest.raises(openai.AuthenticationError, match="agent serve"):
                await client.models.list()
        keyless = [
            await at.sent("/v1/models", authorization=""),
            await at.sent("/a2a", body, authorization=""),
            await at.sent("/nothing", authorization=""),
        ]
        assert [one.status_code for one in keyless] == [401] * 3
        for path in ("/healthz", "/.well-known/agent-card.json"):
            assert (await at.sent(path, authorization="")).status_code == 200
            assert (await at.sent(path, origin="https://evil.example")).status_code == 403
            assert (await at.sent(path, host="evil.example")).status_code == 403
        assert (await at.sent("/v1/chat/completions", body, host="evil.example")).status_code == 403
        assert (await at.sent("/nothing")).status_code == 404
        assert (await at.sent("/v1/chat/completions")).status_code == 405

    with ToolScript("never") as engine:
        service(service.agent(engine), ask)
        assert engine.requests == []


def sent(**message: Any) -> dict[str, Any]:
    given = {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "What is 6*7?"}], **message}
    return {"jsonrpc": "2.0", "id": 7, "method": "SendMessage", "params": {"message": given}}


def configured(configuration: Any) -> dict[str, Any]:
    body = sent()
    return {**body, "params": {**body["params"], "configuration": configuration}}


def test_another_agent_reads_the_card_and_its_message_is_answered(service: Service) -> None:
    async def ask(at: Service) -> None:
        card = (await at.sent("/.well-known/agent-card.json")).json()
        (interface,) = card["supportedInterfaces"]
        assert interface == {"url": f"{at.url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        assert card["skills"][0]["tags"] == ["calculate"]
        answer = (await at.sent("/a2a", sent(contextId="c"))).json()
        message = answer["result"]["message"]
        assert (answer["id"], message["role"], message["contextId"]) == (7, "ROLE_AGENT", "c")
        assert message["parts"] == [{"text": "It is 42."}]

    with ToolScript(CALL, "It is 42.") as engine:
        service(service.agent(engine), ask)


@pytest.mark.parametrize(
    "body",
    [
        sent(contextId=None, taskId=None, metadata=None, extensions=None, referenceTaskIds=None),
        configured(None),
        configured({"acceptedOutputModes": None, "taskPushNotificationConfig": None, "historyLength": None}),
        configured({"acceptedOutputModes": []}),
        configured({"acceptedOutputModes": ["image/png", "Text/Plain; charset=utf-8"]}),
        sent(parts=[{"text": "What is 6*7?", "url": None, "raw": None, "data": None, "mediaType": None}]),
        sent(role=1),
        sent(messageId=None, message_id="1"),
    ],
)
def test_null_is_what_is_not_set_as_in_json_of_protocol_buffers(service: Service, body: Any) -> None:
    async def ask(at: Service) -> None:
        answer = (await at.sent("/a2a", body)).json()
        assert answer["result"]["message"]["parts"] == [{"text": "It is 42."}]

    with ToolScript("It is 42.") as engine:
        service(service.agent(engine), ask)
        (request,) = engine.requests
    assert request["messages"][-1]["content"] == "What is 6*7?"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stream_options": []}, "stream_options: Input should be an object"),
        ({"messages": [3]}, "messages.0: Input should be an object"),
        ({"messages": [{"role": "user", "content": [3]}]}, "messages.0.content.0: Input should be an object"),
    ],
)
def test_a_request_of_the_wrong_shape_is_told_by_the_clients_names(
    service: Service, more: dict[str, Any], said: str
) -> None:
    async def ask(at: Service) -> None:
        answer = await at.sent("/v1/chat/completions", {"model": "helper", "messages": ASKED, **more})
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert said in message
        assert not OWN_NAMES.search(message)

    with ToolScript("never") as engine:
        service(service.agent(engine), ask)


@pytest.mark.parametrize(
    ("body", "version", "code"),
    [
        (b"{", "1.0", -32700),
        ([], "1.0", -32600),
        ({**sent(), "method": "GetTask"}, "1.0", -32001),
        ({**sent(), "method": "SendStreamingMessage"}, "1.0", -32004),
        ({**sent(), "method": "message/send"}, "1.0", -32601),
        (sent(parts=[]), "1.0", -32602),
        (sent(parts=[{"url": "https://example.com/x"}]), "1.0", -32005),
        (sent(), "0.3", -32009),
        ({**sent(), "id": None}, "1.0", -32600),
        ({**sent(), "id": True}, "1.0", -32600),
        ({**sent(), "id": 1.5}, "1.0", -32600),
        ({**sent(), "params": []}, "1.0", -32602),
        (json.dumps(sent(parts=[{"text": "\ud800"}])).encode(), "1.0", -32700),
        (b"[" * 100_000, "1.0", -32700),
        (sent(parts=[{"text": " "}]), "1.0", -32602),
        (sent(taskId="t"), "1.0", -32001),
        (configured({"taskPushNotificationConfig": {"url": "https://x"}}), "1.0", -32003),
        (configured({"pushNotificationConfig": {"url": "https://x"}}), "1.0", -32003),
        (configured({"acceptedOutputModes": ["image/png", "application/json"]}), "1.0", -32005),
        (configured({"acceptedOutputModes": [None]}), "1.0", -32602),
        (configured([]), "1.0", -32602),
        (sent(parts=[{"text": "Look:", "url": "https://example.com/x"}]), "1.0", -32005),
        (sent(parts=[{"text": None}]), "1.0", -32005),
        (sent(parts=[None]), "1.0", -32602),
        (sent(parts=None), "1.0", -32602),
        (sent(role=2), "1.0", -32602),
        (sent(messageId=None), "1.0", -32602),
        ({**sent(), "params": {"message": None}}, "1.0", -32602),
        *(
            ({**sent(), "method": f"{verb}TaskPushNotificationConfig{plural}"}, "1.0", -32003)
            for verb, plural in (("Create", ""), ("Get", ""), ("List", "s"), ("Delete", ""))
        ),
    ],
)
def test_what_the_protocol_has_no_answer_for_gets_its_code(
    service: Service, body: Any, version: str, code: int
) -> None:
    async def ask(at: Service) -> None:
        answer = await at.sent("/a2a", body, **{"a2a-version": version})
        error = answer.json()["error"]
        assert error["code"] == code
        assert not OWN_NAMES.search(error["message"]), (
            "names of homeport's own classes tell a stranger nothing"
        )

    with ToolScript("never") as engine:
        service(service.agent(engine), ask)
        assert engine.requests == []


def test_a2a_tells_of_an_answer_that_was_cut_off() -> None:
    message = a2a.sent_message(json.dumps(sent()).encode(), None)
    whole = AgentResult(answer="It is", spent=Spent(), messages=[])
    assert "metadata" not in message.answered(whole)["result"]["message"]
    told = message.answered(replace(whole, cut="cut after 8 tokens"))["result"]["message"]
    assert told["metadata"] == {"finishReason": "length"}
