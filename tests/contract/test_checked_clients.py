"""Clients that people use, each in an environment of its own, by the words of `homeport env --for`: `make test-clients`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from places import ROOT, TAUGHT
from user import User

ENVIRONMENTS = ROOT / ".cache" / "clients"
PROGRAMS = ROOT / "tests" / "support" / "clients"
RECORDS = ROOT / "tests" / "records" / "clients"
WANTED = os.environ.get("CLIENTS", "").split()
KEEP = bool(os.environ.get("KEEP"))
ALL_THE_SAME = {"aider": {"raw.githubusercontent.com"}}
"""Whom clients ask in spite of our words, as nothing of theirs switches it off: aider fetches a table of prices."""
WRONG_KEY = ("401", "Invalid API Key")
"""What the error of a wrong key shows, in one of these ways, of what the endpoint answered."""

pytestmark = pytest.mark.clients


@dataclass(frozen=True)
class Client:
    """A program that drives one client."""

    title: str
    words: str
    """Those of `homeport env --for`."""
    program: str


CLIENTS = {
    "openai": Client("openai (PyPI)", "openai", "openai_python.py"),
    "openai-npm": Client("openai (npm)", "openai", "openai-npm.mjs"),
    "vercel-ai": Client("ai (Vercel, npm)", "vercel-ai", "vercel-ai.mjs"),
    "pydantic-ai": Client("pydantic-ai", "pydantic-ai", "pydantic_ai_agent.py"),
    "adk": Client("google-adk", "adk", "adk.py"),
    "openai-agents": Client("openai-agents", "openai-agents", "openai_agents.py"),
    "langchain": Client("langchain-openai", "langchain", "langchain_openai_chat.py"),
    "llama-index": Client("llama-index-llms-openai-like", "llama-index", "llama_index_chat.py"),
    "llm": Client("llm", "llm", "llm_cli.py"),
    "aider": Client("aider-chat", "aider", "aider_cli.py"),
    "instructor": Client("instructor", "instructor", "instructor_client.py"),
    "smolagents": Client("smolagents", "smolagents", "smolagents_model.py"),
    "litellm": Client("litellm", "litellm", "litellm_completion.py"),
    "curl": Client("curl", "curl", "curl_words.py"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the endpoint is kept that these clients use one after another; it is ended with the last of them."""
    folder = tmp_path_factory.mktemp("endpoint")
    yield folder
    User(folder / "work").run("down", "home", "--yes", code=None, HOMEPORT_HOME=str(folder / "homeport"))


@pytest.fixture
def served(place: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody whose endpoint wants a key, and serves a model that calls one tool."""
    monkeypatch.setenv("MY_KEY", "sk-here")
    monkeypatch.setenv("HOMEPORT_HOME", str(place / "homeport"))
    user = User(place / "work")
    is_up = place / "is-up"
    if not is_up.exists():
        user.write(
            f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 4096\ntool_parser = "gemma4"\n'
            'extra_args = ["sampling.temp=0"]\n'
            '[local]\nport = 0\napi_key = "env:MY_KEY"\n'
        )
        user.run("up", "--yes", "--no-verify")
        is_up.touch()
    return user


def command(name: str) -> list[str]:
    """What begins the program of one client. Skips the test where its environment was not made."""
    program = CLIENTS[name].program
    if name == "curl":
        return [sys.executable, str(PROGRAMS / program)]
    if name not in WANTED:
        pytest.skip(f"CLIENTS does not name {name}")
    folder = ENVIRONMENTS / name
    if program.endswith(".py"):
        return [str(folder / "bin" / "python"), str(PROGRAMS / program)]
    if shutil.which("node") is None:
        pytest.skip("there is no Node here")
    for one in ("said.mjs", program):
        shutil.copy(PROGRAMS / one, folder)
    return ["node", "--require", str(PROGRAMS / "guard.cjs"), str(folder / program)]


def run(name: str, served: User, folder: Path, without: str = "") -> tuple[dict[str, Any], list[str]]:
    """What the client tells (JSON), and whom but this machine it tried to reach; in a folder, by a shell that read its words."""
    words = served.run("env", "--for", CLIENTS[name].words, *(("--write",) if name == "llm" else ())).out
    notes = folder / "left"
    of_the_shell = {one: os.environ[one] for one in ("PATH", "HOME", "PYTHONPATH", "XDG_CACHE_HOME")}
    script = f'{words}\nunset {without or "NOTHING"}\nexec "$@"'
    ran = subprocess.run(
        ["bash", "-c", script, "bash", *command(name)], cwd=folder, capture_output=True, text=True,
        timeout=1200, check=False, env={**of_the_shell, "GUARD_NOTES": str(notes)},
    )  # fmt: skip
    told = [line for line in ran.stdout.splitlines() if line.startswith('{"version"')]
    assert told, ran.stdout + ran.stderr
    return json.loads(told[-1]), notes.read_text().split() if notes.exists() else []


def judged(told: dict[str, Any]) -> dict[str, str]:  # Any: JSON
    """How each part of it went, in the words of the page."""
    said = {part: one.get("said") for part, one in told.items() if part != "version"}
    wrong = told["wrong_key"]
    well = {
        "chat": bool((said.get("chat") or "").strip()),
        "stream": len(said.get("stream") or ()) > 1,
        "tool": said.get("tool") == {"city": "Paris"},
        "structured": {"city", "rain"} == set(said.get("structured") or ()),
        "wrong_key": any(one in " ".join(wrong.get("text", "").split()) for one in WRONG_KEY),
    }
    found = {part: "yes" if well[part] else f"no: {told[part]}" for part in said}
    # A program that types commands has no class of the client's to show.
    error = "told in words" if wrong.get("raised") == "RuntimeError" else f"`{wrong.get('raised')}`"
    return {**found, "wrong_key": error if well["wrong_key"] else f"no: {wrong}"}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_does_what_it_is_for_and_reaches_nobody_else(
    name: str, served: User, tmp_path: Path
) -> None:
    told, left = run(name, served, tmp_path)
    parts = judged(told)
    assert not [f"{part}: {one}" for part, one in parts.items() if one.startswith("no: ")]
    assert set(left) == ALL_THE_SAME.get(name, set()), "it tried to reach others than this machine"
    record = {"client": CLIENTS[name].title, "version": told["version"], "words": CLIENTS[name].words}
    seen = {**record, "parts": parts, "date": datetime.now(tz=UTC).date().isoformat()}
    kept = RECORDS / f"{name}.json"
    if KEEP:
        kept.write_text(json.dumps(seen, indent=2) + "\n", encoding="utf-8")
    before = json.loads(kept.read_text(encoding="utf-8"))
    of_another_day = {"date": seen["date"], **({"version": seen["version"]} if name == "curl" else {})}
    assert {**before, **of_another_day} == seen, "docs/clients.md says otherwise: make test-clients KEEP=1"


def test_the_exporter_of_openais_agents_would_reach_openai_without_our_words(
    served: User, tmp_path: Path
) -> None:
    """So the test above can fail."""
    _, left = run("openai-agents", served, tmp_path, without="OPENAI_AGENTS_DISABLE_TRACING")
    assert "api.openai.com" in left
