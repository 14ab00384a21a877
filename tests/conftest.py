"""Every test has its own home and its own ports, and cannot reach anything but this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("homeport", deadline=None)  # A busy machine is no defect.
settings.load_profile("homeport")

_GUARD = Path(__file__).parent / "guard"
sys.path.insert(0, str(_GUARD))
import sitecustomize  # noqa: E402, F401 - guards this process; others load it by PYTHONPATH

ROOT = Path(__file__).resolve().parent.parent
FETCHED = ROOT / ".cache" / "home"
"""The home whose weights `make test` fetched before the tests began."""

TAUGHT = ROOT / "tests" / "models" / "gemma-4-taught.gguf"
"""A Gemma 4 of two million parameters: it loads in no time, and calls one tool. See models/README.md."""


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("HOMEPORT_", "HF_", "OPENAI_", "HUGGING", "PIP_", "GOOGLE_", "CLOUDSDK_")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HOMEPORT_HOME", str(home / "homeport"))
    monkeypatch.setenv("HF_HOME", str(home / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("PYTHONPATH", str(_GUARD))


@pytest.fixture(autouse=True)
def _nothing_revealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of other tests are no secrets of this one."""
    monkeypatch.setattr("homeport.redaction._revealed", {})
    monkeypatch.setattr("homeport.redaction._pattern", None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """
    Print what tests have seen of this machine, and the matrix of test_chaos.py.

    The matrix: converged of tried, for each method and each way in which it went wrong.
    """
    reports = [report for of in ("passed", "failed") for report in terminalreporter.stats.get(of, ())]
    for seen in dict.fromkeys(
        str(v) for report in reports for name, v in report.user_properties if name == "seen"
    ):
        terminalreporter.write_line(seen)
    cells = [tuple(value) for report in reports for name, value in report.user_properties if name == "chaos"]
    if not cells:
        return
    from chaos import KINDS

    which = "every call in every kind" if all(one[1] for one in cells) else (
        "a sample: every call, and in an up every method in every kind (make chaos: every call in every kind)"
    )  # fmt: skip
    for task in sorted({task for task, *_ in cells}):
        tried = Counter((method, kind) for one, _, kind, method, _ in cells if one == task)
        well = Counter((method, kind) for one, _, kind, method, good in cells if one == task and good)
        terminalreporter.section(f"chaos: {task}, converged of tried within two more runs")
        terminalreporter.write_line(which)
        terminalreporter.write_line(f"{'':<48}" + "".join(f"{kind:>14}" for kind in KINDS))
        for method in sorted({method for method, _ in tried}):
            name = method.replace("projects.", "").replace("locations.", "")
            counts = [(well[method, kind], tried[method, kind]) for kind in KINDS]
            terminalreporter.write_line(
                f"{name:<48}" + "".join(f"{f'{a}/{b}' if b else '':>14}" for a, b in counts)
            )
        terminalreporter.write_line(f"{well.total()} of {tried.total()}")


@pytest.fixture(scope="session")
def real_weights() -> Mapping[str, Path]:
    """The GGUF files of real models, by the catalog's name. Not to be changed: other tests read them."""
    from homeport import catalog
    from homeport.weights.store import WeightsStore

    found = {}
    for name in ("gemma-3-270m-pt", "smollm2-135m"):
        model = catalog.find(name)
        assert model is not None
        manifest = WeightsStore(FETCHED / "weights").manifest(model.weights["llamacpp"], "gguf")
        assert manifest is not None, "`make test` fetches the weights first: homeport weights fetch"
        assert manifest.gguf is not None
        found[name] = manifest.gguf
    return found


@pytest.fixture(scope="session")
def gcloud_folder() -> Iterator[Path]:
    """The folder of a `gcloud` that answers many commands in a third of the time: see gcloud_forks.py."""
    from gcloud import forked

    with forked() as folder:
        yield folder


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # Any: JSON
        return json.loads(self.out)


class User:
    """Types commands in a folder of their own, on a machine without anything but the weights it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def write(self, text: str) -> None:
        (self.folder / "homeport.toml").write_text(text)

    def run(
        self, *arguments: str, code: int | None = 0, cwd: Path | None = None, timeout: float = 240, **env: str
    ) -> Ran:
        """`homeport` with these arguments. `code` is what it must exit with; None for any."""
        ended = subprocess.run(
            [*HOMEPORT, *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        ran = Ran(ended.returncode, ended.stdout, ended.stderr)
        assert code is None or ran.code == code, f"exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def begin(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """The same, left running."""
        return subprocess.Popen(
            [*HOMEPORT, *arguments],
            cwd=self.folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def home(self) -> Path:
        return Path(os.environ["HOMEPORT_HOME"])


HOMEPORT = [sys.executable, "-m", "homeport"]


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A user in an empty folder. Whatever they started is ended afterwards."""
    user = User(tmp_path / "work")
    yield user
    for name in [path.name for path in (user.home / "endpoints").glob("*")]:
        user.run("down", name, "--yes", code=None)
