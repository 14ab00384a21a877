"""ollama of PyPI, which reads OLLAMA_HOST: the parts that OLLAMA_PARTS names."""

import os
from pathlib import Path

import ollama
from said import HELLO, KEY, MODEL, WEATHER, get_weather, tell

client = ollama.Client(headers={"Authorization": f"Bearer {KEY}"})
LEAST = {"temperature": 0, "num_predict": 24}


def messages(text):
    return [{"role": "user", "content": text}]


def chat():
    answer = client.chat(MODEL, messages(HELLO), options=LEAST)
    return {"text": answer.message.content, "done": answer.done}


def stream():
    pieces = [*client.chat(MODEL, messages(HELLO), options=LEAST, stream=True)]
    return {
        "text": [one.message.content for one in pieces if one.message.content],
        "end": pieces[-1].done_reason,
    }


def generate():
    return [one.response for one in client.generate(MODEL, HELLO, options=LEAST, stream=True) if one.response]


def embed():
    return [list(one) for one in client.embed(MODEL, [HELLO, WEATHER]).embeddings]


def tool():
    answer = client.chat(MODEL, messages(WEATHER), tools=[get_weather], options=LEAST)
    return [{"name": one.function.name, **one.function.arguments} for one in answer.message.tool_calls]


def result():
    """As its README gives a result back."""
    asked = messages(WEATHER)
    answer = client.chat(MODEL, asked, tools=[get_weather], options=LEAST)
    asked.append(answer.message)
    for call in answer.message.tool_calls:
        told = get_weather(**call.function.arguments)
        asked.append({"role": "tool", "tool_name": call.function.name, "content": told})
    pieces = client.chat(MODEL, asked, tools=[get_weather], options=LEAST, stream=True)
    return "".join(one.message.content or "" for one in pieces)


def models():
    return [one.model for one in client.list().models]


def unknown():
    return client.chat("no-such-model", messages(HELLO))


def forbidden():
    """What a screen refuses."""
    return client.chat(MODEL, messages(os.environ["OLLAMA_FORBIDDEN"]))


def mine():
    """A model of a GGUF of one's own."""
    file = os.environ["OLLAMA_GGUF"]
    digest = client.create_blob(file)
    made = client.create(MODEL, files={Path(file).name: digest}, stream=False)
    return made.status


def pulled():
    return client.pull(MODEL, stream=False).status


parts = {name: globals()[name] for name in os.environ["OLLAMA_PARTS"].split()}
tell("ollama", **parts)
