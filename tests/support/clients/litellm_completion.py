"""LiteLLM, by the line that `homeport env --for litellm` tells."""

import json

import litellm
from said import HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, tell

asked = {"model": f"openai/{MODEL}", "max_tokens": 48}


def messages(text):
    return [{"role": "user", "content": text}]


def chat():
    return litellm.completion(messages=messages(HELLO), **asked).choices[0].message.content


def stream():
    pieces = litellm.completion(messages=messages(HELLO), stream=True, **asked)
    return [piece.choices[0].delta.content for piece in pieces if piece.choices[0].delta.content]


def tool():
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "get_weather", "description": "Get the weather.", "parameters": parameters}
    answer = litellm.completion(
        messages=messages(WEATHER), tools=[{"type": "function", "function": function}], **asked
    )
    return json.loads(answer.choices[0].message.tool_calls[0].function.arguments)


def structured():
    answer = litellm.completion(messages=messages(SHAPE), response_format=Weather, **asked)
    return Weather.model_validate_json(answer.choices[0].message.content).model_dump()


def wrong_key():
    return litellm.completion(messages=messages(HELLO), api_key=WRONG, **asked)


tell("litellm", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
