"""OpenAI's agents; `homeport env --for openai-agents` names the model, and switches the exporter of traces off."""

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_default_openai_api
from agents.tracing import get_trace_provider
from openai import AsyncOpenAI
from said import CALLED, HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, get_weather, tell

set_default_openai_api("chat_completions")


async def chat():
    return (await Runner.run(Agent(name="agent"), HELLO)).final_output


async def stream():
    result = Runner.run_streamed(Agent(name="agent"), HELLO)
    return [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]


async def tool():
    agent = Agent(name="agent", tools=[function_tool(get_weather)], tool_use_behavior="stop_on_first_tool")
    await Runner.run(agent, WEATHER)
    return CALLED[0]


async def structured():
    return (await Runner.run(Agent(name="agent", output_type=Weather), SHAPE)).final_output.model_dump()


async def wrong_key():
    model = OpenAIChatCompletionsModel(model=MODEL, openai_client=AsyncOpenAI(api_key=WRONG))
    return (await Runner.run(Agent(name="agent", model=model), HELLO)).final_output


tell("openai-agents", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
get_trace_provider().shutdown()  # What is to be exported is exported now.
