"""The rules of the house, where a machine can hold to them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import homeport
from conftest import ROOT
from homeport import errors, reference

SOURCE = ROOT / "src" / "homeport"
REHEARSAL = ROOT / "src" / "gcp_rehearsal"
HOMEPORT = sorted(SOURCE.rglob("*.py"))
MODULES = [*HOMEPORT, *sorted(REHEARSAL.rglob("*.py"))]
CORE = [
    path for path in MODULES if path.parent.name != "cli" and path.name not in {"terminal.py", "__main__.py"}
]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE if path.is_relative_to(SOURCE) else REHEARSAL.parent))


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_knows_neither_terminal_nor_command_line(path: Path) -> None:
    forbidden = {"rich", "click", "homeport.terminal", "homeport.cli"}
    if path.name == "reference.py":
        return  # It documents the command line.
    assert not {
        module for module in imports(path) for prefix in forbidden if (module + ".").startswith(prefix + ".")
    }


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_does_not_print(path: Path) -> None:
    calls = [node.func.id for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]  # fmt: skip
    assert "print" not in calls
    assert "input" not in calls


@pytest.mark.parametrize("path", sorted((SOURCE / "engines").rglob("*.py")), ids=name)
def test_engines_know_no_targets(path: Path) -> None:
    assert not {
        module for module in imports(path) if module.startswith(("homeport.targets", "homeport.resources"))
    }


def test_nothing_knows_the_rehearsal_but_its_command_and_the_switch_for_validation() -> None:
    knows = {name(path) for path in HOMEPORT if any(i.startswith("gcp_rehearsal") for i in imports(path))}
    assert {module for module in knows if not module.startswith("cli/rehearse")} == {"google/validation.py"}


def test_the_rehearsal_knows_nothing_of_homeport() -> None:
    """Neither imports it nor names it, but for the extra by which it is installed; else it believed what homeport does."""
    for path in sorted(REHEARSAL.rglob("*.py")):
        assert not {module for module in imports(path) if module.partition(".")[0] == "homeport"}, name(path)
        assert "homeport" not in path.read_text().lower().replace("homeport[rehearse]", ""), name(path)


def test_no_modules_of_the_rehearsal_import_each_other_in_a_circle() -> None:
    """Not even for types."""
    named = {
        str(path.relative_to(REHEARSAL.parent).with_suffix(""))
        .replace("/", ".")
        .removesuffix(".__init__"): path
        for path in REHEARSAL.rglob("*.py")
    }
    left = {module: (imports(path) & named.keys()) - {module} for module, path in named.items()}
    packages = {module for module, path in named.items() if path.name == "__init__.py"}
    # `from package import module` names both: only the module counts.
    assert not any(left[package] for package in packages)
    while free := {module for module, needed in left.items() if not needed & left.keys()}:
        left = {module: needed for module, needed in left.items() if module not in free}
    assert left == {}, "modules that wait for each other"


def test_google_is_reached_through_one_door() -> None:
    """No other module names a host of Google's or imports what google-auth brings."""
    for path in HOMEPORT:
        if path.relative_to(SOURCE).parts[0] == "google":
            continue
        assert "https://run.googleapis" not in path.read_text()
        assert not {module for module in imports(path) if module.startswith("google.")}, name(path)


def test_the_reconciler_knows_no_provider() -> None:
    """Neither Google's modules nor an error that is Google's own."""
    for path in sorted((SOURCE / "reconcile").glob("*.py")):
        knows = {module for module in imports(path) if "google" in module.lower()}
        assert not knows, f"{name(path)} imports {knows}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_every_module_and_public_function_says_what_the_caller_gets(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module"
    for node in tree.body:
        if isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and not node.name.startswith("_"):
            if path == SOURCE / "errors.py" and isinstance(node, ast.ClassDef):
                assert node.name in (ast.get_docstring(tree) or "")
                continue
            assert ast.get_docstring(node), node.name


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


def test_importing_everything_does_nothing(tmp_path: Path) -> None:
    """No module writes, connects or fails when it is imported with an empty home."""
    modules = [
        str(path.relative_to(SOURCE.parent)).removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for path in MODULES
        if path.name != "__main__.py" and path.parent.name != "server"
    ]
    program = "import importlib, sys\nfor module in sys.argv[1:]: importlib.import_module(module.rstrip('.'))"
    home = tmp_path / "empty"
    home.mkdir()
    subprocess.run([sys.executable, "-c", program, *modules], check=True, env={"HOME": str(home)}, cwd=home)
    assert list(home.iterdir()) == []


def test_help_loads_nothing_heavy() -> None:
    program = "import sys\nfrom homeport.cli import run\nrun(['--help'])\nprint([m for m in ('rich', 'pydantic', 'httpx2', 'asyncio', 'psutil') if m in sys.modules], file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stderr.strip() == "[]"


def test_a_rehearsal_begins_without_an_http_client_and_without_engines() -> None:
    program = "import sys\nimport gcp_rehearsal.server\nprint([m for m in ('httpx2', 'pydantic', 'homeport.engines.base') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout.strip() == "[]"
