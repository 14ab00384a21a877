"""The run that docs/agents.md shows, typed from the page: real llama.cpp. `make test-agents`."""

from __future__ import annotations

import re
import shlex

import pytest

from places import ROOT, TOOLS_MODEL
from user import User

PAGE = (ROOT / "docs" / "agents.md").read_text()


@pytest.mark.agents
def test_the_run_that_the_page_shows_calls_the_tool_and_answers_by_it(user: User) -> None:
    (tool,) = re.findall(r"with this `lore\.py`:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    (run,) = re.findall(r"```console\n\$ homeport (agent run .*?)\n(.*?)```", PAGE, re.DOTALL)
    (user.folder / "lore.py").write_text(tool)
    user.write(f'name = "home"\nmodel = "file:{TOOLS_MODEL}"\n[engine]\ncontext = 2048\n[local]\nport = 0\n')
    user.run("up", "--yes", "--no-verify")
    ran = user.run(*shlex.split(run[0]), timeout=300)
    assert _same_by_any_weights(ran.err + ran.out) == _same_by_any_weights(run[1])
    assert "Anders Holm" in ran.out


def _same_by_any_weights(text: str) -> list[str]:
    """Its lines in the order of the alphabet, without tokens, seconds, the transcript's name, and the words of the answer."""
    counted = re.sub(r"\d+ \+ \d+ tokens|\d+\.\d s", "…", text)
    named = re.sub(r"(?m)^(transcript: ).*", r"\1…", counted)
    return sorted(re.sub(r"(?m)^.*Anders Holm\.?$", "answer", named).splitlines())
