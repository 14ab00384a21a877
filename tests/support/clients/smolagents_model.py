"""smolagents' model for APIs like OpenAI's."""

import json

from said import BASE, HELLO, KEY, MODEL, SHAPE, WEATHER, WRONG, Weather, tell
from smolagents import ChatMessage, OpenAIModel, Tool
from smolagents.models import MessageRole

model = OpenAIModel(model_id=MODEL, api_base=BASE, api_key=KEY, max_tokens=48)


class WeatherTool(Tool):
    name = "get_weather"
    description = "Get the current weather in a city."
    inputs = {"city": {"type": "string", "description": "The city, such as Paris"}}  # noqa: RUF012 - as its docs
    output_type = "string"

    def forward(self, city: str) -> str:
        return f"It rains in {city}."


def messages(text):
    return [ChatMessage(role=MessageRole.USER, content=text)]


def chat():
    return model.generate(messages(HELLO)).content


def stream():
    return [piece.content for piece in model.generate_stream(messages(HELLO)) if piece.content]


def tool():
    answer = model.generate(messages(WEATHER), tools_to_call_from=[WeatherTool()], tool_choice="auto")
    arguments = answer.tool_calls[0].function.arguments
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def structured():
    schema = {"name": "weather", "strict": True, "schema": Weather.model_json_schema()}
    answer = model.generate(messages(SHAPE), response_format={"type": "json_schema", "json_schema": schema})
    return Weather.model_validate_json(answer.content).model_dump()


def wrong_key():
    return (
        OpenAIModel(model_id=MODEL, api_base=BASE, api_key=WRONG, retry=False)
        .generate(messages(HELLO))
        .content
    )


tell("smolagents", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
