"""What a real shell makes of the variables that an exported script has in the place of marks."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from all_tables import TABLES, WithAllTables
from homeport.export import export
from homeport.export.shell import script, with_variables


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


@pytest.mark.parametrize("tables", [("edge",), ("guard", "observe"), tuple(TABLES)])
def test_no_script_takes_a_switch_of_its_own_from_the_callers_environment(
    tmp_path: Path, tables: tuple[str, ...]
) -> None:
    deployer = WithAllTables("vllm", tmp_path)
    target = deployer.target_of(deployer.file(*tables))
    text = export("gcloud", replace(target, moment=None).resources())["deploy.sh"]
    begin = re.split(r"\n# \d+ APIs", text)[0]
    # What may be unset and is read all the same is a switch; what the caller is to set has capitals.
    switches = sorted(
        {*re.findall(r"\$\{([a-z_]+):?[-+]", text), *re.findall(r"^([a-z_]+)=\S+ [a-z]", text, re.MULTILINE)}
    )
    assert {"agent", "conditioned", "token"} <= {*switches}
    asks = "".join(f"echo {name}=${{{name}-}}\n" for name in switches)
    of_functions = {"kind", "why"}
    ran = subprocess.run(
        ["bash", "-c", f"{begin}\n{asks}"], env={**os.environ, **dict.fromkeys(switches, "theirs")},
        cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert {line.partition("=")[0] for line in ran.stdout.split() if line.endswith("=theirs")} <= of_functions


def test_a_script_goes_to_its_own_folder_whatever_the_caller_has_cd_look_through(tmp_path: Path) -> None:
    here, other = tmp_path / "here" / "out", tmp_path / "other" / "out"
    for folder in (here, other):
        folder.mkdir(parents=True)
    (here / "deploy.sh").write_text(script("rehearsal", "", ["pwd"]))
    ran = subprocess.run(
        ["bash", "out/deploy.sh"], env={**os.environ, "CDPATH": str(other.parent)},
        cwd=here.parent, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ran.stdout.split() == [str(here)]
