"""What a server sends is held against what was announced: `homeport.weights.download`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from homeport.errors import WeightsError
from homeport.progress import Silent
from homeport.weights.download import Bar, Download, download

BLOCK = b"x" * 1024


def sent(blocks: Iterator[bytes], wanted: Download) -> None:
    """Download `wanted` from a server that sends these without telling how long they are."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=blocks))
    with httpx2.Client(transport=transport, timeout=5, trust_env=False) as http:
        download(http, wanted, Bar(Silent(), "weights", total=wanted.size))


def test_a_server_that_goes_on_after_what_was_announced_is_not_listened_to_until_the_disk_is_full(
    tmp_path: Path,
) -> None:
    came = 0

    def for_ever() -> Iterator[bytes]:
        nonlocal came
        while True:
            came += 1
            yield BLOCK

    part = tmp_path / "model.gguf.part"
    with pytest.raises(WeightsError, match="goes on after the 3,072 bytes that were announced") as told:
        sent(for_ever(), Download(what="model.gguf", url="http://hub/model", part=part, size=3 * len(BLOCK)))
    assert "proxy" in told.value.hint
    assert came == 4
    assert [*tmp_path.glob("model*")] == []


def test_what_is_as_long_as_announced_is_kept(tmp_path: Path) -> None:
    part = tmp_path / "model.gguf.part"
    sent(
        iter([BLOCK, BLOCK]),
        Download(what="model.gguf", url="http://hub/model", part=part, size=2 * len(BLOCK)),
    )
    assert part.read_bytes() == 2 * BLOCK
