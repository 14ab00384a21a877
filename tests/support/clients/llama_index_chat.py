"""LlamaIndex, by the line that `homeport env --for llama-index` tells."""

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from said import BASE, HELLO, KEY, MODEL, SHAPE, WEATHER, WRONG, Weather, get_weather, tell

how = {"model": MODEL, "api_base": BASE, "is_chat_model": True, "max_tokens": 48}
llm = OpenAILike(api_key=KEY, is_function_calling_model=True, **how)


def chat():
    return llm.chat([ChatMessage(role="user", content=HELLO)]).message.content


def stream():
    return [
        piece.delta for piece in llm.stream_chat([ChatMessage(role="user", content=HELLO)]) if piece.delta
    ]


def tool():
    answer = llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg=WEATHER)
    return llm.get_tool_calls_from_response(answer)[0].tool_kwargs


def structured():
    able = OpenAILike(api_key=KEY, should_use_structured_outputs=True, **how)
    return able.as_structured_llm(Weather).chat([ChatMessage(role="user", content=SHAPE)]).raw.model_dump()


def wrong_key():
    return OpenAILike(api_key=WRONG, **how).complete(HELLO).text


tell(
    "llama-index-llms-openai-like",
    chat=chat,
    stream=stream,
    tool=tool,
    structured=structured,
    wrong_key=wrong_key,
)
