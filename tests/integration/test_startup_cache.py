"""The script that restores a startup cache, alone in a process, with an engine that imports all that it finds there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from homeport.startup_cache import script

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
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
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
