"""The files of settings and words that a server reads beside weights, whether one arrived whole, and what it holds."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from homeport.errors import WeightsError
from homeport.weights import other_content

_READ = frozenset(
    {
        *("config.json", "generation_config.json", "adapter_config.json", "quantize_config.json", "hf_quant_config.json"),
        *("vocab.json", "added_tokens.json", "special_tokens_map.json", "tekken.json", "chat_template.json"),
        *("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json", "params.json"),
        *("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"),
    }
)  # fmt: skip
_MOST_PARSED = 1 << 20
"""Bytes. A tokenizer has up to 30 times as many, and each plan looks at it: what is larger is judged by its two ends."""
_BLOCK = 1 << 12
_BLANKS = b" \t\r\n"
_AGAIN = "fetch the model's files again"
_OF_EDITOR = "save it as UTF-8 without one: a Windows editor or PowerShell has put it there"
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_ENDS = {b"{": b"}", b"[": b"]"}
_LISTS = frozenset({"modules.json"})
_TABLES = frozenset({"tokenizer.json", "tokenizer_config.json"})
"""Of those that begin with `tokenizer`; what a model's own code reads may be either."""
_WORDS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
_OF_NUMBER = re.compile(r"-|\.|[eE][+-]?")
_OF_ESCAPE = re.compile(r"\\?(u[0-9a-fA-F]{0,4})?")


def is_read(path: Path) -> bool:
    """Return True for JSON that a server reads by this name."""
    tokenizer = path.name.startswith("tokenizer") and path.suffix == ".json"
    return path.name in _READ or tokenizer or path.name.endswith(".index.json")


def ensure_whole(path: Path, size: int) -> None:
    """Raise `WeightsError` for JSON that is none, cut short, or of another kind than its name says; of a large file, by its ends alone."""
    begins = _begins(path)
    if size <= _MOST_PARSED:
        if not isinstance(parsed(path.read_bytes(), path), tuple(begins.values())):
            raise _of_another_kind(path, begins)
        return
    with path.open("rb") as file:
        content = file.read(other_content.MOST_BYTES)
        _ensure_no_mark(content, path)
        begin, end = _first(file), _last(file, size)
    if begin in _ENDS and begin not in begins:
        raise _of_another_kind(path, begins)
    if begin not in _ENDS or _ENDS[begin] != end:
        raise _refusal(path, content, "is cut short" if begin in _ENDS else "is no JSON")


def parsed(content: bytes, path: Path) -> Any:  # Any: JSON
    """Return what the content of `path` holds. Raises `WeightsError` for what is no JSON that a server reads."""
    if not content.strip():
        raise _refusal(path, content, "is empty")
    _ensure_no_mark(content, path)
    try:
        return json.loads(content.decode())
    except UnicodeDecodeError as error:
        is_cut = error.end == len(content) and error.reason == "unexpected end of data"
        told = "is cut short" if is_cut and content.lstrip()[:1] in _ENDS else "is no text in UTF-8"
        raise _refusal(path, content, told) from error
    except RecursionError as error:
        raise _refusal(path, content, "is nested too deep") from error
    except json.JSONDecodeError as error:
        is_cut = content.lstrip()[:1] in _ENDS and _wants_more(error)
        raise _refusal(path, content, "is cut short" if is_cut else "is no JSON") from error
    except ValueError as error:  # A number of more digits than Python reads.
        raise _refusal(path, content, "is no JSON") from error


def table(content: bytes, path: Path) -> dict[str, Any]:  # Any: JSON
    """Return the table of settings that the content of `path` holds. Raises `WeightsError`."""
    value = parsed(content, path)
    if not isinstance(value, dict):
        raise _of_another_kind(path, {b"{": dict})
    return value


def _ensure_no_mark(content: bytes, path: Path) -> None:
    if content.startswith(_MARKS):
        raise _refusal(path, content, "begins with a byte order mark", do=_OF_EDITOR)


def _begins(path: Path) -> dict[bytes, type]:
    """Return with what a file of this name begins, and as what it is read."""
    if path.name in _LISTS:
        return {b"[": list}
    if path.name in _READ | _TABLES or path.name.endswith(".index.json"):
        return {b"{": dict}
    return {b"{": dict, b"[": list}


def _of_another_kind(path: Path, begins: dict[bytes, type]) -> WeightsError:
    names: dict[type, str] = {dict: "table of settings", list: "list"}
    expected = " and no ".join(names[kind] for kind in begins.values())
    return WeightsError(f"{path} holds no {expected}, and no server reads it", hint=_AGAIN)


def _refusal(path: Path, content: bytes, told: str, *, do: str = _AGAIN) -> WeightsError:
    known = other_content.told(content[: other_content.MOST_BYTES])
    return WeightsError(
        f"{path} {f'is {known.what}' if known else told}, and no server reads it",
        hint=known.do if known else do,
    )


def _wants_more(error: json.JSONDecodeError) -> bool:
    """Return True where all that stands from the mistake on is the beginning of something."""
    rest = error.doc[error.pos :].strip()
    return (
        not rest
        or error.msg.startswith("Unterminated string")
        or any(word.startswith(rest) for word in _WORDS)
        or bool(_OF_NUMBER.fullmatch(rest))
        or (error.msg.startswith("Invalid \\") and bool(_OF_ESCAPE.fullmatch(rest)))
    )


def _first(file: BinaryIO) -> bytes:
    """Return the first byte that is no white space; b'' where there is none."""
    file.seek(0)
    while block := file.read(_BLOCK):
        if begin := block.lstrip(_BLANKS):
            return begin[:1]
    return b""


def _last(file: BinaryIO, size: int) -> bytes:
    """Return the last byte that is no white space; b'' where there is none."""
    at = size
    while at > 0:
        length = min(_BLOCK, at)
        at = file.seek(at - length, os.SEEK_SET)
        end = file.read(length).rstrip(_BLANKS)
        if end:
            return end[-1:]
    return b""
