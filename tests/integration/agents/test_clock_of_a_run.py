"""A run's clock begins once homeport has loaded what it needs: in a process that has loaded nothing before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from places import ROOT

RUN = """
import json, sys
from pathlib import Path
from homeport.agents import loop
from homeport.agents.budget import Spent
from homeport.agents.transcript import Transcript
from tool_script import ToolScript

loaded = []
def clock(**facts):
    loaded.append({*sys.modules})
    return Spent(**facts)
loop.Spent = clock
with ToolScript("Hello.") as engine, Transcript(Path(sys.argv[1])) as transcript:
    loop.ask("Hello?", loop.AgentSetup(endpoint=engine.endpoint), transcript)
print(json.dumps(sorted({*sys.modules} - loaded[0])))
"""


def test_nothing_of_the_loop_and_its_client_is_loaded_after_the_clock_began(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path / "t.jsonl")], check=True, capture_output=True, text=True,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "tests" / "support")}, cwd=tmp_path,
    )  # fmt: skip
    heavy = [
        name
        for name in json.loads(ran.stdout)
        if name.split(".")[0] in {"pydantic_ai", "openai", "httpx2", "mcp"}
    ]
    assert heavy == []
