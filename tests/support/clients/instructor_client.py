"""instructor around OpenAI's client; by a schema, as a named `tool_choice` is not honoured by every engine."""

import instructor
import openai
from said import HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, tell

client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.JSON_SCHEMA)


def messages(text):
    return [{"role": "user", "content": text}]


def chat():
    return client.chat.completions.create(
        model=MODEL, messages=messages(HELLO), response_model=None, max_tokens=24
    ).choices[0].message.content  # fmt: skip


def stream():
    pieces = client.chat.completions.create_partial(
        model=MODEL, messages=messages(SHAPE), response_model=Weather
    )
    return [piece.model_dump() for piece in pieces]


def structured():
    return client.chat.completions.create(
        model=MODEL, messages=messages(SHAPE), response_model=Weather
    ).model_dump()  # fmt: skip


def wrong_key():
    other = instructor.from_openai(openai.OpenAI(api_key=WRONG), mode=instructor.Mode.JSON_SCHEMA)
    return other.chat.completions.create(
        model=MODEL, messages=messages(WEATHER), response_model=Weather, max_retries=0
    )


tell("instructor", chat=chat, stream=stream, structured=structured, wrong_key=wrong_key)
