"""Every test has its own home and its own ports, and cannot reach anything but this machine."""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from httpx2._config import DEFAULT_TIMEOUT_CONFIG
from hypothesis import HealthCheck, settings

pytest_plugins = ["ended", "hub_fixtures", "imported_once", "longest_first", "made_wheels", "process_ban"]

# A shell starts what is in its background without it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A busy machine is no defect, and a run finds what the last one found: whoever looks for more says
# `make test ARGS=--hypothesis-profile=search`.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("homeport", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("homeport")
for _patience in ("connect", "read", "write", "pool"):
    # Of tests' own clients that name none: 5 s by default. The product's all name one (test_house_rules.py).
    setattr(DEFAULT_TIMEOUT_CONFIG, _patience, 60.0)

gc.disable()  # Until all tests are there: what is imported and collected stays.
# No test outlives a loss of power, and a disk may take a hundredth of a second for each file. Commands in processes do wait.
os.fsync = os.fstat  # type: ignore[assignment]

_GUARD = Path(__file__).parent / "support" / "guard"
sys.path.insert(0, str(_GUARD))
import sitecustomize  # noqa: E402, F401 - guards this process; others load it by PYTHONPATH

from asked_lane import LANES, named_files, names, nothing_asked, without  # noqa: E402
from homeport.chat_template import trial  # noqa: E402
from matrix_table import Told, lines  # noqa: E402
from places import FETCHED, TESTS, VLLM_CACHE, VLLM_PYTHON  # noqa: E402
from typist import Typist  # noqa: E402
from user import User  # noqa: E402

_FILES = pytest.StashKey[frozenset[Path]]()
_FOLDERS = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """
    Leave the tests of all lanes out where nothing but folders is named, with or without `-k`: `make test` and `pytest tests/unit`.

    Whoever names a file, a test or a mark gets what is named; what lies in a folder beside it is left out one by one.
    """
    asked = config.option
    config.stash[_FILES] = files = named_files(config.args)
    if not asked.markexpr and not files:
        asked.markexpr = without(LANES)


def pytest_configure(config: pytest.Config) -> None:
    """
    Give all that these tests start one folder for what is temporary, which goes with them: whoever is killed leaves it.

    Its path is short: sockets lie in it. pytest's own folder, with what failed, stays where it was.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    folder = tempfile.mkdtemp(prefix="hp-")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, once their text is read, the modules of which no test is asked for: each worker would import them all."""
    marks = config.option.markexpr
    if not marks or collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return True if nothing_asked(marks, collection_path.read_text(encoding="utf-8")) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold every test to what `pytest_ignore_collect` takes for granted: where its mark comes from, its module says."""
    lanes = {line.partition(":")[0] for line in config.getini("markers")}
    marked = {(mark.name, item.path) for item in items for mark in item.iter_markers() if mark.name in lanes}
    unread = [
        f"{path}: no test of it would run by -m {lane}"
        for lane, path in marked
        if not names(lane, path.read_text(encoding="utf-8"))
    ]
    if unread:
        raise pytest.UsageError(*sorted(unread))
    files = config.stash[_FILES]
    if config.option.markexpr or not files:
        return
    beside = [
        item
        for item in items
        if item.path.resolve() not in files and any(mark.name in LANES for mark in item.iter_markers())
    ]
    if beside:
        config.hook.pytest_deselected(items=beside)
        items[:] = [item for item in items if item not in beside]


def pytest_collection_finish() -> None:
    """
    Let the collector of garbage look at what tests make, and not at all of their modules each time; and seldom.

    Once all else is frozen, each 700 objects of a test would have it begin, which took up to a tenth of the time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder of the test's own, named and kept as pytest's is, and no longer (sockets lie in it); without a link beside it
    to the last of its name.

    Each case of a test would replace that link, which takes long where a disk is busy.
    """
    name = re.sub(r"\W", "_", request.node.name)[:27]
    return tmp_path_factory.mktemp(f"{name}{next(_FOLDERS)}", numbered=False)


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


@pytest.fixture(autouse=True)
def _templates_in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests start no process, so that chat templates are tried in theirs: those of the tests' own models."""
    if TESTS / "unit" in request.path.parents:
        monkeypatch.setattr("homeport.chat_template.bounded.answered", trial.answered)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have seen of this machine, and the matrix of test_chaos.py."""
    reports = [report for of in ("passed", "failed") for report in terminalreporter.stats.get(of, ())]
    for seen in dict.fromkeys(
        str(v) for report in reports for name, v in report.user_properties if name == "seen"
    ):
        terminalreporter.write_line(seen)
    cells = [Told(*value) for report in reports for name, value in report.user_properties if name == "chaos"]
    if not cells:
        return
    from chaos import KINDS

    for task in sorted({cell.task for cell in cells}):
        terminalreporter.section(f"chaos: {task}, converged of run within two more runs")
        for line in lines([cell for cell in cells if cell.task == task], KINDS):
            terminalreporter.write_line(line)


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
    """The folder of a `gcloud` that answers many commands in a third of the time: see fork_server.py."""
    from gcloud import forked

    with forked() as folder:
        yield folder


@pytest.fixture
def vllm_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Real vLLM is found on the PATH, and starts in two processes instead of four, each of which loads all of it.

    test_vllm.py has it as users do, whose caches outlive a start.
    """
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(VLLM_CACHE))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{VLLM_PYTHON.parent}")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")


@pytest.fixture
def rehearsed_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal finds real vLLM, which knows its models' classes from earlier tests."""
    monkeypatch.setenv("HOMEPORT_REHEARSAL_VLLM", str(VLLM_PYTHON))
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(VLLM_CACHE))


@pytest.fixture
def typist(tmp_path: Path) -> Typist:
    """A user in an empty folder, whose commands are typed in this very process."""
    return Typist(tmp_path / "work")


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """A user in an empty folder. Whatever they started is ended afterwards."""
    user = User(tmp_path / "work")
    yield user
    for name in [path.name for path in (user.home / "endpoints").glob("*")]:
        user.run("down", name, "--yes", code=None)
