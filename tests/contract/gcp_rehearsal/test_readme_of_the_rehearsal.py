"""The rehearsal's README is true: its command starts one, and its snippets do with Google's own clients what they say."""

from __future__ import annotations

import re
import runpy
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gcp_rehearsal

README = (Path(gcp_rehearsal.__file__).parent / "README.md").read_text()
PORT = "8600"


def snippet(using: str) -> str:
    """The one block of Python that uses this."""
    (found,) = (code for code in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if using in code)
    return str(found)


def ran(folder: Path, code: str) -> None:
    """Run a snippet in a file of its own."""
    file = folder / "snippet.py"
    file.write_text(code)
    runpy.run_path(str(file))


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """That of a rehearsal that was started by the README's command, with the variables that it prints."""
    (typed,) = re.findall(r"^\$ (python -m gcp_rehearsal .*)$", README, re.MULTILINE)
    _, *arguments = shlex.split(typed.replace(PORT, "0"))
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while not (line := process.stdout.readline()).startswith("#"):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                monkeypatch.setenv(name, shlex.split(value)[0])
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found is not None
            # The snippet sets it: what it was comes back when the test ends.
            monkeypatch.setenv("http_proxy", "")
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)


def test_googles_clients_find_it_as_the_readme_says(
    tmp_path: Path, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path, snippet("google.cloud").replace(PORT, port))
    assert capsys.readouterr().out.splitlines() == ["[]", "an-example"]


def test_a_program_of_httpx2_finds_it_without_a_socket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran(tmp_path, snippet("httpx2"))
    assert capsys.readouterr().out == "an-example\n"
