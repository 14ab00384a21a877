"""Images that serve, built: by builds that really run, and by a script that bakes a model into one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from building import BUCKET, REGION, Place, place
from homeport.catalog.images import engine_image
from homeport.engines.image import Gguf, ImageContents, Recipe
from homeport.engines.ollama import engine as ollama
from homeport.engines.vllm import engine as vllm
from homeport.errors import OperationFailed
from homeport.progress import Silent
from serving_images import BASE, DATA, FILE, GEMMA, LIBRARY, of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("homeport.resources.google.build.FIRST_LOOK_S", 0.05)
    with place(tmp_path) as here:
        yield here


def built(here: Place, recipe: Recipe) -> Any:  # Any: JSON
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            return await of(google, recipe).create({}, Silent())

    return here.act(work())


def made(here: Place, live: Any) -> tuple[Any, Path]:  # Any: JSON
    folder = here.cloud.folder / "images" / live["digest"].removeprefix("sha256:")
    return json.loads((folder / "image.json").read_text()), folder / "root"


def own(here: Place) -> Gguf:
    async def put() -> None:
        async with here.google() as google:
            await google.upload(BUCKET, f"mine/{FILE.path}", DATA)

    here.act(put())
    return Gguf(origin=f"gs://{BUCKET}/mine", file=FILE)


def test_a_library_model_is_built_into_an_image_that_is_deployed_by_digest(here: Place) -> None:
    live = built(here, LIBRARY)
    assert live["reference"] == f"{REGION}-docker.pkg.dev/rehearsal/home/serving@{live['digest']}"
    table, root = made(here, live)
    assert table["base"] == BASE
    assert (table["entrypoint"], table["cmd"]) == (["/bin/ollama"], ["serve"])
    assert table["env"] == {
        "OLLAMA_MODELS": "/models/ollama", "OLLAMA_NOPRUNE": "1",
    }  # fmt: skip
    assert table["labels"] == {
        "homeport.engine": "ollama", "homeport.model": "gemma", "homeport.weights": "ollama:gemma4:e4b",
    }  # fmt: skip
    assert (root / "models/Modelfile").read_text() == "FROM gemma4:e4b\n"
    assert (root / "homeport/serve.sh").read_text() == "#!/bin/bash\n"


def test_a_gguf_of_ones_own_lies_in_the_image_with_the_right_bytes(here: Place) -> None:
    recipe = ollama.image(replace(GEMMA, model_name='my "$HOME" \\', weights=own(here)))
    table, root = made(here, built(here, recipe))
    assert table["labels"]["homeport.gguf"] == "/models/model.gguf"
    assert table["labels"]["homeport.model"] == 'my "$HOME" \\'
    assert table["labels"]["homeport.weights"] == f"sha256:{FILE.sha256}"
    assert (root / "models/model.gguf").read_bytes() == DATA
    assert (root / "models/Modelfile").read_text() == "FROM /models/model.gguf\n"


def test_vllm_gets_our_files_and_no_weights(here: Place) -> None:
    files = {"/srv/homeport vllm.py": "print('$HOME')\n", "/srv/b/homeport.py": "# ours\n"}
    recipe = vllm.image(ImageContents(base=engine_image("vllm").pinned, files=files))
    table, root = made(here, built(here, recipe))
    assert (table["entrypoint"], table["cmd"]) == (["vllm", "serve"], [])
    found = {f"/{path.relative_to(root)}": path.read_text() for path in root.rglob("*") if path.is_file()}
    assert found == files


def test_an_unchanged_image_is_there_and_is_not_built_again(here: Place) -> None:
    live = built(here, LIBRARY)

    async def read() -> Any:  # Any: JSON
        async with here.google() as google:
            return await of(google, LIBRARY).read()

    assert here.act(read()) == live
    assert len(here.builds()) == 1


def test_a_build_that_fails_is_told_with_the_last_lines_of_its_log(here: Place) -> None:
    recipe = replace(LIBRARY, dockerfile="FROM ollama/ollama\nCOPY missing.txt /\n")
    with pytest.raises(OperationFailed, match=r'(?s)build of serving failed.*"/missing.txt": not found'):
        built(here, recipe)


STAND_IN = """#!/bin/sh
echo "$@" >>"$LOG"
case "$1" in
  serve) [ -z "${DIES:-}" ] || exit 3; trap 'kill $!; exit' TERM; sleep 600 & wait ;;
  list) [ "$(grep -c '^list' "$LOG")" -ge 3 ] ;;
  *) [ "$1" != "${FAILS:-}" ] ;;
esac
"""


def bake(folder: Path, **env: str) -> tuple[int, list[str]]:
    """What a stand-in for `ollama` is told by the script that bakes; it answers at the third asking."""
    (folder / "ollama").write_text(STAND_IN)
    (folder / "ollama").chmod(0o755)
    (folder / "bake.sh").write_text(LIBRARY.files["bake.sh"])
    log = folder / "log"
    told = {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(log), "TMPDIR": str(folder), **env}
    ran = subprocess.run(
        ["sh", "bake.sh"], cwd=folder, env=told, capture_output=True, timeout=120, check=False
    )
    begun = [
        one for one in psutil.process_iter(["environ"]) if (one.info["environ"] or {}).get("LOG") == str(log)
    ]
    assert not psutil.wait_procs(begun, timeout=60)[1], "its servers go with it, whatever came of it"
    return ran.returncode, log.read_text().splitlines()


def test_the_server_is_awaited_and_the_model_pulled_shown_and_loaded_once(tmp_path: Path) -> None:
    code, said = bake(tmp_path)
    assert code == 0
    assert said.count("list") == 3
    assert [line for line in said if line != "list"] == [
        "serve", "pull gemma4:e4b", "create gemma -f /models/Modelfile", "show gemma", "run gemma ", "stop gemma",
    ]  # fmt: skip


@pytest.mark.parametrize("broken", [{"DIES": "1"}, {"FAILS": "pull"}, {"FAILS": "show"}, {"FAILS": "run"}])
def test_a_step_of_the_baking_that_fails_fails_the_image(tmp_path: Path, broken: dict[str, str]) -> None:
    code, said = bake(tmp_path, **broken)
    assert code != 0
    assert "stop gemma" not in said
