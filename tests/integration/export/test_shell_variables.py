"""What a real shell makes of the variables that an exported script has in the place of marks."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from homeport.export.shell import with_variables


def test_variables_of_the_shell_take_the_place_of_marks_inside_quotes_and_out_of_them(tmp_path: Path) -> None:
    ip, odd = "10.8.0.2", "a 'b' $c `d` \\e"
    lines = [
        f"printf '<%s>' {shlex.quote('one __IP__ two')} --ranges=__IP__/32 {shlex.quote('$HOME __ODD__')}",
        "cat <<'END'",
        "at: __IP__ $HOME `id` \\n",
        "END",
    ]
    made = with_variables(lines, {"__IP__": "$IP", "__ODD__": "$ODD"})
    ran = subprocess.run(["bash", "-eu"], input="\n".join(made), env={"IP": ip, "ODD": odd}, capture_output=True, text=True, check=True)  # fmt: skip
    assert ran.stdout == f"<one {ip} two><--ranges={ip}/32><$HOME {odd}>at: {ip} $HOME `id` \\n\n"
    with pytest.raises(TypeError, match="nobody can tell"):
        with_variables([shlex.quote("it's __IP__")], {"__IP__": "$IP"})
