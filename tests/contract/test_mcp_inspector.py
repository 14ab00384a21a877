"""npm's inspector of MCP servers, a client that is not Python's, uses `homeport mcp`: `make test-agents`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from places import ROOT
from user import User

FOLDER = ROOT / ".cache" / "inspector"
INSPECTOR = FOLDER / "node_modules" / ".bin" / "mcp-inspector"
SCHEMA = FOLDER / "server.schema.json"

pytestmark = pytest.mark.agents
inspector = pytest.mark.skipif(
    not INSPECTOR.exists() or shutil.which("node") is None,
    reason="NOT CHECKED: no npm, or no inspector available",
)


def inspected(folder: Path, *arguments: str, changes: bool = False) -> Any:
    """What the inspector prints of a `homeport mcp` that it starts."""
    server = [sys.executable, "-m", "homeport", "mcp", *(["--allow-changes"] if changes else [])]
    passed = [
        word
        for name in ("HOME", "HOMEPORT_HOME", "PYTHONPATH")
        for word in ("-e", f"{name}={os.environ[name]}")
    ]
    ran = subprocess.run(
        [str(INSPECTOR), "--cli", "--connect-timeout", "120000", *passed, "--cwd", str(folder), *arguments, "--", *server],
        cwd=folder, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return json.loads(ran.stdout)


@inspector
def test_the_inspector_lists_the_tools_and_finds_no_schema_that_clients_cannot_take(user: User) -> None:
    tools = inspected(user.folder, "--method", "tools/list", "--strict", changes=True)["tools"]
    assert {"plan", "up", "down"} <= {tool["name"] for tool in tools}


@inspector
def test_the_inspector_calls_a_tool(user: User) -> None:
    user.write('name = "home"\nmodel = "gemma-3-270m-pt"\n')
    answer = inspected(user.folder, "--method", "tools/call", "--tool-name", "plan")
    assert answer["structuredContent"]["name"] == "home"


@pytest.mark.skipif(not SCHEMA.exists(), reason="NOT CHECKED: the published schema was not available")
def test_server_json_is_as_the_registrys_published_schema_wants_it() -> None:
    jsonschema.validate(json.loads((ROOT / "server.json").read_text()), json.loads(SCHEMA.read_text()))
