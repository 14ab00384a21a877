"""langchain-openai, which reads OPENAI_API_KEY and OPENAI_BASE_URL (or OPENAI_API_BASE)."""

from langchain_openai import ChatOpenAI
from said import HELLO, MODEL, SHAPE, WEATHER, WRONG, Weather, get_weather, tell

model = ChatOpenAI(model=MODEL, max_tokens=48)


def chat():
    return model.invoke(HELLO).text


def stream():
    return [piece.text for piece in model.stream(HELLO) if piece.text]


def tool():
    return model.bind_tools([get_weather]).invoke(WEATHER).tool_calls[0]["args"]


def structured():
    return model.with_structured_output(Weather, method="json_schema").invoke(SHAPE).model_dump()


def wrong_key():
    return ChatOpenAI(model=MODEL, api_key=WRONG).invoke(HELLO).text


tell("langchain-openai", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
