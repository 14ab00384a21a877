"""pydantic-ai, with the name of a model that `homeport env --for pydantic-ai` tells."""

from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from said import BASE, CALLED, HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, get_weather, tell

NAME = f"openai-chat:{MODEL}"
SETTINGS = {"max_tokens": 24}


def chat():
    return Agent(NAME, model_settings=SETTINGS).run_sync(HELLO).output


async def stream():
    async with Agent(NAME, model_settings=SETTINGS).run_stream(HELLO) as result:
        return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]


def tool():
    agent = Agent(NAME, output_type=ToolOutput(get_weather, name="get_weather"), model_settings=SETTINGS)
    agent.run_sync(WEATHER)
    return CALLED[0]


def structured():
    return Agent(NAME, output_type=NativeOutput(Weather)).run_sync(SHAPE).output.model_dump()


def wrong_key():
    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE, api_key=WRONG))
    return Agent(model).run_sync(HELLO).output


tell("pydantic-ai-slim", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
