"""Agents as people write them, by three libraries, on a model that homeport serves: real llama.cpp. `make test-agents`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from places import ROOT, TAUGHT
from user import User

ADK = ROOT / ".cache" / "adk" / "bin" / "python"
PYTHON = {"pydantic-ai": Path(sys.executable), "adk": ADK}
QUESTION = "What is the weather in Paris?"
OWN = '''

def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    (Path(__file__).parent / "called").write_text(city)
    return f"It rains in {city}."


TOOLS = [get_weather]
'''
OF_OPENAI = '''
import asyncio
import os
import sys

from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

set_tracing_disabled(True)


@function_tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    with open("called", "w") as file:
        file.write(city)
    return f"It rains in {city}."


model = OpenAIChatCompletionsModel(model=os.environ["OPENAI_MODEL"], openai_client=AsyncOpenAI())
agent = Agent(name="agent", model=model, tools=[get_weather], tool_use_behavior="stop_on_first_tool")
print(asyncio.run(Runner.run(agent, sys.argv[1], max_turns=3)).final_output)
'''

pytestmark = pytest.mark.agents


@pytest.fixture
def taught(user: User) -> User:
    """Somebody whose endpoint serves the model that was taught to ask for the weather."""
    user.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 1024\n[local]\nport = 0\n')
    user.run("up", "--yes", "--no-verify")
    return user


def typed(python: Path, folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [str(python), *words], cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")])), **env},
    )  # fmt: skip


@pytest.mark.parametrize("framework", PYTHON)
def test_the_projects_own_tests_pass(framework: str, user: User) -> None:
    user.run("agent", "init", "mine", "--framework", framework)
    ran = typed(PYTHON[framework], user.folder / "mine", "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("framework", PYTHON)
def test_the_model_calls_the_tool_that_was_written_into_the_project(framework: str, taught: User) -> None:
    taught.run("agent", "init", "mine", "--framework", framework, "--name", "home")
    folder = taught.folder / "mine"
    with (folder / "tools.py").open("a") as file:
        file.write(OWN)
    ran = typed(PYTHON[framework], folder, "agent.py", QUESTION)
    assert (folder / "called").read_text() == "Paris", ran.stdout + ran.stderr
    # What this model says after the result is not what it was taught: an answer, or a bound in words.
    assert ran.returncode == 0 or ran.stderr.startswith("no answer: "), ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_openais_agents_call_a_tool_by_what_env_prints(taught: User) -> None:
    (taught.folder / "own.py").write_text(OF_OPENAI)
    variables = dict(
        line.removeprefix("export ").split("=", 1)
        for line in taught.run("env").out.splitlines()
        if "=" in line
    )
    clear = {key: value.strip("'\"") for key, value in variables.items()}
    ran = typed(ADK, taught.folder, "own.py", QUESTION, **clear)
    assert ran.stdout.strip() == "It rains in Paris.", ran.stdout + ran.stderr
    assert (taught.folder / "called").read_text() == "Paris"
