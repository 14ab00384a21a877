"""What real shells read of the variables that are printed for them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from homeport.clients import SHELLS, exported

KEY = 'hp-a\'b $HOME \\ `x` "q"'


def test_a_shell_reads_what_was_meant() -> None:
    assert set(SHELLS) == {"bash", "fish", "powershell"}
    script = exported({"KEY": KEY}, "bash") + '\nprintf %s "$KEY"'
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout == KEY
    assert exported({"KEY": "a'b\\c"}, "fish") == "set -gx KEY 'a\\'b\\\\c'"
    assert exported({"KEY": "a'b"}, "powershell") == "$env:KEY = 'a''b'"


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_reads_what_was_meant() -> None:
    script = exported({"KEY": KEY}, "fish") + '\nprintf %s "$KEY"'
    assert subprocess.run(["fish", "-c", script], capture_output=True, text=True, check=True).stdout == KEY
