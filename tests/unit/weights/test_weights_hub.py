"""`hf:` weights, against a hub on loopback."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from homeport.errors import GatedModel, NetworkError, UnknownModel, WeightsError
from homeport.progress import Silent
from homeport.weights import Format, Manifest
from homeport.weights.sources.registry import canonical
from homeport.weights.store import WeightsStore
from hub import Hub
from nobody import nobody_at

GGUF = b"GGUF" + random.Random(1).randbytes(600_000)
OTHER = b"GGUF" + random.Random(2).randbytes(300_000)
MODEL = {
    "config.json": b'{"architectures": []}',
    "tokenizer.json": b"{}",
    "model.safetensors": random.Random(3).randbytes(400_000),
    "README.md": b"# model",
    "pytorch_model.bin": b"pickled",
    "original/params.json": b"{}",
    "original/model.safetensors": b"theirs",
}


class Listener(Silent):
    """Remembers the bytes that it was told of."""

    def __init__(self) -> None:
        self.bytes: list[tuple[int, int]] = []

    def advanced(self, key: str, done: int, total: int) -> None:
        self.bytes.append((done, total))


@pytest.fixture
def listener() -> Listener:
    return Listener()


def fetch(
    store: WeightsStore, source: str, format: Format = "gguf", listener: Listener | None = None
) -> Manifest:
    return store.ensure(canonical(source, Path("/")), format, listener or Listener())


def test_the_only_gguf_is_fetched_with_its_checksum(
    hub: Hub, store: WeightsStore, listener: Listener
) -> None:
    commit = hub.push("org/model", {"model.gguf": GGUF, "README.md": b"# model"})
    manifest = fetch(store, "hf:org/model", listener=listener)
    assert manifest.gguf is not None
    assert manifest.gguf.read_bytes() == GGUF
    assert manifest.pin.revision == commit
    assert manifest.pin.files[0].sha256 == hashlib.sha256(GGUF).hexdigest()
    assert hub.served == {"model.gguf": len(GGUF)}
    assert listener.bytes[-1] == (len(GGUF), len(GGUF))


def test_the_second_time_nobody_is_asked(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    first = fetch(store, "hf:org/model")
    asked = len(hub.requests)
    assert fetch(store, "hf:org/model") == first
    assert len(hub.requests) == asked


def test_a_source_without_revision_stays_at_its_commit_until_it_is_removed(
    hub: Hub, store: WeightsStore
) -> None:
    first = hub.push("org/model", {"model.gguf": GGUF})
    fetch(store, "hf:org/model")
    second = hub.push("org/model", {"model.gguf": OTHER})
    assert fetch(store, "hf:org/model").pin.revision == first
    assert store.remove("hf:org/model", "gguf")
    manifest = fetch(store, "hf:org/model")
    assert manifest.pin.revision == second
    assert manifest.gguf is not None
    assert manifest.gguf.read_bytes() == OTHER


def test_a_revision_can_be_named(hub: Hub, store: WeightsStore) -> None:
    first = hub.push("org/model", {"model.gguf": GGUF})
    hub.push("org/model", {"model.gguf": OTHER})
    assert fetch(store, f"hf:org/model@{first}").pin.files[0].size == len(GGUF)


def test_safetensors_come_with_what_stands_beside_them_and_nothing_else(
    hub: Hub, store: WeightsStore
) -> None:
    hub.push("org/model", MODEL)
    manifest = fetch(store, "hf:org/model", "safetensors")
    assert [file.path for file in manifest.pin.files] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert manifest.gguf is None
    assert (manifest.folder / "config.json").read_bytes() == MODEL["config.json"]


def test_other_tools_find_the_files_in_the_hubs_cache(hub: Hub, store: WeightsStore) -> None:
    from huggingface_hub import constants, hf_hub_download, scan_cache_dir

    commit = hub.push("org/model", MODEL)
    fetch(store, "hf:org/model", "safetensors")
    before = len(hub.requests)
    path = hf_hub_download(
        "org/model", "model.safetensors", revision=commit, cache_dir=constants.HF_HUB_CACHE
    )
    assert Path(path).read_bytes() == MODEL["model.safetensors"]
    assert len(hub.requests) == before
    cache = scan_cache_dir(constants.HF_HUB_CACHE)
    assert not cache.warnings
    assert not cache.incomplete_files
    assert [repo.repo_id for repo in cache.repos] == ["org/model"]


def test_what_another_tool_has_fetched_is_not_fetched_again_and_not_removed(
    hub: Hub, store: WeightsStore
) -> None:
    from huggingface_hub import constants, hf_hub_download

    hub.push("org/model", {"model.gguf": GGUF})
    path = Path(
        hf_hub_download("org/model", "model.gguf", cache_dir=constants.HF_HUB_CACHE, endpoint=hub.address)
    )
    served = hub.total()
    assert fetch(store, "hf:org/model").gguf == path
    assert hub.total() == served
    assert store.remove("hf:org/model", "gguf")
    assert path.read_bytes() == GGUF


def test_removing_takes_what_homeport_fetched_and_leaves_nothing(
    hub: Hub, store: WeightsStore, tmp_path: Path
) -> None:
    hub.push("org/model", MODEL)
    fetch(store, "hf:org/model", "safetensors")
    assert store.remove("hf:org/model", "safetensors")
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
    assert not store.remove("hf:org/model", "safetensors")


def test_removing_keeps_bytes_that_another_commit_uses(hub: Hub, store: WeightsStore) -> None:
    first = hub.push("org/model", {"model.gguf": GGUF})
    second = hub.push("org/model", {"model.gguf": GGUF, "README.md": b"new"})
    fetch(store, f"hf:org/model@{first}")
    served = hub.total()
    manifest = fetch(store, f"hf:org/model@{second}")
    assert hub.total() == served
    store.remove(f"hf:org/model@{first}", "gguf")
    assert manifest.gguf is not None
    assert manifest.gguf.read_bytes() == GGUF


@pytest.mark.parametrize("cuts", [[1], [100_000, 200_000, 1], [0, 0, 0]])
def test_a_cut_connection_goes_on_where_it_broke(hub: Hub, store: WeightsStore, cuts: list[int]) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").cuts = list(cuts)
    assert fetch(store, "hf:org/model").pin.files[0].sha256 == hashlib.sha256(GGUF).hexdigest()
    # What was sent and not yet read when the connection broke is lost.
    assert hub.total() <= len(GGUF) + sum(cuts)
    assert len(hub.asked("GET", "/resolve/")) == len(cuts) + 1


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(
    hub: Hub, store: WeightsStore, listener: Listener
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").cuts = [400_000, 0, 0, 0]
    with pytest.raises(NetworkError, match=r"cannot be fetched|HTTP 503"):
        fetch(store, "hf:org/model")
    served = hub.total()
    fetch(store, "hf:org/model", listener=listener)
    assert hub.total() - served < len(GGUF) - 200_000
    assert listener.bytes[0][0] > 200_000


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.ranges = False
    hub.faults("model.gguf").cuts = [200_000]
    assert fetch(store, "hf:org/model").pin.files[0].sha256 == hashlib.sha256(GGUF).hexdigest()


def test_a_busy_hub_is_asked_again(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").statuses = [503, 429]
    assert fetch(store, "hf:org/model").gguf is not None


def test_a_hub_that_stays_broken_is_a_network_error(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").statuses = [500] * 9
    with pytest.raises(NetworkError, match="HTTP 500"):
        fetch(store, "hf:org/model")


@pytest.mark.parametrize("path", ["model.gguf", "config.json"])
def test_a_byte_damaged_on_the_way_is_fetched_again(hub: Hub, store: WeightsStore, path: str) -> None:
    hub.push("org/model", {"model.gguf": GGUF, **MODEL})
    hub.faults(path).damaged = 1
    manifest = fetch(store, "hf:org/model", "gguf" if path == "model.gguf" else "safetensors")
    assert store.check("hf:org/model", "gguf" if path == "model.gguf" else "safetensors") == []
    assert (manifest.folder / path).read_bytes() == {"model.gguf": GGUF, **MODEL}[path]


def test_bytes_that_are_always_wrong_are_refused_and_never_get_a_name(
    hub: Hub, store: WeightsStore, tmp_path: Path
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    hub.faults("model.gguf").damaged = 9
    with pytest.raises(WeightsError, match="arrived damaged"):
        fetch(store, "hf:org/model")
    assert store.manifest("hf:org/model", "gguf") is None
    assert [path for path in (tmp_path / "hf").rglob("*") if path.is_file() and path.stat().st_size] == []


@pytest.mark.parametrize("token", [None, "stranger"])
def test_a_gated_model_says_where_to_accept_its_licence(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    hub.push("org/model", {"model.gguf": GGUF}, gated="manual")
    hub.tokens["stranger"] = set()
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(GatedModel, match="licence") as caught:
        fetch(store, "hf:org/model")
    assert caught.value.url == f"{hub.address}/org/model"
    assert f"{hub.address}/org/model" in caught.value.hint
    assert "hf auth login" in caught.value.hint
    assert "HF_TOKEN" in caught.value.hint
    assert hub.total() == 0


@pytest.mark.parametrize("where", ["environment", "login"])
def test_a_token_opens_the_gate_and_is_shown_to_the_hub_alone(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str
) -> None:
    hub.push("org/model", {"model.gguf": GGUF, "config.json": b"{}"}, gated="auto")
    hub.tokens["hf_friend"] = {"org/model"}
    if where == "environment":
        monkeypatch.setenv("HF_TOKEN", "hf_friend")
    else:
        (tmp_path / "hf").mkdir()
        (tmp_path / "hf" / "token").write_text("hf_friend\n")
    assert fetch(store, "hf:org/model").gguf is not None
    # The CDN answers 400 to a request with a token.
    assert hub.asked("GET", "Signature")
    for path in (tmp_path / "weights").rglob("*"):
        assert path.is_dir() or b"hf_friend" not in path.read_bytes()


def test_a_token_that_the_hub_does_not_know_is_explained(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    with pytest.raises(GatedModel, match="401") as caught:
        fetch(store, "hf:org/model")
    assert "hf auth login" in caught.value.hint
    assert "hf_old" not in str(caught.value)


def test_a_private_model_may_as_well_not_be_there(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF}, private=True)
    with pytest.raises(GatedModel, match=r"gated or private.* or it is not there"):
        fetch(store, "hf:org/model")


def test_a_model_that_is_not_there(hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.tokens["hf_friend"] = set()
    monkeypatch.setenv("HF_TOKEN", "hf_friend")
    with pytest.raises(UnknownModel, match="shows no model org/nothing") as caught:
        fetch(store, "hf:org/nothing")
    assert "check the name" in caught.value.hint


def test_a_revision_that_is_not_there(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"model.gguf": GGUF})
    with pytest.raises(WeightsError, match="no revision v9"):
        fetch(store, "hf:org/model@v9")


def test_a_hub_that_cannot_be_reached(hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with nobody_at() as port:
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        with pytest.raises(NetworkError, match="cannot be fetched") as caught:
            fetch(store, "hf:org/model")
    assert "network" in caught.value.hint


def test_a_server_that_is_no_hub(hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    portal = hub.listen(lambda answer: answer.reply(200, b"<html>please log in to this hotel</html>"))
    monkeypatch.setattr(constants, "ENDPOINT", portal)
    with pytest.raises(NetworkError, match="not as a hub"):
        fetch(store, "hf:org/model")


def test_offline_takes_what_is_in_the_cache(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants, hf_hub_download

    commit = hub.push("org/model", {"model.gguf": GGUF})
    hf_hub_download("org/model", "model.gguf", cache_dir=constants.HF_HUB_CACHE, endpoint=hub.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.requests)
    assert fetch(store, "hf:org/model").pin.revision == commit
    assert len(hub.requests) == asked
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        fetch(store, "hf:org/other")


def test_without_the_library_the_package_to_install_is_named(
    hub: Hub, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from homeport.errors import ExtraMissing

    monkeypatch.setattr("homeport.weights.sources.hub.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match="huggingface-hub") as caught:
        fetch(store, "hf:org/model")
    assert caught.value.hint.endswith("pip install 'homeport[local]'")


def test_of_several_ggufs_the_usual_one_is_taken(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"m-Q8_0.gguf": OTHER, "m-Q4_K_M.gguf": GGUF, "mmproj-m.gguf": OTHER})
    assert [file.path for file in fetch(store, "hf:org/model").pin.files] == ["m-Q4_K_M.gguf"]


def test_of_several_ggufs_one_can_be_named(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"a/m-Q8_0.gguf": OTHER, "m-Q4_K_M.gguf": GGUF})
    manifest = fetch(store, "hf:org/model:a/m-Q8_0.gguf")
    assert manifest.gguf is not None
    assert manifest.gguf.read_bytes() == OTHER


def test_several_ggufs_with_none_to_prefer_are_listed(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"m-Q8_0.gguf": OTHER, "m-Q5_0.gguf": GGUF})
    with pytest.raises(WeightsError, match="several GGUF files") as caught:
        fetch(store, "hf:org/model")
    assert "m-Q5_0.gguf, m-Q8_0.gguf" in caught.value.hint


def test_a_split_gguf_comes_with_all_parts(hub: Hub, store: WeightsStore) -> None:
    parts = {f"m-Q4_K_M-0000{number}-of-00003.gguf": OTHER + bytes([number]) for number in (1, 2, 3)}
    hub.push("org/model", parts)
    manifest = fetch(store, "hf:org/model")
    assert [file.path for file in manifest.pin.files] == list(parts)
    assert manifest.gguf == manifest.folder / "m-Q4_K_M-00001-of-00003.gguf"


def test_a_split_gguf_that_lacks_a_part_is_refused(hub: Hub, store: WeightsStore) -> None:
    hub.push("org/model", {"m-00001-of-00002.gguf": OTHER})
    with pytest.raises(WeightsError, match=r"lacks m-00002-of-00002\.gguf"):
        fetch(store, "hf:org/model")


@pytest.mark.parametrize(
    ("files", "wanted", "there"),
    [({"model.gguf": GGUF}, "safetensors", "GGUF"), ({"model.safetensors": b"x"}, "gguf", "safetensors")],
)
def test_an_engine_for_what_is_there_is_asked_for(
    hub: Hub, store: WeightsStore, files: dict[str, bytes], wanted: Format, there: str
) -> None:
    hub.push("org/model", files)
    with pytest.raises(WeightsError, match="which is what this engine loads") as caught:
        fetch(store, "hf:org/model", wanted)
    assert f"choose an engine that loads its {there}" in caught.value.hint


def test_the_hubs_own_sentence_is_shown_whole_and_on_one_line() -> None:
    from homeport.weights.sources.hub_refusals import _sentence

    told = "Please enable access to public gated repositories in your fine-grained token settings to view this repository."
    assert _sentence(f" {told[:40]}\n{told[40:]}\x1b ").startswith(told[:40])
    assert _sentence(told) == told
    assert "\x1b" not in _sentence("a\x1bb")
