"""A small project of the user's own: an agent on an endpoint, its tools and its tests, by the library that they choose."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from string import Template

from homeport.addresses import ensure_address, is_of_web, shown
from homeport.agents.brain import EXAMPLE_MODEL
from homeport.agents.builtin import BUILTIN
from homeport.errors import SpecError
from homeport.home import writing
from homeport.own_path import looking_at, mode_at
from homeport.targets import registry

FRAMEWORKS = {
    "pydantic-ai": ("pydantic-ai", "https://pydantic.dev/docs/ai/"),
    "adk": ("Google's ADK", "https://google.github.io/adk-docs/"),
}
"""What `--framework` takes: each one's name and its documentation."""
_REQUIRES = {
    "pydantic-ai": ("pydantic-ai-slim[openai{mcp}]>=2.68,<3", "pytest"),
    "adk": ("google-adk[openai{mcp}]>=2.13,<3", "pytest"),
}
_EXTRAS = {"pydantic-ai": ("agents",), "adk": ()}
"""Of homeport, beside the one that has the name of the target."""
_FUNCTIONS = {"time": ("current_time",), "calculator": ("calculate",), "files": ("list_files", "read_file")}
_EXAMPLE = "name,bought\nalder,2019-03-01\nbirch,2014-11-20\n"


def write_project(
    folder: Path,
    *,
    framework: str,
    tools: Sequence[str] = BUILTIN,
    mcp: Sequence[str] = (),
    endpoint: str | None = None,
    on: str = "local",
) -> list[str]:
    """
    Write the project into `folder`, all of it or nothing, and return the names of its files.

    Raises `SpecError` where something is there already, or for a tool or address that cannot be.
    """
    for name in tools:
        if name not in _FUNCTIONS:
            raise SpecError(
                f"there is no built-in tool {name!r}",
                hint=f"there are {', '.join(BUILTIN)}; write one of your own into tools.py",
            )
    for address in mcp:
        if not is_of_web(address):
            raise SpecError(
                f"{shown(address)!r} is no address of an MCP server",
                hint="say an http(s) address; a server that is a command goes with `homeport agent run --mcp`",
            )
        ensure_address(address, called=f"the MCP server {shown(address)}")
    with looking_at(folder):
        mode = mode_at(folder)
        taken = mode and (not stat.S_ISDIR(mode) or any(folder.iterdir()))
    if taken:
        raise SpecError(
            f"{folder} is there, and not empty", hint="name another folder: homeport agent init FOLDER"
        )
    name = Path(os.path.realpath(folder)).name  # Path.resolve raises a RuntimeError for a circle of links.
    contents = _contents(framework, tools=tools, mcp=mcp, endpoint=endpoint, on=on, name=name)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, text in contents.items():
                (staging / name).parent.mkdir(exist_ok=True)
                (staging / name).write_text(text, encoding="utf-8")
            staging.chmod(0o755)
            staging.replace(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return list(contents)


def _contents(
    framework: str, *, tools: Sequence[str], mcp: Sequence[str], endpoint: str | None, on: str, name: str
) -> dict[str, str]:
    title, address = FRAMEWORKS[framework]
    fields = {
        "name": name,
        "framework": title,
        "address": address,
        "endpoint": repr(endpoint),
        "on": repr(on),
        "serve": _serving(endpoint, on),
        "tools": ", ".join(function for tool in dict.fromkeys(tools) for function in _FUNCTIONS[tool]),
        "mcp": ", ".join(map(repr, dict.fromkeys(mcp))),
    }
    return {
        "agent.py": _filled(f"{framework}.agent.py", fields),
        "tools.py": _filled("tools.py", fields),
        "test_agent.py": _filled(f"{framework}.test_agent.py", fields),
        "requirements.txt": _of_homeport(f"homeport[{','.join((*_EXTRAS[framework], on))}]")
        + "".join(
            f"{requirement.format(mcp=',mcp' if mcp else '')}\n" for requirement in _REQUIRES[framework]
        ),
        "README.md": _filled("README.md", fields),
        "files/hosts.csv": _EXAMPLE,
        # `adk` imports the folder as a package.
        **({"__init__.py": "from . import agent\n"} if framework == "adk" else {}),
    }


def _serving(endpoint: str | None, on: str) -> str:
    """Return the commands after which the endpoint is there."""
    flags = registry.flag(on)
    if endpoint is not None:
        return f"homeport status {endpoint}{flags}"
    return f"homeport init{flags} --model {EXAMPLE_MODEL}\nhomeport up{flags}"


def _of_homeport(requirement: str) -> str:
    """
    Return the line of requirements.txt for homeport: from where it was installed here (PEP 610), and never by its name.

    homeport is in no package index, so what pip would find there under its name is somebody else's.
    """
    try:
        origin = json.loads(distribution("homeport").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    url, vcs = origin.get("url"), origin.get("vcs_info")
    if not url:
        return f"# {requirement} @ ADDRESS: homeport is in no package index; say here where its wheel or checkout lies\n"
    return f"{requirement} @ {vcs['vcs']}+{url}@{vcs['commit_id']}\n" if vcs else f"{requirement} @ {url}\n"


def _filled(name: str, fields: dict[str, str]) -> str:
    text = (files("homeport.agents") / "projects" / f"{name}.tmpl").read_text(encoding="utf-8")
    return Template(text).substitute(fields)
