"""
Hostile headers of weights: GGUF, safetensors and config.json, mutated and built to cost.

The law: what cannot be a model is one clear error of homeport's within `_WITHIN_S`; nothing in it reaches the terminal
as something that it obeys.
"""

from __future__ import annotations

import contextlib
import json
import struct
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from attack.law import Attack, Watch, shown
from attack.names import judged
from attack.stage import Stage
from attack.typed import typed
from places import TAUGHT

_WITHIN_S = 8.0
"""Of the processor's time, whatever runs beside."""
_HEADER = 60_000
_FOLDER = TAUGHT.with_suffix("")


def attacks(random: Random) -> list[Attack]:
    """All of them."""
    made = [
        Attack(door="headers", kind="GGUF", name=f"mutation {number}", carry_out=partial(_gguf, random.randrange(2**32)))
        for number in range(240)
    ]  # fmt: skip
    made += [
        Attack(door="headers", kind="GGUF", name=name, carry_out=partial(_bomb, name)) for name in _BOMBS
    ]
    made += [
        Attack(door="headers", kind="safetensors", name=f"mutation {number}", carry_out=partial(_safetensors, random.randrange(2**32)))
        for number in range(200)
    ]  # fmt: skip
    made += [
        Attack(door="headers", kind="config.json", name=f"{key} = {value!r}"[:80], carry_out=partial(_config, key, value))
        for key in _KEYS for value in random.sample(_VALUES, 7)
    ]  # fmt: skip
    made += [
        Attack(door="headers", kind="what a terminal obeys", name=f"{key}: {text!r}"[:80], carry_out=partial(_escape, key, text))
        for key in ("model_type", "architectures", "torch_dtype", "quant_method", "file name", "folder name", "template") for text in _ESCAPES
    ]  # fmt: skip
    return made


def watches(stage: Stage) -> dict[str, Watch]:
    """Each attack looks for itself."""
    return {}


_KEYS = ("model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "sliding_window",
         "layer_types", "max_position_embeddings", "vocab_size", "intermediate_size", "quantization_config", "text_config", "rope_scaling", "architectures")  # fmt: skip
_VALUES: tuple[Any, ...] = (  # Any: JSON
    -1, 0, 2**63, 10**40, 1e308, 0.5, "x", "", None, True, [], {}, [[]], [None], {"a": {}}, ["full_attention"] * 100_000, "\ud800", "\x1b[2J", [10**9] * 10, {"bits": 10**30},
)  # fmt: skip
_ESCAPES = (
    "\x1b[2J\x1b[H",
    "\x1b]0;owned\x07",
    "\x9b31m",
    "\r\x1b[Kdone",
    "\x08" * 20,
    "\u202etxt",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x07",
    "a\nb: ok",
    "\x00",
    "\u200b",
    "\x7f",
)


def _described(path: Path) -> str:
    from homeport.catalog import described
    from homeport.errors import HomeportError

    begun = time.process_time()
    with contextlib.suppress(HomeportError):
        described.of_path(path, name="x")
    took = time.process_time() - begun
    return f"it took {took:.0f} s of the processor" if took > _WITHIN_S else ""


def _file(stage: Stage, name: str, begin: bytes, size: int) -> Path:
    folder = stage.root / "headers"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(begin)
    with path.open("r+b") as file:
        file.truncate(max(size, len(begin)))
    return path


def _gguf(seed: int, stage: Stage) -> str:
    random = Random(seed)
    data = bytearray(TAUGHT.read_bytes()[:_HEADER])
    for _ in range(random.randint(1, 12)):
        at = random.choice((random.randrange(0, 64), random.randrange(len(data) - 9)))
        what = random.choice(
            (
                random.randbytes(1),
                b"\xff" * 8,
                b"\x00" * 8,
                struct.pack("<Q", random.randrange(2**40)),
                struct.pack("<I", random.randrange(14)),
            )
        )
        data[at : at + len(what)] = what
    size = TAUGHT.stat().st_size if random.random() < 0.8 else random.randrange(len(data))
    return _described(_file(stage, "x.gguf", bytes(data[: size or 1]), size))


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _head(tensors: int, pairs: int) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs)


_BOMBS: dict[str, Any] = {  # Any: functions that make a file's begin and size
    "a million empty tensors": lambda: (_head(1_000_000, 1) + _text("general.architecture") + struct.pack("<I", 8) + _text("llama")
                                         + b"".join(_text(f"t{n}") + struct.pack("<IIQ", 0, 0, 0) for n in range(1_000_000)), 0),
    "2^63 tensors": lambda: (_head(2**63, 1) + bytes(1000), 2**33),
    "2^63 pairs": lambda: (_head(1, 2**63) + bytes(1000), 2**33),
    "a text of 2^60 bytes": lambda: (_head(1, 1) + struct.pack("<Q", 2**60) + bytes(1000), 2**33),
    "an array in an array in …": lambda: (_head(1, 1) + _text("a") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 20_000, 2**24),
    "an array of 2^40": lambda: (_head(1, 1) + _text("a") + struct.pack("<IIQ", 9, 0, 2**40) + bytes(1000), 2**42),
    "a million pairs of one name": lambda: (_head(0, 1_000_000) + (_text("a") + struct.pack("<IB", 0, 1)) * 1_000_000, 0),
    "a shape of 2^62": lambda: (_head(1, 0) + _text("t") + struct.pack("<IQQIQ", 2, 2**62, 2**62, 0, 0), 2**20),
    "dimensions without end": lambda: (_head(1, 0) + _text("t") + struct.pack("<I", 2**32 - 1) + bytes(1000), 2**36),
    "version 4 milliards": lambda: (b"GGUF" + struct.pack("<IQQ", 2**32 - 1, 0, 0), 24),
    "the other byte order": lambda: (b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(100), 2000),
    "a big file of zeros": lambda: (b"GGUF" + bytes(100), 2**38),
}  # fmt: skip


def _bomb(name: str, stage: Stage) -> str:
    return _described(_file(stage, "x.gguf", *_BOMBS[name]()))


def _safetensors(seed: int, stage: Stage) -> str:
    random = Random(seed)
    folder = stage.root / "safetensors"
    folder.mkdir(exist_ok=True)
    whole = (_FOLDER / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]
    table = json.loads(whole[8 : 8 + length])
    for _ in range(random.randint(1, 4)):
        name = random.choice(list(table))
        entry = table[name] if isinstance(table[name], dict) else {}
        action = random.randrange(6)
        if action == 0:
            table[name] = random.choice(_VALUES)
        elif action == 1:
            entry["shape"] = random.choice(
                ([2**62, 2**62], [-1], [0], "x", [10**40], [[1]], [1] * 1000, None)
            )
        elif action == 2:
            entry["data_offsets"] = random.choice(
                ([0, 2**62], [-5, 5], [5, 0], [0], "x", [1e308, 2], None, [0, 0])
            )
        elif action == 3:
            entry["dtype"] = random.choice(("", "X" * 1000, None, 5, "\x1b[2J", []))
        elif action == 4:
            table[random.choice(("../x", "\x00", "", "a" * 5000, "model.layers.99999999999.x"))] = {
                "dtype": "F32",
                "shape": [1],
                "data_offsets": [0, 4],
            }
        else:
            del table[name]
        if not table:
            break
    text = json.dumps(table).encode()
    said = random.choice((len(text),) * 6 + (2**63, 0, len(text) + 1, 100_000_001))
    if random.random() < 0.2:
        text = text[: random.randrange(len(text))] + random.randbytes(3)
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", said) + text)
    with path.open("r+b") as file:
        file.truncate(8 + len(text) + len(whole) - 8 - length)
    (folder / "config.json").write_bytes((_FOLDER / "config.json").read_bytes())
    return _described(folder)


def _config(key: str, value: Any, stage: Stage) -> str:  # Any: JSON
    folder = stage.root / "config"
    folder.mkdir(exist_ok=True)
    if not (folder / "model.safetensors").exists():
        (folder / "model.safetensors").symlink_to(_FOLDER / "model.safetensors")
    table = json.loads((_FOLDER / "config.json").read_text())
    (table["text_config"] if key in table.get("text_config", {}) else table)[key] = value
    (folder / "config.json").write_text(json.dumps(table))
    return _described(folder)


def _escape(key: str, text: str, stage: Stage) -> str:
    """What `homeport fit` prints of a folder that holds what a terminal obeys."""
    if key in {"file name", "folder name"} and ("\x00" in text or "/" in text):
        return ""
    folder = stage.root / "escapes" / (f"m{text}" if key == "folder name" else "m")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "homeport.toml").write_text("")
    asked = folder
    if key == "file name":
        asked = folder / f"x{text}.gguf"
        asked.write_bytes(b"GGUF" + bytes(40))
    else:
        table = json.loads((_FOLDER / "config.json").read_text())
        if key == "quant_method":
            table["quantization_config"] = {"quant_method": text, "format": text}
        elif key == "architectures":
            table[key] = [text]
        elif key != "folder name":
            (table["text_config"] if key in table.get("text_config", {}) else table)[key] = text
        (folder / "config.json").write_text(json.dumps(table))
        if not (folder / "model.safetensors").exists():
            (folder / "model.safetensors").symlink_to(_FOLDER / "model.safetensors")
    try:
        came = typed("fit", f"file:{asked}", folder=folder, env=stage.env)
    finally:
        if key == "file name":
            asked.unlink()
    return judged(came.text, came.code) or ("" if came.text else shown("it says nothing"))
