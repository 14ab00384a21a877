"""What a file holds in the place of weights or settings, by how it begins."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import WeightsError

MOST_BYTES = 64
"""Of a beginning: more tells no more."""
_AGAIN = "fetch it again; its publisher's page says how large it must be"
_OLD = "it is of an old llama.cpp or of whisper.cpp: take a GGUF of a language model"


@dataclass(frozen=True, slots=True)
class OtherContent:
    """What is there instead, and what to do."""

    what: str
    do: str

    def refusal(self, where: str) -> WeightsError:
        """Return the error that says so of `where`."""
        return WeightsError(f"{where} is {self.what}, and not the file itself", hint=self.do)


POINTER = OtherContent(
    "a pointer of Git LFS", "say `git lfs pull` in its repository, or fetch the model again"
)
"""What a clone without Git LFS leaves in the place of every large file."""
_BY_BEGIN = (
    (b"version https://git-lfs", POINTER),
    (b"<", OtherContent("a web page", "an error page was saved in its place: " + _AGAIN)),
    (b"PK\x03\x04", OtherContent("a ZIP archive, which is also how PyTorch saves", "unpack it, or take safetensors or a GGUF")),
    (b"\x1f\x8b", OtherContent("a gzip archive", "unpack it: gunzip")),
    (b"\x28\xb5\x2f\xfd", OtherContent("a zstd archive", "unpack it: zstd -d")),
    (b"7z\xbc\xaf\x27\x1c", OtherContent("a 7z archive", "unpack it")),
    (b"\x80\x02", OtherContent("a pickle", "it runs code as it is loaded: take safetensors or a GGUF")),
    (b"GGUF", OtherContent("a GGUF", "name it so that it ends in .gguf, with an engine that loads one (engine.kind)")),
    (b"lmgg", OtherContent("a file of GGML, which was before GGUF", _OLD)),
    (b"fmgg", OtherContent("a file of GGML, which was before GGUF", _OLD)),
    (b"tjgg", OtherContent("a file of GGML, which was before GGUF", _OLD)),
    (b"algg", OtherContent("a LoRA adapter of GGML, which was before GGUF", _OLD)),
)  # fmt: skip
_ZEROS = 16
"""Bytes: fewer may be a length of nothing."""
_EMPTY = OtherContent(
    "nothing but zeros where it begins", "the room for it was kept and it was not filled: " + _AGAIN
)
SAFETENSORS = OtherContent(
    "a file of safetensors", "name the folder that it lies in, with an engine that loads it (engine.kind)"
)


def told(begin: bytes) -> OtherContent | None:
    """
    Return what a file holds that begins so, where that is known and is neither text nor settings; else None.

    `begin` has `MOST_BYTES`, or all that there is: the length in front of safetensors may look like anything else.
    """
    length = int.from_bytes(begin[:8], "little")
    if begin[8:9] == b"{" and 0 < length < 1 << 32:
        return SAFETENSORS
    if len(begin) >= _ZEROS and not any(begin):
        return _EMPTY
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    return next(
        (content for magic, content in _BY_BEGIN if begin.startswith(magic) or text.startswith(magic)), None
    )
