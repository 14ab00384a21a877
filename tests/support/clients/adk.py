"""Google's ADK, with the model that `homeport env --for adk` tells: over LiteLLM."""

from google.adk.agents import LlmAgent
from google.adk.agents.run_config import RunConfig, StreamingMode
from google.adk.models.lite_llm import LiteLlm
from google.adk.runners import InMemoryRunner
from google.genai import types
from said import CALLED, HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, get_weather, tell


async def events(text, *, stop=False, mode=StreamingMode.NONE, key=None, **how):
    model = LiteLlm(model=f"openai/{MODEL}", **({"api_key": key} if key else {}))
    runner = InMemoryRunner(agent=LlmAgent(name="agent", model=model, **how), app_name="app")
    session = await runner.session_service.create_session(app_name="app", user_id="me")
    said = types.Content(role="user", parts=[types.Part(text=text)])
    seen = []
    config = RunConfig(streaming_mode=mode, max_llm_calls=3)
    async for event in runner.run_async(
        user_id="me", session_id=session.id, new_message=said, run_config=config
    ):
        if event.error_code:
            raise RuntimeError(f"{event.error_code}: {event.error_message}")
        seen.append(event)
        if stop and event.get_function_responses():
            break
    return seen


def text(event):
    return "".join(part.text or "" for part in event.content.parts) if event.content else ""


async def chat():
    return text((await events(HELLO))[-1])


async def stream():
    return [text(event) for event in await events(HELLO, mode=StreamingMode.SSE) if event.partial]


async def tool():
    await events(WEATHER, tools=[get_weather], stop=True)
    return CALLED[0]


async def structured():
    return Weather.model_validate_json(text((await events(SHAPE, output_schema=Weather))[-1])).model_dump()


async def wrong_key():
    return text((await events(HELLO, key=WRONG))[-1])


tell("google-adk", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
