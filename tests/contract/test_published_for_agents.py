"""What is published for agents: the skill, by the rules of agentskills.io, and server.json, by those of the MCP registry."""

from __future__ import annotations

import json
import re
import shlex
import tomllib

import yaml
from click.testing import CliRunner

from homeport import skills
from homeport.cli import COMMANDS, cli
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
