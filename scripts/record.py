"""
Draws docs/demo.svg from a real run of what `make demo` does, in a home of its own: `make picture`.

The lines are the program's own, as it prints them where nobody watches; colours are put back by their first sign.
tests/integration/test_picture.py holds the words against what the program prints. The times are those of the machine, so one
that is busy with something else is refused.
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

from homeport.free_ports import port_is_free
from homeport.spec import Local

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "demo.svg"
STYLES = {
    "$ ": "bold cyan",
    "  ✓": "green",
    "  ✗": "red",
    "  –": "yellow",
    "  endpoint": "bold",
    "Paris": "bold white",
}
WIDTH = 118
LONGEST_S = 90
"""A verification that takes longer says more of the machine's other work than of homeport."""


def main() -> None:
    """Run it and write the picture."""
    default = Local()
    if not port_is_free(default.host, default.port):
        sys.exit(f"port {default.port} is taken, and the picture is to show it: end what listens there")
    said = run()
    took = re.search(r"verified: .* in (\d+) s", said)
    if took is None or int(took[1]) > LONGEST_S:
        sys.exit(f"no picture for the README: it should say that it verified within {LONGEST_S} s\n{said}")
    PICTURE.write_text(drawn(said), encoding="utf-8")


def run() -> str:
    """Return what `make demo` says on a machine where homeport has not been yet. The endpoint is ended."""
    with tempfile.TemporaryDirectory() as scratch:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HOMEPORT_", "HF_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        env |= {"PATH": path, "HOMEPORT_HOME": f"{scratch}/home", "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
        folder = Path(scratch, "demo")
        folder.mkdir()
        demo = ["sh", str(ROOT / "scripts" / "demo.sh"), str(folder)]
        try:
            ran = subprocess.run(
                demo, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
            )
        finally:
            subprocess.run(
                ["homeport", "down", "--yes"], env=env, cwd=folder, check=True, capture_output=True
            )
    if ran.returncode != 0:
        sys.exit(ran.stdout)
    return ran.stdout


def drawn(said: str) -> str:
    """Return a picture of a terminal in which `make demo` said that."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text("$ make demo", style=STYLES["$ "]))
    for line in said.split("It goes on running", maxsplit=1)[0].rstrip().splitlines():
        style = next((style for sign, style in STYLES.items() if line.startswith(sign)), "")
        console.print(Text(line, style=style), overflow="ellipsis", no_wrap=True)
    picture = console.export_svg(title="make demo", theme=MONOKAI, unique_id="demo")
    # The fonts that the picture would load from elsewhere; a terminal's own will do.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    main()
