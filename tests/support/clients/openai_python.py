"""openai, as its README shows it."""

import json

import openai
from said import HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, tell

client = openai.OpenAI()
asked = {"model": MODEL, "max_tokens": 24}


def messages(text):
    return [{"role": "user", "content": text}]


def chat():
    return client.chat.completions.create(messages=messages(HELLO), **asked).choices[0].message.content


def stream():
    pieces = client.chat.completions.create(messages=messages(HELLO), stream=True, **asked)
    return [one.choices[0].delta.content for one in pieces if one.choices and one.choices[0].delta.content]


def tool():
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Get the weather.", "parameters": parameters}
    answer = client.chat.completions.create(
        messages=messages(WEATHER), tools=[{"type": "function", "function": function}], **asked
    )
    return json.loads(answer.choices[0].message.tool_calls[0].function.arguments)


def structured():
    answer = client.chat.completions.parse(messages=messages(SHAPE), response_format=Weather, model=MODEL)
    return answer.choices[0].message.parsed.model_dump()


def wrong_key():
    return client.with_options(api_key=WRONG).chat.completions.create(messages=messages(HELLO), **asked)


tell("openai", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
