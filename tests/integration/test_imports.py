"""What importing the packages does, and costs; and what is generated from them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import homeport
from homeport import errors, reference
from places import ROOT
from source_tree import MODULES, name


def test_the_tree_of_errors_is_drawn_with_the_right_exit_codes() -> None:
    tree = errors.__doc__ or ""
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.HomeportError):
            line = next(line for line in tree.splitlines() if kind.__name__ in line.split())
            assert str(kind.exit_code) in line.split()


def test_what_is_public_is_what_is_listed() -> None:
    assert homeport.__all__ == sorted(homeport.__all__)
    assert all(hasattr(homeport, listed) for listed in homeport.__all__)


def test_generated_pages_are_fresh() -> None:
    for page, text in reference.pages().items():
        assert (ROOT / "docs" / page).read_text() == text, "run `make schema`"


@pytest.mark.long
def test_importing_everything_does_nothing(tmp_path: Path) -> None:
    """No module writes, connects or fails when it is imported with an empty home."""
    modules = [name(path) for path in MODULES if path.name != "__main__.py" and path.parent.name != "server"]
    program = "import importlib, sys\nfor module in sys.argv[1:]: importlib.import_module(module)"
    home = tmp_path / "empty"
    home.mkdir()
    subprocess.run([sys.executable, "-c", program, *modules], check=True, env={"HOME": str(home)}, cwd=home)
    assert list(home.iterdir()) == []


def test_help_loads_nothing_heavy() -> None:
    program = "import sys\nfrom homeport.cli import run\nrun(['--help'])\nprint([m for m in ('rich', 'pydantic', 'httpx2', 'asyncio', 'psutil') if m in sys.modules], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stderr.strip() == "[]"


def test_a_plan_of_this_machine_loads_no_check_and_nothing_of_google(tmp_path: Path) -> None:
    heavy = "('httpx2', 'rich', 'urllib.request', 'homeport.verify.runner', 'homeport.google', 'homeport.usage', 'homeport.observe')"
    program = f"import sys\nfrom homeport.cli import run\nrun(['plan'])\nprint([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    (tmp_path / "homeport.toml").write_text("[local]\nport = 0\n")
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stderr.strip() == "[]"


def test_a_plan_of_this_machine_loads_nothing_that_can_wait_until_an_engine_loads_its_weights(
    tmp_path: Path,
) -> None:
    late = ("http.client", "homeport.results", "homeport.listing", "homeport.resources.local.readiness")
    others = ("homeport.catalog.cloudrun", "homeport.catalog.gguf_header", "homeport.weights.sources.hub")
    of_clouds = ("homeport.reconcile.diff", "homeport.reconcile.schedule")
    program = (
        "import sys\nfrom homeport.cli import run\nassert run(['plan']) == 0\n"
        "print([m for m in sys.argv[1:] if m in sys.modules], file=sys.stderr)"
    )
    (tmp_path / "homeport.toml").write_text("[local]\nport = 0\n")
    ran = subprocess.run(
        [sys.executable, "-c", program, *late, *others, *of_clouds],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ran.stderr.strip() == "[]"


def test_a_price_of_what_was_never_measured_loads_no_load_generator(tmp_path: Path) -> None:
    heavy = "('homeport.bench', 'httpx2', 'homeport.google')"
    program = f"import sys\nfrom homeport.cli import run\nrun(['cost', 'gemma-4-31b'])\nprint([m for m in {heavy} if m in sys.modules], file=sys.stderr)"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.stderr.strip().splitlines()[-1] == "[]"


def test_a_rehearsal_begins_without_an_http_client_and_without_engines() -> None:
    program = "import sys\nimport gcp_rehearsal.server\nprint([m for m in ('httpx2', 'pydantic', 'homeport.engines.base') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"


def test_what_runs_before_an_engine_loads_its_model_loads_little() -> None:
    """Of a supervisor, all that it has imported when it begins the engine; of llama.cpp's process, all before llama.cpp."""
    server = ROOT / "src/homeport/engines/llamacpp/server/homeport_llamacpp.py"
    for imported, unwanted in (
        ("import homeport.supervisor.__main__", "typing"),
        (
            f"import runpy; runpy.run_path({str(server)!r})",
            "pathlib",
        ),
        (f"import runpy; runpy.run_path({str(server)!r})['_parser']()", "shutil"),
    ):
        program = f"import sys\nbefore = set(sys.modules)\n{imported}\nloaded = set(sys.modules) - before\nprint(len(loaded) > 9, {unwanted!r} in loaded)"
        ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert ran.stdout.split() == ["True", "False"], unwanted
