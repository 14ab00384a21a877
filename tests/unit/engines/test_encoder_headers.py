"""What llama.cpp's encoder is, by its header: read once however often it is asked, and never taken for one that sees where it cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from homeport.catalog import gguf_header
from homeport.engines.llamacpp.projector import ensure_encodes, senses
from homeport.errors import WeightsError
from made_projector import ear, projector
from places import TAUGHT


def test_an_encoder_tells_what_it_reads(tmp_path: Path) -> None:
    assert senses(None) == (False, False)
    assert senses(projector(tmp_path / "eye.gguf")) == (True, False)
    assert senses(ear(tmp_path / "ear.gguf")) == (False, True)


def test_a_header_is_read_once_and_again_once_the_file_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, paths = gguf_header.read, []

    def noted(path: Path) -> gguf_header.Header:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(gguf_header, "read", noted)
    path = projector(tmp_path / "mmproj.gguf")
    for _ in range(3):
        ensure_encodes(path)
        assert senses(path) == (True, False)
    assert paths == [path]
    os.replace(ear(tmp_path / "next.gguf"), path)  # noqa: PTH105 - as a download puts its file in place
    assert senses(path) == (False, True)
    assert paths == [path, path]


@pytest.mark.parametrize("place", ["not there", "a page", "cut short", "a model", "a folder"])
def test_what_cannot_be_read_as_an_encoder_is_refused_when_it_would_be_served(
    place: str, tmp_path: Path
) -> None:
    path = tmp_path / "mmproj.gguf"
    if place == "a page":
        path.write_text("<html>404</html>")
    elif place == "cut short":
        path.write_bytes(projector(tmp_path / "whole.gguf").read_bytes()[:200])
    elif place == "a model":
        path.symlink_to(TAUGHT)
    elif place == "a folder":
        path.mkdir()
    for ask in (ensure_encodes, senses):
        with pytest.raises(WeightsError, match=r"mmproj\.gguf") as refused:
            ask(path)
        assert refused.value.hint
