"""A file in TOML that somebody wrote: `homeport.toml_file`."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.errors import SpecError
from homeport.toml_file import read_toml


@pytest.mark.parametrize(
    ("content", "why", "do"),
    [
        (b'\xef\xbb\xbfmodel = "x"\n', "begins with a byte order mark", "save it as UTF-8 without one"),
        (b"model = " + b"[" * 20_000, "is nested too deep to be read", "write TOML"),
        (b"\xff\xfe", "is no text in UTF-8", "write TOML"),
        (b"model = \n", "is not TOML: Invalid value", "write TOML"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_to_do(
    content: bytes, why: str, do: str, tmp_path: Path
) -> None:
    file = tmp_path / "homeport.toml"
    file.write_bytes(content)
    with pytest.raises(SpecError, match=why) as told:
        read_toml(file, hint="write TOML")
    assert told.value.hint == do
