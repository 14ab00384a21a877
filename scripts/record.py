"""
Draws docs/demo.svg from a real run of what `make demo` does: `python scripts/record.py`.

The lines are the program's own, as it prints them where nobody watches; colours are put back by their first sign.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
STYLES = {
    "$ ": "bold cyan",
    "  ✓": "green",
    "  ✗": "red",
    "  –": "yellow",
    "  endpoint": "bold",
    "Paris": "bold white",
}
WIDTH = 118


def main() -> None:
    """Run it and write the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "HOMEPORT_HOME": f"{scratch}/home", "PYTHONUNBUFFERED": "1"}
        demo = ["sh", str(ROOT / "scripts" / "demo.sh"), scratch]
        ran = subprocess.run(
            demo, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        subprocess.run(["homeport", "down", "--yes"], env=env, cwd=scratch, check=True, capture_output=True)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style=STYLES["$ "]))
    for line in ran.stdout.split("It goes on running")[0].rstrip().splitlines():
        style = next((style for sign, style in STYLES.items() if line.startswith(sign)), "")
        console.print(Text(line, style=style), overflow="ellipsis", no_wrap=True)
    picture = console.export_svg(title="make demo", theme=MONOKAI)
    # The fonts that the picture would load from elsewhere; a terminal's own will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (ROOT / "docs" / "demo.svg").write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
