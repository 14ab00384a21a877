"""curl, with the variables that `homeport env --for curl` sets, and as the line reads that it tells."""

import json
import re
import subprocess

from said import HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, tell_of

CURL = """curl --silent --no-buffer --fail-with-body "$OPENAI_BASE_URL/chat/completions" \
-H "Authorization: Bearer $OPENAI_API_KEY" -H 'Content-Type: application/json' -d "$1" """


def typed(text, key=None, **more):
    body = json.dumps(
        {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 48, **more}
    )
    line = f"OPENAI_API_KEY={key}; {CURL}" if key else CURL
    ran = subprocess.run(["sh", "-c", line, "sh", body], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stdout)
    return ran.stdout


def message(text, **more):
    return json.loads(typed(text, **more))["choices"][0]["message"]


def chat():
    return message(HELLO)["content"]


def stream():
    events = [line.removeprefix("data: ") for line in typed(HELLO, stream=True).splitlines() if line]
    if events.pop() != "[DONE]":
        raise ValueError("the stream does not end as it should")
    deltas = [json.loads(event)["choices"][0]["delta"].get("content") for event in events]
    return [one for one in deltas if one]


def tool():
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Get the weather.", "parameters": parameters}
    answer = message(WEATHER, tools=[{"type": "function", "function": function}])
    return json.loads(answer["tool_calls"][0]["function"]["arguments"])


def structured():
    schema = {"name": "weather", "strict": True, "schema": Weather.model_json_schema()}
    answer = message(SHAPE, response_format={"type": "json_schema", "json_schema": schema})
    return Weather.model_validate_json(answer["content"]).model_dump()


def wrong_key():
    return typed(HELLO, key=WRONG)


version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
tell_of(
    re.match(r"curl (\S+)", version)[1],
    {"chat": chat, "stream": stream, "tool": tool, "structured": structured, "wrong_key": wrong_key},
)
