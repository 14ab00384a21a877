"""The script that restores a startup cache, alone in a process, with an engine that imports all that it finds there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from homeport.free_ports import free_port
from homeport.startup_cache import making, script
from processes_of import lives

FINGERPRINT = "f" * 32
ENGINE = (
    "import importlib, os, pathlib, sys\n"
    "found = pathlib.Path(sys.argv[1])\n"
    "sys.path.insert(0, str(found))\n"
    "for one in sorted(found.glob('*.py')): importlib.import_module(one.stem)\n"
    "print(os.getpid())\n"
    "sys.exit(7)\n"
)
"""It loads what lies there, as an engine does; and has an exit code of its own."""


class Container:
    """A folder with a mount and what a container would run."""

    def __init__(self, at: Path) -> None:
        self.mount, self.cache, self.loaded = at / "mount", at / "cache", at / "loaded"
        (at / "engines").mkdir()
        (at / "engines" / "kernel.py").write_text(f"open({str(self.loaded)!r}, 'a').write('kernel ')\n")
        kept = self._run("keep", "--from", str(at / "engines"), "--to", str(self.mount), code=0)
        self.digest = kept.stdout.strip()

    def start(self, *command: str, code: int = 7) -> str:
        """Run the restoring start; what its log says."""
        told = ["--from", str(self.mount), "--to", str(self.cache), "--manifest", self.digest]
        command = command or (sys.executable, "-c", ENGINE, str(self.cache))
        ran = self._run("restore", *told, "--", *command, code=code)
        return ran.stderr

    @staticmethod
    def _run(verb: str, *told: str, code: int) -> subprocess.CompletedProcess[str]:
        # Isolated: the container has no homeport.
        command = [sys.executable, "-I", "-S", script.__file__, verb, "--fingerprint", FINGERPRINT, *told]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == code, ran.stderr
        return ran


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_what_was_kept_is_loaded_by_the_engine_which_takes_the_scripts_place(container: Container) -> None:
    said = container.start()
    assert said.startswith("homeport: startup cache: 1 files, ")
    assert len(said.splitlines()) == 1
    assert container.loaded.read_text() == "kernel "


def test_a_planted_module_is_never_loaded_and_the_engine_starts(container: Container) -> None:
    canary = f"open({str(container.loaded)!r}, 'a').write('CANARY')\n"
    (container.mount / "canary.py").write_text(canary)
    assert container.start().count("left aside") == 1
    (container.mount / "canary.py").unlink()
    pack = container.mount / script.PACK
    pack.write_bytes(canary.encode()[: pack.stat().st_size].ljust(pack.stat().st_size, b"#"))
    assert "is not what was kept" in container.start()
    assert not container.loaded.exists()
    assert not container.cache.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_start_without_anything_to_restore_is_as_before(container: Container, tmp_path: Path) -> None:
    container.mount = tmp_path / "nowhere"
    assert "left aside, and the start goes on without it: there is none" in container.start()
    container.mount, container.cache = tmp_path / "mount", Path("/dev/full/cache")
    assert "left aside" in container.start(sys.executable, "-c", "raise SystemExit(3)", code=3)


def test_an_engine_that_is_not_there_is_an_error_at_once(container: Container) -> None:
    assert "cannot be started" in container.start("no-such-engine", code=127)


COMPILING = (
    "import http.server, os, pathlib, signal, sys, threading\n"
    "left = pathlib.Path(sys.argv[1]); left.mkdir(parents=True, exist_ok=True)\n"
    "how = sys.argv[3]\n"
    "if how == 'dies': sys.exit(9)\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self): self._answer(200)\n"
    "    def do_POST(self):\n"
    "        body = self.rfile.read(int(self.headers['content-length']))\n"
    "        (left / 'graph.py').write_bytes(body)\n"
    "        self._answer(400 if how == 'refuses' else 200)\n"
    "    def _answer(self, code):\n"
    "        self.send_response(code); self.send_header('content-length', '0'); self.end_headers()\n"
    "    def log_message(self, *_): pass\n"
    "server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[2])), Handler)\n"
    "def end(*_):\n"
    "    (left / 'last.py').write_text('')\n"
    "    os._exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "if how != 'deaf': threading.Thread(target=server.serve_forever, daemon=True).start()\n"
    "print('up', flush=True)\n"
    "signal.pause()\n"
)
"""It leaves what it was asked for, and more when it is told to end."""


class Job:
    """What a job runs: the script that makes a cache, with an engine."""

    def __init__(self, at: Path, how: str = "", within: float = 300) -> None:
        self.left, self.pack, self.port = at / "left", at / "pack", free_port("127.0.0.1")
        keeping = ["keep", "--from", f"{self.left}", "--to", f"{self.pack}", "--fingerprint", FINGERPRINT]
        self.command = [
            *(sys.executable, "-I", "-S", making.__file__, "--url", f"http://127.0.0.1:{self.port}"),
            *("--health", "/health", "--ask", "/v1/completions", "--body", "{}", "--within", f"{within}"),
            *("--keep", script.__file__, *(f"--kept-by={one}" for one in keeping), "--"),
            *(sys.executable, "-c", COMPILING, f"{self.left}", f"{self.port}", how),
        ]

    def run(self, code: int) -> str:
        """Run it to its end; what its log says."""
        ran = subprocess.run(self.command, capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == code, ran.stderr
        return ran.stdout + ran.stderr


def test_a_job_keeps_what_an_engine_left_once_it_has_answered_and_ended(tmp_path: Path) -> None:
    job = Job(tmp_path)
    said = job.run(0)
    manifest = (job.pack / script.MANIFEST).read_bytes()
    assert script.digest(manifest) in said
    assert {"graph.py", "last.py"} <= {path for path in manifest.decode().split('"') if path.endswith(".py")}


@pytest.mark.long
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("dies", "the engine ended with 9"),
        ("refuses", "the engine refused a question with 400"),
        ("deaf", "the engine does not answer within 2 s"),
    ],
)
def test_of_an_engine_that_never_answered_nothing_is_kept(tmp_path: Path, how: str, says: str) -> None:
    job = Job(tmp_path, how, within=2 if how == "deaf" else 300)
    assert f"{making.SAYS}{says}" in job.run(1)
    assert not job.pack.exists()


def test_a_job_that_is_told_to_end_ends_its_engine_and_keeps_nothing(tmp_path: Path) -> None:
    job = Job(tmp_path, "deaf", within=600)
    with subprocess.Popen(job.command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        (engine,) = psutil.Process(process.pid).children()
        process.terminate()
        assert process.wait(120) == 128 + signal.SIGTERM
        psutil.wait_procs([engine], timeout=120)
        assert not lives(engine.pid)
    assert not job.pack.exists()
