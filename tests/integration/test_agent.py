"""`homeport agent`, as it is typed: on real llama.cpp with the model that was taught one tool, and on a script."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from at_terminal import CTRL_C, at_terminal
from places import TAUGHT
from schemas import ensure_valid
from shared_endpoint import SharedEndpoint, shared_endpoint
from user import User


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedEndpoint]:
    """One endpoint for all of these tests: none of them changes it."""
    with shared_endpoint(tmp_path_factory.mktemp("shared")) as found:
        yield found


@pytest.fixture
def taught(shared: SharedEndpoint, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody whose endpoint here serves the taught model, with a tool of their own beside it, and no transcript yet."""
    user = shared.user(
        monkeypatch,
        f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 1024\n[local]\nport = 0\n',
    )
    for kept in (*user.folder.glob("*.jsonl"), *(user.home / "transcripts").glob("*")):
        kept.unlink()
    (user.folder / "own.py").write_text(
        'def get_weather(city: str) -> str:\n    """Get the current weather in a city."""\n'
        '    return f"It rains in {city}.\\x1b]0;retitled\\x07"\n\nget_weather.changes = False\n'
    )
    return user


def test_a_real_model_calls_a_tool_and_each_step_is_shown_escaped(taught: User) -> None:
    file = taught.folder / "t.jsonl"
    ran = taught.run(
        "agent", "run", "What is the weather in Paris?", "--tool", "own.py:get_weather", "--max-steps", "3",
        "--temperature", "0", "--system", "", "--transcript", str(file), code=None,
    )  # fmt: skip
    events = [json.loads(line) for line in file.read_text().splitlines()]
    assert ran.code in {0, 28}, ran.err  # What it says after the result is not what it was taught.
    assert events[1]["calls"][0]["name"] == "get_weather"
    assert events[1]["calls"][0]["arguments"] == {"city": "Paris"}
    assert 'call     get_weather({"city": "Paris"})' in ran.err
    assert "It rains in Paris.\\x1b]0;retitled\\x07" in ran.err
    assert "\x1b" not in ran.err
    assert f"transcript: {file}" in ran.err
    unpriced = taught.run("agent", "run", "Hello", "--max-usd", "1", code=64)
    assert "what home costs is not known" in unpriced.err
    again = taught.run("agent", "run", "--replay", str(file), code=ran.code)
    assert "the replay ends as the recorded run did" in again.err


def test_ctrl_c_within_a_tool_ends_the_run_in_one_line_and_keeps_the_transcript(taught: User) -> None:
    (taught.folder / "slow.py").write_text(
        'import time\n\ndef get_weather(city: str) -> str:\n    """Get the current weather in a city."""\n'
        '    time.sleep(600)\n    return "late"\n\nget_weather.changes = False\n'
    )
    process = taught.begin(
        "agent", "run", "What is the weather in Paris?", "--tool", "slow.py:get_weather", "--max-steps", "3",
        "--temperature", "0", "--system", "", "--transcript", "t.jsonl",
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    while "call     get_weather(" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in rest
    assert rest.split()[-3:] == ["transcript:", "t.jsonl", "interrupted"], rest
    events = [json.loads(line) for line in (taught.folder / "t.jsonl").read_text().splitlines()]
    assert [one["event"] for one in events] == ["run", "step", "end"]
    assert events[-1]["outcome"] == "interrupted"


def test_an_answer_and_a_run_are_told_to_programs_as_their_schemas_say(taught: User) -> None:
    asked = ("What is the weather in Paris?", "--temperature", "0", "--json")
    answer = taught.run("chat", *asked, "--max-tokens", "8").json
    ensure_valid("chat", answer)
    assert answer["choices"][0]["message"]["role"] == "assistant"
    ran = taught.run(
        "agent", "run", *asked, "--no-tools", "--max-tokens", "8", "--transcript", "told.jsonl"
    ).json
    ensure_valid("agent-run", ran)
    kept = [json.loads(line) for line in (taught.folder / "told.jsonl").read_text().splitlines()]
    assert (ran["transcript"], ran["events"]) == ("told.jsonl", kept)


def test_ctrl_c_at_a_confirmation_ends_the_run_in_one_line_and_keeps_the_transcript(taught: User) -> None:
    asks = ("--tool", "asks.py:get_weather", "--max-steps", "3", "--temperature", "0", "--system", "")
    (taught.folder / "asks.py").write_text(
        'def get_weather(city: str) -> str:\n    """Get the current weather in a city."""\n    return "rain"\n'
    )
    for command in (("run", "What is the weather in Paris?"), ("chat",)):
        file = taught.folder / f"{command[0]}.jsonl"
        with at_terminal(taught, "agent", *command, *asks, "--transcript", str(file)) as terminal:
            if command == ("chat",):
                terminal.until("\n> ")
                terminal.type("What is the weather in Paris?\n")
            terminal.until("[y/N] ")
            terminal.type(CTRL_C)
            assert terminal.end() == 130, terminal.seen
        assert terminal.seen.rpartition("[y/N] ")[2].split() == ["^Ctranscript:", str(file), "interrupted"]
        events = [json.loads(line) for line in file.read_text().splitlines()]
        assert [one["event"] for one in events] == ["run", "step", "end"]
        assert events[-1]["outcome"] == "interrupted"


def test_what_cannot_be_done_is_told_before_the_model_is_asked(taught: User) -> None:
    transcripts = taught.home / "transcripts"
    for words, code, told in (
        (("run", "Hello", "--allow", "nope", "--no-tools"), 10, "--allow names nope, and the agent has no such tool"),
        (("serve", "--port", "0", "--allow", "nope"), 10, "it has current_time, calculate, list_files, read_file"),
        (("run", " "), 64, "Say a question"),
        (("eval", "--against", "nope"), 20, "no endpoint called nope runs here"),
    ):  # fmt: skip
        ran = taught.run("agent", *words, code=code)
        assert told in ran.err
        assert "transcript: " not in ran.err
    assert not [*transcripts.glob("*")]
    ran = taught.run("agent", "run", "Hello", "--mcp", "no-such-program-anywhere", code=19)
    assert "starting the MCP server no-such-program-anywhere" in ran.err
    assert "there is no program no-such-program-anywhere" in ran.err
    (kept,) = transcripts.glob("*")
    assert [json.loads(line)["event"] for line in kept.read_text().splitlines()] == ["run", "end"]


def test_a_conversation_goes_on_after_a_question_that_was_too_long(taught: User) -> None:
    words = ("chat", "--no-tools", "--system", "", "--temperature", "0", "--max-tokens", "16")
    with at_terminal(taught, "agent", *words) as terminal:
        terminal.until("\n> ")
        terminal.type(f"{'zq ' * 1300}\n")  # Of 1024 tokens, and a line of a terminal has 4096 letters.
        terminal.until("raise `context` of [engine]")
        terminal.until("\n> ")
        terminal.type("Hello\n")
        terminal.until("step 1: ")
        terminal.until("\n> ")
        terminal.type("\x04")
        assert terminal.end() == 0, terminal.seen
    (kept,) = (taught.home / "transcripts").glob("*")
    outcomes = [json.loads(line).get("outcome") for line in kept.read_text().splitlines()]
    assert [outcome for outcome in outcomes if outcome] == ["failed", "answered"]


def test_with_the_model_of_the_demo_it_says_at_once_that_it_cannot_and_which_can(user: User) -> None:
    user.run("init")
    assert "gemma-3-270m" in (user.folder / "homeport.toml").read_text()
    told = user.run("agent", "run", "What is 6 times 7?", code=64).err
    assert "was not trained to call tools" in told
    assert 'model = "gemma-4-e2b"' in told
    user.write('name = "home"\nmodel = "gemma-4-e2b"\n')
    assert "homeport up" in user.run("agent", "run", "What is 6 times 7?", code=20).err


def test_help_of_a_command_group_names_its_commands(user: User) -> None:
    said = user.run("agent", "--help").out
    assert "run" in said
    assert "chat" in said


def test_a_question_or_a_replay_is_wanted(user: User) -> None:
    assert "Say a question" in user.run("agent", "run", code=64).err


def test_what_is_no_transcript_is_not_replayed(user: User, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.write_text("odd")
    assert "is no transcript" in user.run("agent", "run", "--replay", str(odd), code=10).err


def test_an_agent_goes_up_only_where_one_is_described_and_can_be_served(user: User) -> None:
    user.write('name = "home"\n[cloudrun]\n')
    assert "homeport agent serve" in user.run("agent", "up", code=64).err
    assert "describes no agent" in user.run("agent", "up", "--on", "cloudrun", code=10).err
    user.write('name = "home"\n[agent]\n')
    assert "homeport agent serve" in user.run("plan", "--json").json["facts"]["agent_here"]["text"]
