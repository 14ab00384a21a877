"""Weights that two processes want, and that one was killed over."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from homeport.progress import Silent
from homeport.weights import download
from homeport.weights.store import WeightsStore
from hub import Hub
from patience import until

GGUF = b"GGUF" + random.Random(7).randbytes(3_000_000)


SOURCE = "hf:org/model"


def another_process(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that makes sure of the same weights, as `homeport up` does."""
    program = (
        "import sys; from pathlib import Path; from homeport.progress import Silent;"
        "from homeport.weights.store import WeightsStore\n"
        "class Loud(Silent):\n"
        "    def note(self, text): print(text, flush=True)\n"
        f"print(WeightsStore(Path({str(tmp_path / 'weights')!r})).ensure({SOURCE!r}, 'gguf', Loud()).digest, flush=True)"
    )
    path = os.pathsep.join([str(Path(download.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, text=True)


def test_killed_in_the_middle_the_next_run_goes_on_from_there(
    hub: Hub, store: WeightsStore, tmp_path: Path
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").stall_after = 2_000_000
    with another_process(tmp_path) as victim:
        assert hub.stalled.wait(120)
        until(lambda: any(path.stat().st_size >= 1_900_000 for path in tmp_path.rglob("*.incomplete")))
        victim.send_signal(signal.SIGKILL)
        assert victim.wait(60) == -signal.SIGKILL
    hub.release.set()
    assert store.manifest(SOURCE, "gguf") is None
    hub.served.clear()
    manifest = store.ensure(SOURCE, "gguf", Silent())
    assert manifest.gguf is not None
    assert manifest.gguf.read_bytes() == GGUF
    assert _resumed_at(hub) >= 1_900_000
    assert hub.total() < len(GGUF) - 1_500_000


def test_two_processes_fetch_every_byte_once(hub: Hub, tmp_path: Path) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").stall_after = 1_000_000
    with another_process(tmp_path) as first:
        assert hub.stalled.wait(120)
        with another_process(tmp_path) as second:
            assert second.stdout is not None
            assert "another process is fetching hf:org/model" in second.stdout.readline()
            hub.release.set()
            said = {first.communicate(timeout=120)[0], second.communicate(timeout=120)[0]}
    assert len(said) == 1
    assert first.returncode == second.returncode == 0
    assert hub.served == {"model.gguf": len(GGUF)}


def _resumed_at(hub: Hub) -> int:
    """Where the last download began. Bytes served would not tell: some are in flight when a client goes away."""
    return int(hub.asked("GET", "Signature")[-1]["range"].removeprefix("bytes=").removesuffix("-"))
