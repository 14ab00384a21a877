"""What is published for agents: the skill, by the rules of agentskills.io, and server.json, by those of the MCP registry."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import yaml
from click.testing import CliRunner

from homeport import skills
from homeport.cli import COMMANDS, cli
from homeport.errors import SpecError
from places import ROOT


def test_the_skill_has_the_head_that_agents_read() -> None:
    _, head, body = skills.text().split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["name"] == skills.NAME
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", said["name"])
    assert len(said["name"]) <= 64
    assert 0 < len(said["description"]) <= 1024
    assert len(said["compatibility"]) <= 500
    assert set(said) <= {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
    assert body.count("\n") < 500


def test_every_command_and_option_in_the_skill_exists() -> None:
    named = re.findall(r"^homeport ([^#\n]*)|`homeport ([^`]*)`", skills.text(), re.MULTILINE)
    commands = [part for pair in named for part in "".join(pair).split("· homeport")]
    assert len(commands) > 15
    for line in commands:
        words = shlex.split(line.replace("[", "").replace("]", ""))
        assert words[0] in COMMANDS, line
        ran = CliRunner().invoke(cli, [words[0], "--help"])
        for option in (word for word in words if word.startswith("--")):
            assert option in ran.output, line


def test_all_commands_in_the_skill_but_those_that_it_names_have_json() -> None:
    said = re.search(r"All that are named here but ([^.]*) have `--json`", skills.text())
    assert said
    without = set(re.findall(r"`(\w+)`", said[1]))
    named = re.findall(r"^homeport (\w+)|`homeport ([a-z]+)", skills.text(), re.MULTILINE)
    for command in {one or other for one, other in named}:
        has = "--json" in CliRunner().invoke(cli, [command, "--help"]).output
        assert has is (command not in without), command


def test_a_skill_that_says_something_else_is_not_overwritten(tmp_path: Path) -> None:
    install = ["mcp", "skill", "--install", str(tmp_path)]
    skill = tmp_path / skills.NAME / "SKILL.md"
    for _ in range(2):
        assert CliRunner().invoke(cli, install).exit_code == 0
    skill.write_text("of the user's own\n")
    refused = CliRunner().invoke(cli, install)
    assert isinstance(refused.exception, SpecError)
    assert skill.read_text() == "of the user's own\n"
    assert CliRunner().invoke(cli, [*install, "--force"]).exit_code == 0
    assert skill.read_text() == skills.text()


def test_server_json_names_this_package_and_this_version_and_keeps_to_the_published_limits() -> None:
    server = json.loads((ROOT / "server.json").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (package,) = server["packages"]
    assert server["version"] == package["version"] == project["version"]
    assert (package["registryType"], package["identifier"]) == ("pypi", project["name"])
    assert package["transport"] == {"type": "stdio"}
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"])
    assert 0 < len(server["description"]) <= 100
    assert f"mcp-name: {server['name']}" in (ROOT / "README.md").read_text(), (
        "the registry looks for it in the README"
    )
