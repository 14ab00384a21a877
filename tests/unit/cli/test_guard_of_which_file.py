"""`homeport guard test NAME` takes what a file says that it knows only from the file of that endpoint."""

from __future__ import annotations

from pathlib import Path

from homeport.cli.guard import _guard

_FILE = """
name = "front"
model = "gemma-3-270m-pt"

[guard]
screen = "local"
window_s = 1.5
"""


def test_a_file_of_another_endpoint_excuses_nothing(tmp_path: Path) -> None:
    file = tmp_path / "homeport.toml"
    assert _guard(file, "front").window_s != 1.5, "there is none"
    file.write_text(_FILE)
    assert _guard(file, "front").window_s == 1.5
    assert _guard(file).window_s == 1.5
    assert _guard(file, "another").window_s != 1.5
