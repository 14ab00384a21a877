"""Headers from a hub that must not be asked, answers with something else, or never answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from described_models import SHARDS, ask, repository, whole
from homeport.catalog import described
from homeport.catalog.described import of_hub
from homeport.errors import GatedModel, NetworkError, WeightsError
from homeport.progress import Silent
from homeport.weights import download
from homeport.weights.sources.hub import HubSource
from hub import Answer, Hub
from hub_fixtures import hub as hub_of_weights
from made_headers import CONFIG, EVERY_LAYER

SMALL = {
    SHARDS[0]: whole({**EVERY_LAYER, "model.embed_tokens.weight": ("BF16", (100, 8))}),
    SHARDS[1]: whole({"model.layers.0.mlp.up_proj.weight": ("BF16", (16, 8))}),
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr(described, "SILENCE_S", 60)
    yield from hub_of_weights.__wrapped__(tmp_path, monkeypatch)  # type: ignore[attr-defined]  # a fixture's function


def test_offline_headers_come_from_the_cache_and_nobody_is_asked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    source = HubSource(repo="org/model", revision=hub.push("org/model", {**repository(), **SMALL}))
    pin = source.pin("safetensors")
    source.fetch(pin, source.folder(Path("/"), pin), Silent())
    online = of_hub(source, "safetensors", name="x")
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = of_hub(source, "safetensors", name="x")
    assert (offline.parts, offline.model) == (online.parts, online.model)
    assert offline.fetched == 0
    assert len(hub.requests) == asked


def test_offline_without_a_cache_says_which_setting_it_was(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.push("org/model", repository())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set"):
        ask()
    assert not hub.requests


def test_another_part_than_the_first_is_not_taken_for_a_header(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", repository())
    monkeypatch.setattr(hub, "_range", lambda wanted, size: (int(size > 1 << 20), min(size, 1 << 20)))
    with pytest.raises(NetworkError):
        ask()


def test_every_byte_that_was_sent_is_counted(hub: Hub) -> None:
    hub.push("org/model", {**repository(), **SMALL})
    assert ask().fetched == hub.total()


def test_a_hub_that_never_sends_a_header_is_one_error_in_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", repository())
    send = hub._send

    def silent(answer: Answer, name: str, body: bytes, cut: int | None) -> None:
        if name not in SHARDS:
            send(answer, name, body, cut)
            return
        hub.stall()
        answer.close_connection = True

    monkeypatch.setattr(hub, "_send", silent)
    monkeypatch.setattr(described, "SILENCE_S", 1)
    with pytest.raises(NetworkError, match="cannot be fetched") as caught:
        ask()
    assert hub.stalled.is_set()
    assert not hub.gave_up
    assert "HTTPS_PROXY" in caught.value.hint


def test_a_file_that_is_forbidden_leads_to_the_licence(hub: Hub) -> None:
    hub.push("org/model", repository())
    hub.faults(SHARDS[1]).statuses = [403]
    with pytest.raises(GatedModel, match="HTTP 403") as refused:
        ask()
    assert "hf auth login" in refused.value.hint


@pytest.mark.parametrize(
    ("config", "said"),
    [(None, "hf:org/model has no config.json"), (b'{"model_type": "llama"}', "hf:org/model/config.json: num_hidden")],
)  # fmt: skip
def test_settings_that_are_wrong_are_named_by_their_repository(
    hub: Hub, config: bytes | None, said: str
) -> None:
    files = {**repository(), **SMALL, "config.json": config}
    hub.push("org/model", {name: data for name, data in files.items() if data is not None})
    with pytest.raises(WeightsError, match=said):
        ask()


def test_settings_as_large_as_weights_are_not_fetched(hub: Hub) -> None:
    hub.push("org/model", {**repository(), **SMALL, "tokenizer_config.json": bytes(40_000_000)})
    with pytest.raises(WeightsError, match="more than any settings have"):
        ask()
    assert hub.total() < 1_000_000


@pytest.mark.parametrize("here", [True, False])
def test_a_missing_shard_is_told(hub: Hub, tmp_path: Path, here: bool) -> None:
    files = {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": b"{}",
        SHARDS[0]: SMALL[SHARDS[0]],
    }
    hub.push("org/model", files)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(WeightsError, match=f"lacks {SHARDS[1]}"):
        described.of_path(tmp_path, name="x") if here else ask()


def test_weights_that_are_published_twice_count_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    for name in ("model.safetensors", "consolidated.safetensors"):
        (tmp_path / name).write_bytes(SMALL[SHARDS[0]])
    assert described.of_path(tmp_path, name="x").bytes == 1612


def test_a_missing_part_of_a_split_gguf_is_told(tmp_path: Path) -> None:
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(b"GGUF")
    with pytest.raises(WeightsError, match=r"lacks m-00002-of-00002\.gguf"):
        described.of_path(tmp_path / "m-00001-of-00002.gguf", name="x")


def test_a_hub_that_only_trickles_is_given_up_on(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "BEGIN_WITHIN_S", 1)
    hub.push("org/model", repository())
    pause = threading.Event()

    def trickle(answer: Answer) -> None:
        answer.begin(206, 100_000, {"Content-Range": "bytes 0-99999/8000000"})
        while not hub.release.is_set():
            answer.wfile.write(b" ")
            pause.wait(0.1)

    monkeypatch.setattr(hub, "cdn", hub.listen(trickle))
    with pytest.raises(NetworkError, match=r"is too slow: .* bytes came in 1 s"):
        ask()
