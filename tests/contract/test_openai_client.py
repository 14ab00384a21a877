"""The official OpenAI client is a judge of the endpoint that we did not write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

import homeport
from places import TAUGHT
from shared_endpoint import SharedEndpoint, shared_endpoint
from user import User

WEATHER: openai.types.chat.ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city, such as Paris"}},
            "required": ["city"],
        },
    },
}
QUESTION: list[openai.types.chat.ChatCompletionMessageParam] = [
    {"role": "user", "content": "What is the weather in Paris?"}
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedEndpoint]:
    """One endpoint for all of these tests: none of them changes it."""
    with shared_endpoint(tmp_path_factory.mktemp("shared")) as found:
        yield found


@pytest.fixture
def served(shared: SharedEndpoint, monkeypatch: pytest.MonkeyPatch) -> User:
    """Whoever it belongs to, who has its key."""
    monkeypatch.setenv("MY_KEY", "sk-here")
    return shared.user(
        monkeypatch,
        f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 1024\ntool_parser = "gemma4"\n'
        '[local]\nport = 0\napi_key = "env:MY_KEY"\n',
    )


@pytest.fixture
def client(served: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[openai.OpenAI]:
    """A client that found the endpoint as any would: by what `homeport env` prints."""
    for name, value in homeport.connect("home").env().items():
        monkeypatch.setenv(name, value)
    with openai.OpenAI() as client:
        yield client


@pytest.fixture
def model(client: openai.OpenAI) -> str:
    return client.models.list().data[0].id


def test_chat(client: openai.OpenAI, model: str) -> None:
    completion = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=8)
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert completion.usage.completion_tokens <= 8


def test_stream(client: openai.OpenAI, model: str) -> None:
    stream = client.chat.completions.create(
        model=model, messages=QUESTION, max_tokens=8, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert chunks[-1].usage is not None


def test_tools_called_and_answered(client: openai.OpenAI, model: str) -> None:
    asked = client.chat.completions.create(model=model, messages=QUESTION, tools=[WEATHER], temperature=0)
    calls = asked.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"
    assert calls[0].function.name == "get_weather"
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}


def test_json_schema(client: openai.OpenAI, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    completion = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "A number as JSON."}],
        max_tokens=64,
        temperature=0,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        },
    )
    assert (completion.choices[0].message.content or "").lstrip().startswith("{")


def test_embeddings_are_refused_clearly_where_the_model_has_none(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.APIStatusError, match="does not support embeddings"):
        client.with_options(max_retries=0).embeddings.create(model=model, input="hello")


def test_a_wrong_key_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


def test_a_web_page_elsewhere_is_not_let_in_by_the_browser(client: openai.OpenAI) -> None:
    listed = client.models.with_raw_response.list(extra_headers={"Origin": "https://elsewhere.example"})
    assert "elsewhere" not in listed.headers.get("access-control-allow-origin", "")
    assert listed.headers.get("access-control-allow-origin") != "*"


def test_a_tool_calling_model_passes_every_check(served: User, tmp_path: Path) -> None:
    junit = tmp_path / "report.xml"
    report = served.run("verify", "--json", "--junit", str(junit), code=None).json
    outcomes = {result["name"]: result["outcome"] for result in report["results"]}
    assert outcomes["tools"] == outcomes["tools-stream"] == outcomes["key"] == "passed"
    assert 'name="tools"' in junit.read_text()
