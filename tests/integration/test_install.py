"""What is built is what users get: the wheel, in environments of its own, by pip, `uv tool install` and `uvx`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from homeport.errors import ExtraMissing
from places import FETCHED, ROOT

pytestmark = pytest.mark.install
UV = ROOT / ".cache" / "uv" / "bin"
_AS_UV_CALLS_IT = {
    "global.index-url": "UV_DEFAULT_INDEX",
    "global.extra-index-url": "UV_INDEX",
    "global.find-links": "UV_FIND_LINKS",
    "global.constraint": "UV_CONSTRAINT",
    "global.cert": "SSL_CERT_FILE",
}


def said(*command: str | Path, env: Mapping[str, str], cwd: Path, code: int = 0) -> str:
    """What a command prints to both its streams."""
    ran = subprocess.run(
        [*map(str, command)], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False, timeout=1200,
    )  # fmt: skip
    assert ran.returncode == code, f"$ {' '.join(map(str, command))}\nexit {ran.returncode}\n{ran.stdout}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    said(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, ROOT,
        env=os.environ, cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A user's environment, with a home of its own; uv takes its packages from where pip does."""
    env = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    for key, name in _AS_UV_CALLS_IT.items():
        told = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", key], capture_output=True, text=True, check=False
        )
        if told.returncode == 0:
            env[name] = " ".join(told.stdout.split())
    home = tmp_path / "person"
    home.mkdir()
    shutil.copytree(FETCHED / "weights", home / "kept" / "weights", copy_function=os.link)
    return {
        **env, "PIP_RETRIES": "10", "PIP_TIMEOUT": "60", "UV_HTTP_RETRIES": "10", "UV_HTTP_TIMEOUT": "120", "UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "HOME": str(home), "HOMEPORT_HOME": str(home / "kept"), "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"), "PATH": f"{tmp_path / 'bin'}:{env['PATH']}",
    }  # fmt: skip


def test_the_wheel_holds_every_file_of_the_source_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert names == {name.removeprefix("src/") for name in tracked}


def test_the_project_holds_plain_files_alone() -> None:
    """A link leads elsewhere on another machine, or nowhere."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert [line for line in listed.stdout.splitlines() if line.split()[0] not in {"100644", "100755"}] == []


def test_a_model_is_served_from_an_empty_environment_by_pip(
    wheel: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    said(sys.executable, "-m", "venv", tmp_path / "env", env=machine, cwd=tmp_path)
    programs = tmp_path / "env" / "bin"
    said(
        programs / "pip",
        "install",
        "--quiet",
        f"homeport[local] @ {wheel.as_uri()}",
        env=machine,
        cwd=tmp_path,
    )
    machine = {**machine, "PATH": f"{programs}:{machine['PATH']}"}
    folder = tmp_path / "work"
    folder.mkdir()
    said("homeport", "init", env=machine, cwd=folder)
    try:
        said("homeport", "up", "--yes", "--no-verify", "--port", "0", env=machine, cwd=folder)
        assert "Paris" in said(
            "homeport", "chat", "The capital of France is", "--temperature", "0", env=machine, cwd=folder
        )
        report = said("homeport", "verify", "--only", "identity", "--only", "key", env=machine, cwd=folder)
        assert "2 passed" in report
    finally:
        said("homeport", "down", "--yes", env=machine, cwd=folder)


def test_uvx_runs_it_and_uv_installs_it_as_a_tool(
    wheel: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    assert (
        said(UV / "uvx", "--quiet", "--from", wheel, "homeport", "--version", env=machine, cwd=tmp_path)
        == "homeport 0.1.0\n"
    )
    said(UV / "uv", "tool", "install", "--quiet", f"{wheel}[local]", env=machine, cwd=tmp_path)
    assert "llamacpp" in said("homeport", "doctor", env=machine, cwd=tmp_path)
    # Each command whose part is not installed says so before anything else, with the command that installs it here.
    said("homeport", "init", "--on", "cloudrun", env=machine, cwd=tmp_path)
    lacking = {
        "console": "console", "mcp": "agents", "agent run hello": "agents", "rehearse serve": "rehearse", "rehearse plan": "rehearse",
        "plan --on cloudrun": "cloudrun", "list --on cloudrun": "cloudrun",
    }  # fmt: skip
    for command, extra in lacking.items():
        told = said("homeport", *command.split(), env=machine, cwd=tmp_path, code=ExtraMissing.exit_code)
        assert told.count("error:") == 1, told
        assert f"{tmp_path}/tools/homeport/bin/python -m pip install 'homeport[{extra}]'" in told, told
    assert "homeport 0.1.0" in said(
        UV / "uv", "tool", "upgrade", "homeport", env=machine, cwd=tmp_path
    ) + said("homeport", "--version", env=machine, cwd=tmp_path)
    said(UV / "uv", "tool", "uninstall", "--quiet", "homeport", env=machine, cwd=tmp_path)
    assert not (tmp_path / "bin" / "homeport").exists()


def test_without_an_extra_serving_says_which_one_it_needs(
    wheel: Path, machine: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "homeport.toml").write_text('model = "smollm2-135m"\n')
    told = said(
        UV / "uvx", "--quiet", "--from", wheel, "homeport", "up", "--yes", env=machine, cwd=tmp_path, code=14
    )
    assert "homeport[local]" in told
    assert told.count("error:") == 1
