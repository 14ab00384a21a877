"""What a real terminal gets to see: of a stranger's files, and where it is narrow."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from places import TAUGHT_FOLDER
from unprintable import is_clean
from user import HOMEPORT, User


def test_a_strangers_config_is_told_and_does_nothing_to_the_terminal(user: User, tmp_path: Path) -> None:
    """`homeport fit` of a folder whose config.json holds sequences, read as a terminal gets it."""
    model = tmp_path / "model"
    model.mkdir()
    for path in TAUGHT_FOLDER.iterdir():
        os.link(path, model / path.name)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").unlink()
    nasty = "Evil\x1b]0;owned\x07\u202eForCausalLM\x9b2J\r"
    (model / "config.json").write_text(
        json.dumps({**config, "architectures": [nasty], "model_type": nasty, "torch_dtype": nasty})
    )
    seen = as_a_terminal_sees_it(user, "fit", f"file:{model}")
    assert "how file:" in seen
    assert is_clean(seen.replace("\r\n", "\n"))
    seen = as_a_terminal_sees_it(user, "fit", f"file:{tmp_path}/mo\x1b[31mdel")
    assert "U+001B" in seen, "such a name is refused, and told"
    assert is_clean(seen.replace("\r\n", "\n"))
    for arguments in (("fit", f"file:{model}"), ("fit", f"file:{model}", "--json")):
        ran = user.run(*arguments, code=None)
        assert is_clean(ran.out + ran.err)


@pytest.mark.parametrize("columns", [60, 80])
def test_a_table_fits_the_terminal(user: User, columns: int) -> None:
    lines = as_a_terminal_sees_it(user, "models", columns=columns).split("\r\n")
    assert any(line.split() == ["NAME", "gemma-4-e2b"] for line in lines), lines
    assert all(len(line) <= columns or len(line.split()) <= 2 for line in lines), "a word is not cut"


def as_a_terminal_sees_it(user: User, *arguments: str, columns: int = 0) -> str:
    """What homeport sends to a terminal without colours; of 80 columns, unless others are said."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([*HOMEPORT, *arguments], cwd=user.folder, stdin=slave, stdout=slave, stderr=slave,
                          env={**os.environ, "TERM": "dumb"}):  # fmt: skip
        os.close(slave)
        seen = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    os.close(master)
    return seen.decode()
