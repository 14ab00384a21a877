"""The files of settings and words that a server reads beside weights, and whether one arrived whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

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
_AGAIN = "fetch the model's files again"
_ENDS = {b"{": b"}", b"[": b"]", b'"': b'"'}


def is_read(path: Path) -> bool:
    """Return True for JSON that a server reads by this name."""
    tokenizer = path.name.startswith("tokenizer") and path.suffix == ".json"
    return path.name in _READ or tokenizer or path.name.endswith(".index.json")


def ensure_whole(path: Path, size: int) -> None:
    """Raise `WeightsError` for JSON that is none or cut short; of a large file, by its ends alone."""
    if size <= _MOST_PARSED:
        content = path.read_bytes()
        told = _parsed(content)
    else:
        with path.open("rb") as file:
            content = file.read(other_content.MOST_BYTES)
            begin, end = content.lstrip()[:1], _last(file, size)
        told = "" if _ENDS.get(begin) == end else "is cut short" if begin in _ENDS else "is no JSON"
    if not told:
        return
    known = other_content.told(content[: other_content.MOST_BYTES])
    raise WeightsError(
        f"{path} {f'is {known.what}' if known else told}, and no server reads it",
        hint=known.do if known else _AGAIN,
    )


def _parsed(content: bytes) -> str:
    """Return what is wrong with the content, or ''."""
    if not content.strip():
        return "is empty"
    if content.startswith(b"\xef\xbb\xbf"):
        return "begins with a byte order mark"
    try:
        json.loads(content.decode())
    except UnicodeDecodeError:
        return "is no text in UTF-8"
    except RecursionError:
        return "is nested too deep"
    except ValueError:
        return "is cut short" if _is_cut(content) else "is no JSON"
    return ""


def _is_cut(content: bytes) -> bool:
    """Return True where the content begins as JSON does and a parser wants more at its very end."""
    text = content.decode().rstrip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        wants_more = error.pos >= len(text) or error.msg.startswith("Unterminated string")
        return content.lstrip()[:1] in _ENDS and wants_more
    return False


def _last(file: BinaryIO, size: int) -> bytes:
    """Return the last byte that is no white space; b'' where there is none."""
    at = size
    while at > 0:
        length = min(_BLOCK, at)
        at = file.seek(at - length, os.SEEK_SET)
        end = file.read(length).rstrip(b" \t\r\n")
        if end:
            return end[-1:]
    return b""
