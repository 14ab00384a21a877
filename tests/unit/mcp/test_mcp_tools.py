"""The tools as a client sees them, in process: names, types, hints, answers and errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from jsonschema import Draft202012Validator
from mcp import Client, MCPError
from mcp.server.mcpserver.exceptions import UnexpectedToolError
from pydantic import TypeAdapter

from benches import bench_of
from homeport import redaction
from homeport.bench import stored
from homeport.capacity.replica import BatchLimits
from homeport.capacity.step_time import paced
from homeport.deployment import Deployment
from homeport.home import find_home
from homeport.mcp.arguments import StrictServer
from homeport.mcp.server import made
from homeport.reconcile import Plan
from homeport.targets import registry
from homeport.targets.facts import ModelFact
from homeport.targets.local.lifecycle import LocalLifecycle
from homeport.targets.local.rollout import LocalRollout
from homeport.targets.local.swap import LocalSwap
from typist import Typist

READING = {"doctor", "fit", "cost", "plan", "status", "list", "verify", "logs", "bench"}
CHANGING = {"up", "swap", "rollback", "down"}
KEY = "hp-a-key-that-nobody-may-read-here"
_T = TypeVar("_T")


def with_client(
    folder: Path, act: Callable[[Client], Awaitable[_T]], *, allow_changes: bool = False, mode: str = "auto"
) -> _T:
    async def scene() -> _T:
        async with Client(made(folder, allow_changes=allow_changes), mode=mode) as client:
            return await act(client)

    return asyncio.run(scene())


def called(folder: Path, tool: str, allow_changes: bool = False, **arguments: Any) -> Any:
    async def act(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    return with_client(folder, act, allow_changes=allow_changes)


def _tools(*, allow_changes: bool) -> Any:
    async def act(client: Client) -> Any:
        return (await client.list_tools()).tools

    return with_client(Path(), act, allow_changes=allow_changes)


def text(result: Any) -> str:
    return str(result.content[0].text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "homeport.toml").write_text('name = "home"\nmodel = "gemma-3-270m-pt"\n[local]\nport = 0\n')
    return tmp_path


def test_only_tools_that_look_are_offered_unless_changes_are_allowed(folder: Path) -> None:
    async def names(client: Client) -> dict[str, Any]:
        return {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(with_client(folder, names)) == READING
    both = with_client(folder, names, allow_changes=True)
    assert set(both) == READING | CHANGING
    for name, tool in both.items():
        assert tool.annotations.read_only_hint is (name in READING), name
        assert bool(tool.annotations.destructive_hint) is (name in CHANGING), name
        assert tool.description, name


def test_a_change_that_was_not_allowed_does_not_exist(folder: Path) -> None:
    result = called(folder, "down", name="home")
    assert result.is_error
    assert "down" in text(result)


def test_every_tool_has_typed_arguments_and_a_typed_answer(folder: Path) -> None:
    async def tools(client: Client) -> Any:
        return (await client.list_tools()).tools

    for tool in with_client(folder, tools, allow_changes=True):
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None, tool.name
            Draft202012Validator.check_schema(schema)
        for name, argument in tool.input_schema["properties"].items():
            assert argument.get("description"), f"{tool.name}.{name}"


@pytest.mark.parametrize("more", [{}, {"model": "smollm2-135m"}])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_plan_is_that_of_the_command_line_in_both_protocols(
    typist: Typist, mode: str, more: dict[str, str]
) -> None:
    typist.write('name = "home"\nmodel = "gemma-3-270m-pt"\n[local]\nport = 0\n')

    async def plan(client: Client) -> Any:
        return await client.call_tool("plan", more)

    answer = with_client(typist.folder, plan, mode=mode)
    assert json.loads(text(answer)) == answer.structured_content
    typed = typist.run("plan", "--json", *(f"--{option}={value}" for option, value in more.items())).json
    for one in (answer.structured_content, typed):
        assert one["facts"].pop("fits")  # It tells how much memory is free, which moves.
    assert answer.structured_content == typed


def test_fit_and_cost_answer_for_a_model_of_the_catalog(folder: Path) -> None:
    fit = called(folder, "fit", model="gemma-3-270m", context=2048).structured_content
    assert (fit["model"], fit["context"]) == ("gemma-3-270m", 2048)
    assert fit["rows"]
    cost = called(folder, "cost", model="gemma-3-4b", gpu="nvidia-l4").structured_content
    assert cost["what"]["shape"]
    assert cost["prices"]["dated"]


def test_an_error_has_its_hint_and_no_traceback(folder: Path) -> None:
    (folder / "homeport.toml").write_text('modle = "x"\n')
    result = called(folder, "plan")
    assert result.is_error
    assert "SpecError (exit code 10)" in text(result)
    assert "model" in text(result)
    assert "Traceback" not in text(result)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("plan", {"on": "the-moon"}),
        ("plan", {"file": "../homeport.toml"}),
        ("plan", {"file": "x" * 5000}),
        ("logs", {"lines": 0}),
        ("logs", {"lines": 10**9}),
        ("logs", {"name": "../../etc"}),
        ("fit", {"model": "/etc/passwd"}),
        ("fit", {"context": "many"}),
        ("cost", {"engine": "an-engine-that-is-none"}),
        ("verify", {"only": ["no-such-check"]}),
        ("no_such_tool", {}),
    ],
)
def test_what_cannot_be_is_an_error_and_the_server_goes_on(
    folder: Path, tool: str, arguments: dict[str, Any]
) -> None:
    async def act(client: Client) -> tuple[Any, Any]:
        try:
            first: object = (await client.call_tool(tool, arguments)).is_error
        except MCPError as error:
            first = error
        return first, (await client.call_tool("plan", {})).is_error

    refused, broken = with_client(folder, act)
    assert refused
    assert not broken


def test_a_mistake_of_homeports_own_tells_no_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    redaction.remember(KEY)

    async def broken(self: Deployment, **_: Any) -> None:
        raise RuntimeError(f"no such thing as {KEY}\x1b[2J")

    monkeypatch.setattr(Deployment, "plan", broken)
    result = called(folder, "plan")
    assert result.is_error
    assert "a mistake of homeport's: RuntimeError: no such thing as ***\\x1b[2J" in text(result)


def test_up_without_its_confirmation_returns_the_plan_and_touches_nothing(folder: Path) -> None:
    home = Path.home()
    before = sorted(home.rglob("*"))
    answer = called(folder, "up", allow_changes=True).structured_content
    assert answer["applied"] is False
    assert answer["result"] is None
    assert [action["id"] for action in answer["plan"]["actions"]] == ["weights/model", "process/home"]
    assert len(answer["confirm"]) == 64
    assert [path for path in home.rglob("*") if path not in before and "endpoints" in path.parts] == []


def test_a_plan_that_is_no_longer_the_plan_is_refused_as_stale(folder: Path) -> None:
    async def act(client: Client) -> Any:
        proposed = (await client.call_tool("up", {})).structured_content
        assert proposed is not None
        (folder / "homeport.toml").write_text('name = "home"\nmodel = "smollm2-135m"\n[local]\nport = 0\n')
        return await client.call_tool("up", {"confirm": proposed["confirm"]})

    result = with_client(folder, act, allow_changes=True)
    assert result.is_error
    assert "PlanStale (exit code 24)" in text(result)
    assert "nothing was changed" in text(result)


def test_memory_that_moves_makes_no_plan_stale_and_a_setting_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, facts = Deployment.plan, iter(range(100))

    async def moving(self: Deployment, **given: Any) -> Plan:
        made = await plan(self, **given)
        return replace(made, facts=(ModelFact(title=f"{next(facts)}", licence=None),))

    monkeypatch.setattr(Deployment, "plan", moving)

    async def act(client: Client) -> list[str]:
        confirms = []
        for context in (1024, 1024, 2048):
            text = f'name = "home"\nmodel = "gemma-3-270m-pt"\n[engine]\ncontext = {context}\n[local]\nport = 0\n'
            (folder / "homeport.toml").write_text(text)
            proposed = (await client.call_tool("up", {})).structured_content
            assert proposed is not None
            confirms.append(proposed["confirm"])
        return confirms

    first, again, other = with_client(folder, act, allow_changes=True)
    assert first == again
    assert first != other


def test_the_words_of_one_change_do_not_confirm_another(folder: Path) -> None:
    async def act(client: Client) -> Any:
        await client.call_tool("plan", {})
        return await client.call_tool("up", {"confirm": "0" * 64})

    assert "PlanStale" in text(with_client(folder, act, allow_changes=True))


@pytest.mark.parametrize(
    ("tool", "more", "kind"), [("up", {}, LocalRollout), ("swap", {"model": "smollm2-135m"}, LocalSwap)]
)
def test_words_that_confirm_nothing_are_refused_also_where_nothing_is_to_be_done_and_each_call_plans_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tool: str, more: dict[str, str], kind: type[LocalRollout]
) -> None:
    plan, planned = kind.plan, []

    async def idle(self: LocalRollout) -> Plan:
        planned.append(replace(await plan(self), actions=()))
        return planned[-1]

    async def endpoint(_: LocalLifecycle) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setattr(kind, "plan", idle)
    monkeypatch.setattr(LocalLifecycle, "endpoint", endpoint)

    async def act(client: Client) -> None:
        proposed = (await client.call_tool(tool, more)).structured_content
        assert proposed is not None
        assert "PlanStale" in text(await client.call_tool(tool, {**more, "confirm": "x"}))
        assert len(planned) == 2
        confirmed = await client.call_tool(tool, {**more, "confirm": proposed["confirm"]})
        assert "it was begun" in text(confirmed)
        assert len(planned) == 3

    with_client(folder, act, allow_changes=True)


def test_a_swap_and_a_way_back_are_meant_where_up_is() -> None:
    on = {tool.name: tool.input_schema["properties"].get("on") for tool in _tools(allow_changes=True)}
    assert {name: on[name]["default"] for name in CHANGING} == dict.fromkeys(CHANGING, registry.DEFAULT)


def test_an_argument_that_a_tool_does_not_name_is_refused_before_anything_is_done(folder: Path) -> None:
    for tool in _tools(allow_changes=True):
        assert tool.input_schema["additionalProperties"] is False, tool.name
    said = text(called(folder, "down", allow_changes=True, endpoint="another"))
    assert said == "`down` takes no argument 'endpoint': it takes name, file, on, confirm. Nothing was done"
    assert "did you mean `context`?" in text(called(folder, "fit", contxt=5))


def test_a_value_that_cannot_be_is_refused_in_words_of_homeports_own(folder: Path) -> None:
    said = text(called(folder, "logs", lines=0))
    assert said == "`logs`: `lines` input should be greater than or equal to 1, but is 0. Nothing was done"
    assert "`model` field required" in text(called(folder, "swap", allow_changes=True))


def test_a_tool_that_fails_once_it_has_begun_is_not_told_as_a_wrong_argument() -> None:
    def begun() -> None:
        TypeAdapter(int).validate_python("none")

    server = StrictServer("one")
    server.add_tool(begun)
    with pytest.raises(UnexpectedToolError, match=r"^Error executing tool begun$"):
        asyncio.run(server.call_tool("begun", {}))


def test_benches_are_told_as_the_command_line_lists_them(typist: Typist) -> None:
    typist.write('name = "home"\nmodel = "gemma-3-270m-pt"\n')
    assert called(typist.folder, "bench").structured_content == {"benches": []}
    stored.keep(
        find_home(), bench_of(paced(0.01), BatchLimits(sequences=4, step_tokens=512, cache_tokens=4096))
    )
    listed = typist.run("bench", "list", "--json").json
    assert listed
    assert called(typist.folder, "bench").structured_content == {"benches": listed}
    assert called(typist.folder, "bench", name="another").structured_content == {"benches": []}


def test_down_of_what_is_not_there_says_so_and_applies_nothing(folder: Path) -> None:
    answer = called(folder, "down", allow_changes=True, name="home").structured_content
    assert answer["applied"] is False
    assert "nothing of home is there" in answer["note"]


def test_what_is_not_there_is_not_rolled_back(folder: Path) -> None:
    assert "NotRunning" in text(called(folder, "rollback", allow_changes=True, on="local"))
