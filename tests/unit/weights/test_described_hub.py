"""What a repository of a hub holds, known before it is downloaded: only headers move."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from described_models import LAYERS, MORE, ROWS, SHARDS, ask, repository, whole
from homeport import spec
from homeport.catalog import described
from homeport.errors import GatedModel, NetworkError, UnknownModel, WeightsError
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.model_selection import choose
from hub import Hub
from hub_fixtures import hub as hub_of_weights
from made_headers import CONFIG, header_of
from places import TAUGHT
from typist import Typist


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(described, "SILENCE_S", 60)
    yield from hub_of_weights.__wrapped__(tmp_path, monkeypatch)  # type: ignore[attr-defined]  # a fixture's function


def test_two_ggufs_of_one_commit_lie_apart_in_the_bucket(hub: Hub) -> None:
    hub.push("org/model", {"taught-Q4.gguf": TAUGHT.read_bytes(), "taught-Q8.gguf": TAUGHT.read_bytes()})
    prefixes = []
    for file in ("taught-Q4.gguf", "taught-Q8.gguf", "taught-Q4.gguf"):
        model = f"hf:org/model:{file}"
        wanted = spec.parse(
            {"name": "home", "model": model, "engine": {"kind": "ollama", "context": 1024}, "cloudrun": {}}
        )
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        assert chosen.pinned is not None
        prefixes.append(chosen.pinned.prefix)
    assert prefixes[0] == prefixes[2] != prefixes[1]
    commit = hub.repos["org/model"].refs["main"]
    assert all(prefix.startswith(f"models/org/model/{commit}-") for prefix in prefixes)


def test_megabytes_of_weights_are_known_by_kilobytes_of_headers(hub: Hub) -> None:
    files = repository()
    hub.push("org/model", files)
    found = ask()
    assert found.bytes == sum(len(files[name]) for name in SHARDS) - len(header_of(LAYERS)[0]) - len(
        header_of(MORE)[0]
    )
    assert found.parts.matrices == 2 * 2 * 8 * ROWS + 12
    assert found.quantization == "bfloat16"
    assert found.model.architecture is not None
    assert found.model.sampling == {"temperature": 0.5}
    assert found.fetched < 1_000_000
    assert sum(hub.served.values()) < 2_000_000


def test_a_gguf_is_known_by_its_header(hub: Hub) -> None:
    hub.push("org/model", {"taught.gguf": TAUGHT.read_bytes()})
    found = ask("taught.gguf")
    assert found.format == "gguf"
    here = described.of_path(TAUGHT, name="x")
    assert (found.parts, found.headers) == (here.parts, here.headers)


def test_a_server_that_knows_no_ranges_is_hung_up_on(hub: Hub) -> None:
    hub.push("org/model", repository())
    hub.ranges = False
    assert ask().parts.matrices == 2 * 2 * 8 * ROWS + 12
    assert hub.served[SHARDS[0]] < 8_000_000, "the file has 8 MB; some more than asked for is on its way"


def test_a_header_longer_than_guessed_is_asked_for_again(hub: Hub) -> None:
    many: dict[str, tuple[str, tuple[int, ...]]] = {
        f"model.layers.{at}.mlp.up_proj.weight": ("BF16", (2, 2)) for at in range(4000)
    }
    assert len(header_of(many)[0]) > 1 << 18
    settings = {"config.json": json.dumps(CONFIG).encode(), "tokenizer.json": b"{}"}
    hub.push("org/model", {**settings, "model.safetensors": whole(many)})
    assert ask().parts.matrices == 4000 * 8


def test_a_connection_that_is_cut_is_taken_up_again(hub: Hub) -> None:
    hub.push("org/model", repository())
    hub.faults(SHARDS[0]).cuts = [10, 20]
    assert ask().bytes > 0


def test_a_busy_hub_is_asked_again(hub: Hub) -> None:
    hub.push("org/model", repository())
    hub.faults(SHARDS[1]).statuses = [503, 429]
    assert ask().bytes > 0


def test_a_hub_that_falls_silent_is_given_up_on_in_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(described, "SILENCE_S", 2)
    hub.push("org/model", repository())
    hub.faults(SHARDS[0]).stall_after = 0
    ask()  # it stalls once, and the next try has it
    assert hub.stalled.is_set()
    assert not hub.gave_up


def test_a_hub_that_stays_broken_is_one_clear_error(hub: Hub) -> None:
    hub.push("org/model", repository())
    hub.faults(SHARDS[0]).statuses = [503] * 20
    with pytest.raises(NetworkError, match="busy or broken"):
        ask()


def test_a_gated_model_says_where_its_licence_is(hub: Hub) -> None:
    hub.push("org/model", repository(), gated="manual")
    with pytest.raises(GatedModel, match="accepted its licence") as refused:
        ask()
    assert "org/model" in refused.value.hint


def test_a_model_that_is_not_there_is_told(hub: Hub) -> None:
    with pytest.raises((UnknownModel, GatedModel)):
        ask()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda data: b"<html>" + data[6:], "not a safetensors file"),
        (lambda data: data[:2000], "cut short"),
        (lambda data: data[:8] + b"[" + data[9:], "is damaged"),
    ],
)
def test_a_wrong_header_is_told_with_its_file(hub: Hub, spoil: Any, said: str) -> None:
    files = repository()
    files[SHARDS[1]] = spoil(files[SHARDS[1]])
    hub.push("org/model", files)
    with pytest.raises(WeightsError, match=said) as refused:
        ask()
    assert SHARDS[1] in str(refused.value)


def test_settings_that_are_no_json_are_told(hub: Hub) -> None:
    hub.push("org/model", {**repository(), "config.json": b"<html>not found"})
    with pytest.raises(WeightsError, match=r"config\.json is a web page, and no server reads it"):
        ask()


def test_fit_of_a_repository_shows_the_table_and_what_moved(hub: Hub, typist: Typist) -> None:
    hub.push("org/model", repository())
    shown = typist.run("fit", "hf:org/model").out
    assert "kB of headers were fetched" in shown
    assert "✓  nvidia-l4 4 CPU 16 GiB" in shown
    hub.repos["org/model"].gated = "manual"
    assert "accept it on" in typist.run("fit", "hf:org/model", code=13).err
