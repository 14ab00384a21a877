"""`homeport agent eval`, as it is typed: on real llama.cpp with the model that was taught one tool, and without any."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import jsonschema
import pytest

from places import ROOT, TAUGHT
from user import User

TOOL = {
    "tool": "get_weather",
    "description": "Get the current weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def asking(city: str) -> dict[str, object]:
    call = {"tool": "get_weather", "arguments": {"city": city}, "returns": "rain"}
    return {
        "task": f"in-{city}",
        "category": "one_tool",
        "question": f"What is the weather in {city}?",
        "offers": ["get_weather"],
        "calls": [[call]],
    }


@pytest.fixture
def own(user: User) -> User:
    """Somebody with a set of their own: two questions that the taught model was taught, and one for no tool."""
    greeting = {**asking("Paris"), "task": "hello", "category": "no_tool", "question": "Hello.", "calls": []}
    lines = [TOOL, asking("Paris"), asking("London"), greeting]
    (user.folder / "own.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return user


@pytest.mark.long
def test_a_real_model_is_measured_kept_compared_and_shown(own: User) -> None:
    own.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 1024\n[local]\nport = 0\n')
    own.run("up", "--yes", "--no-verify")
    how = ("agent", "eval", "--suite", "own.jsonl", "--max-tokens", "48")
    first = own.run(*how, "--json", "--html", "page.html")
    report = first.json
    judge = jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs" / "schemas" / "agent-eval.json").read_text())
    )
    judge.validate(report)
    result = report["result"]
    assert {one["category"]: one["tasks"] for one in result["categories"]} == {"one_tool": 2, "no_tool": 1}
    assert result["mean_output_tokens"] > 0
    assert result["total"]["baselines"] == {
        "uniform": result["total"]["baselines"]["uniform"],
        "always_none": 1,
        "oracle": 3,
    }
    events = [json.loads(line) for line in Path(result["transcript"]).read_text().splitlines()]
    called = [one["calls"][0]["name"] for one in events if one["event"] == "step" and one["calls"]]
    assert "get_weather" in called  # The model was really asked, and does what it was taught.
    assert "whether it was trained to call tools is not known" in first.err
    assert (own.folder / "page.html").read_text().startswith("<!doctype html>")

    (own.folder / "kept.json").write_text(first.out)
    busy = ("--tokens-per-second", "100", "--engine", "ollama")
    again = own.run(*how, *busy, "--against", "kept.json", "--at-least", "100", code=None)
    assert again.code == (0 if result["total"]["right"] == 3 else 3)
    for said in ("CATEGORY", "95 %", "CHANCE", "ORACLE", "one_tool", "McNemar", "tokens/s, work alone"):
        assert said in again.out
    a_million = own.run("cost", *busy, "--json").json["tokens"]["used"]["value"]
    tokens = result["mean_input_tokens"] + result["mean_output_tokens"]
    assert (
        f", {tokens * a_million / 1e6:.2g} USD (at $" in again.out
    )  # As many as before, at the price of `cost`.
    assert "price not known" in again.out  # Of what was kept.
    assert (
        "no difference beyond chance is shown (p = 1)" in again.out
    )  # At temperature 0 it does the same again.


def test_a_set_is_checked_without_an_endpoint(own: User) -> None:
    said = own.run("agent", "eval", "--suite", "own.jsonl", "--check")
    assert said.out.splitlines()[0].split() == ["CATEGORY", "TASKS", "CHANCE", "UNIFORM", "NONE", "ORACLE"]
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["one_tool", "no_tool"]
    checked = own.run("agent", "eval", "--suite", "own.jsonl", "--check", "--json").json
    assert [one["baselines"]["oracle"] for one in checked["categories"]] == [2, 1]


def test_what_is_wrong_in_a_set_is_told_by_its_line(own: User) -> None:
    with (own.folder / "own.jsonl").open("a") as file:
        file.write('\n{"task": "odd"}')
    told = own.run("agent", "eval", "--suite", "own.jsonl", code=10).err
    assert "line 5 of own.jsonl: category: Field required" in told
    assert "Expected: a task is" in told


def test_options_that_do_not_go_together_are_a_wrong_usage(own: User) -> None:
    assert "--check asks no endpoint" in own.run("agent", "eval", "--check", "--html", "x", code=64).err
    assert "is no result of an evaluation" in own.run("agent", "eval", "--against", _empty(own), code=10).err


def _empty(user: User) -> str:
    (user.folder / "empty.json").write_text("{}")
    return "empty.json"


@pytest.mark.long
def test_what_would_be_lost_is_told_before_any_work_and_an_interrupt_keeps_the_transcript(own: User) -> None:
    own.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 4096\n[local]\nport = 0\n')
    own.run("up", "--yes", "--no-verify")
    told = own.run("agent", "eval", "--suite", "own.jsonl", "--html", "none/page.html", code=21).err
    assert "cannot write none/page.html" in told
    assert "tasks on" not in told

    process = own.begin("agent", "eval", "--max-tokens", "48", "--transcript", "t.jsonl")
    assert process.stderr is not None
    said = ""
    while "  1/84 one_tool-01" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=300)
    assert process.returncode == 130
    assert rest.split()[-3:] == ["transcript:", "t.jsonl", "interrupted"]
    assert out == ""
    events = [json.loads(line) for line in (own.folder / "t.jsonl").read_text().splitlines()]
    ends = [one["outcome"] for one in events if one["event"] == "end"]
    assert len(ends) < 84
    assert "failed" not in ends
