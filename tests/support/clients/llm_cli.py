"""llm, as it is typed; it reads the file that `homeport env --for llm --write` writes."""

import json
import subprocess
import sys
from pathlib import Path

from said import HELLO, SHAPE, WEATHER, WRONG, Weather, tell

LLM = Path(sys.executable).with_name("llm")
TOOL = """def get_weather(city: str) -> str:
    "Get the current weather in a city."
    open("called", "w").write(city)
    return "It rains."
"""


def typed(*words, may_fail=False):
    ran = subprocess.run([LLM, "-m", "homeport", "-n", *words], capture_output=True, text=True, check=False)
    if ran.returncode and not may_fail:
        raise RuntimeError(ran.stderr.strip())
    return ran.stdout.strip()


def chat():
    return typed("--no-stream", HELLO)


def stream():
    with subprocess.Popen([LLM, "-m", "homeport", "-n", HELLO], stdout=subprocess.PIPE) as asked:
        pieces = iter(lambda: asked.stdout.read1(4096), b"")
        return [piece.decode() for piece in pieces]


def tool():
    # What this model makes of the result is not what is asked here.
    typed("--functions", TOOL, "--chain-limit", "2", WEATHER, may_fail=True)
    return {"city": Path("called").read_text()}


def structured():
    return Weather.model_validate_json(
        typed("--schema", json.dumps(Weather.model_json_schema()), SHAPE)
    ).model_dump()


def wrong_key():
    return typed("--key", WRONG, HELLO)


tell("llm", chat=chat, stream=stream, tool=tool, structured=structured, wrong_key=wrong_key)
